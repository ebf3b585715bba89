//! What happened, in words; the newest below.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{BAD, DIM, GOOD, WARN, clock, cut, part};
use crate::model::{Entry, Level, Model};

/// What stands before the words.
const STAMP: usize = 6;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let rows = usize::from(area.height.saturating_sub(2));
    // The frame and its padding.
    let width = usize::from(area.width.saturating_sub(4));
    let mut entries: Vec<&Entry> = model.log.iter().collect();
    entries.sort_by_key(|entry| entry.at);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for entry in entries.iter().rev() {
        let more = line(entry, width);
        if lines.len() + more.len() > rows {
            break;
        }
        lines.splice(0..0, more);
    }
    frame.render_widget(Paragraph::new(lines).block(part("events")), area);
}

/// An entry on one line, or on two.
fn line(entry: &Entry, width: usize) -> Vec<Line<'static>> {
    let style = match entry.level {
        Level::Info => Style::new(),
        Level::Good => GOOD,
        Level::Warning => WARN,
        Level::Bad => BAD,
    };
    let text = match entry.times {
        1 => entry.text.clone(),
        many => format!("(×{many}) {}", entry.text),
    };
    let room = width.saturating_sub(STAMP);
    let (first, second) = split(&text, room);
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} ", clock(entry.at)), DIM),
        Span::styled(first, style),
    ])];
    if !second.is_empty() {
        lines.push(Line::styled(
            format!("{:STAMP$}{}", "", cut(&second, room)),
            style,
        ));
    }
    lines
}

/// At the last space that fits.
fn split(text: &str, room: usize) -> (String, String) {
    if text.chars().count() <= room {
        return (text.to_owned(), String::new());
    }
    let mut first: String = text.chars().take(room).collect();
    if let Some(space) = first.rfind(' ').filter(|at| *at > 0) {
        first.truncate(space);
    }
    let second = text
        .get(first.len()..)
        .unwrap_or_default()
        .trim_start()
        .to_owned();
    (first, second)
}
