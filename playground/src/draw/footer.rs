//! The last lines: what is worth doing, and the letters that do something now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{DIM, WIDE, cut};
use crate::model::Model;

pub(super) fn hint(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let text = cut(&model.hint(), usize::from(area.width.saturating_sub(3)));
    let line = Line::from(vec![
        Span::styled(" » ", Style::new().fg(Color::Cyan).bold()),
        Span::raw(text).bold(),
    ]);
    frame.render_widget(Paragraph::new(line), area);
}

pub(super) fn letters(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let wide = area.width >= WIDE;
    let mut spans = Vec::new();
    for letter in ['s', 'w', 'd', 'l', 'b', 'r'] {
        let works = model.command(letter, None).is_ok();
        let [long, short] = model.offer(letter);
        offer(
            &mut spans,
            &letter.to_string(),
            if wide { &long } else { &short },
            works,
        );
    }
    let rest = match wide {
        true => [("↑↓", "choose"), ("?", "help"), ("q", "quit")],
        false => [("↑↓", ""), ("?", ""), ("q", "")],
    };
    for (letter, what) in rest {
        offer(&mut spans, letter, what, true);
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

fn offer(spans: &mut Vec<Span<'_>>, letter: &str, what: &str, works: bool) {
    let key = match works {
        true => Style::new().fg(Color::Black).bg(Color::Cyan),
        false => Style::new().fg(Color::Black).bg(Color::DarkGray),
    };
    spans.push(Span::styled(format!(" {letter} "), key));
    let word = if works { Style::new() } else { DIM };
    let word = Span::styled(format!("{what} "), word);
    spans.push(word);
}
