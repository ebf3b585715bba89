//! The first lines: the issuer, and how everybody is.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{BAD, DIM, GOOD, WARN, WIDE, clock, part};
use crate::event::{Bucket, Standing};
use crate::model::{Model, replica_name, server_name};

/// From this height on it has a frame.
const FRAMED: u16 = 3;

pub(super) fn title(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let bar = Style::new().bg(Color::Blue).fg(Color::White);
    let [left, middle, right] =
        Layout::horizontal([Constraint::Length(24), Constraint::Min(0), Constraint::Length(8)]).areas(area);
    let say = |text: String| Paragraph::new(text).style(bar);
    frame.render_widget(say(" KubeAssume playground".to_owned()).bold(), left);
    frame.render_widget(
        say(model.about.issuer.clone()).alignment(Alignment::Center),
        middle,
    );
    frame.render_widget(
        say(format!("{} ", clock(model.elapsed))).alignment(Alignment::Right),
        right,
    );
}

pub(super) fn cluster(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let wide = area.width >= WIDE;
    // Where there is little room, the kind is said once.
    let name = |name: String, nth: usize| if wide { name } else { nth.to_string() };
    let kind = |kind: &'static str| Span::raw(if wide { "" } else { kind });
    let mut spans = vec![kind("api ")];
    for (nth, server) in model.servers.iter().enumerate() {
        let (style, word) = match server.serving {
            true => (GOOD, ""),
            false => (WARN, " restarts"),
        };
        item(&mut spans, style, name(server_name(nth), nth), word);
    }
    spans.extend([Span::styled("│ ", DIM), kind("kubeassume ")]);
    for (nth, standing) in model.replicas.iter().enumerate() {
        let leads = model.leads(nth);
        let (style, word) = match (standing, leads) {
            (Standing::Gone, _) => (BAD, " killed"),
            (Standing::Unverified, true) => (WARN, " leads, unverified"),
            (Standing::Unverified, false) => (WARN, " unverified"),
            (Standing::Verified, true) => (GOOD, " leads"),
            (Standing::Verified, false) => (GOOD, ""),
        };
        item(&mut spans, style, name(replica_name(nth), nth), word);
    }
    spans.push(Span::styled("│ ", DIM));
    let (style, word) = match model.bucket {
        Bucket::Open => (GOOD, " open"),
        Bucket::ReadOnly => (WARN, " read-only"),
        Bucket::Down => (BAD, " down"),
    };
    item(&mut spans, style, "bucket".to_owned(), word);
    let line = Paragraph::new(Line::from(spans));
    if area.height >= FRAMED {
        frame.render_widget(line.block(part("cluster")), area);
    } else {
        frame.render_widget(line, area);
    }
}

fn item(spans: &mut Vec<Span<'_>>, style: Style, name: String, word: &'static str) {
    spans.push(Span::styled("● ", style));
    spans.push(Span::raw(name));
    spans.push(Span::styled(word, style.bold()));
    spans.push(Span::raw("  "));
}
