//! What was written into the bucket, as the S3 server logged it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{BAD, DIM, GOOD, clock, part};
use crate::model::{Model, Write, replica_name};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let rows = usize::from(area.height.saturating_sub(2));
    let old = model.writes.len().saturating_sub(rows);
    let lines: Vec<Line<'_>> = model.writes.iter().skip(old).map(line).collect();
    let done = model.writes.iter().filter(|write| write.status == 200).count();
    let title = format!("writes: {done}");
    frame.render_widget(Paragraph::new(lines).block(part(&title)), area);
}

fn line(write: &Write) -> Line<'static> {
    let (style, word) = match write.status {
        200 => (GOOD, ""),
        // How a controller asks at its start whether it could write, and how a lost race looks.
        404 | 412 => (DIM, "precondition"),
        _ => (BAD, "refused"),
    };
    let by = write.by.map_or_else(|| word.to_owned(), replica_name);
    let times = match write.times {
        1 => String::new(),
        many => format!(" ×{many}"),
    };
    Line::from(vec![
        Span::styled(clock(write.at), DIM),
        Span::styled(format!(" {} ", write.status), style),
        Span::raw(format!("{:<10}", document(&write.document))),
        Span::styled(by + &times, DIM),
    ])
}

/// What people call the document.
pub(super) fn document(path: &str) -> &str {
    if path.ends_with("jwks") {
        "jwks"
    } else {
        "discovery"
    }
}
