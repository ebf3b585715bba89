//! The screen: a pure function of the model and the size of the terminal.

mod footer;
mod header;
mod help;
mod keys;
mod log;
mod verdicts;
mod writes;

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Padding};

use crate::model::Model;

/// From this many rows on, things get more room.
const TALL: u16 = 30;
/// From this many columns on, tables show more.
const WIDE: u16 = 100;

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let tall = area.height >= TALL;
    let rows = if tall { 8 } else { 5 };
    let keys = u16::try_from(model.keys.len()).unwrap_or(rows).clamp(3, rows) + 3;
    let verdicts = u16::try_from(model.parties.len()).unwrap_or(3) * if tall { 2 } else { 1 } + 2;
    let [top, cluster, keys, verdicts, bottom, hint, letters] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(if tall { 3 } else { 1 }),
        Constraint::Length(keys),
        Constraint::Length(verdicts),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    let writes = if area.width >= WIDE { 42 } else { 36 };
    let [writes, log] = Layout::horizontal([Constraint::Length(writes), Constraint::Min(0)]).areas(bottom);

    header::title(frame, top, model);
    header::cluster(frame, cluster, model);
    keys::draw(frame, keys, model);
    verdicts::draw(frame, verdicts, model);
    writes::draw(frame, writes, model);
    log::draw(frame, log, model);
    footer::hint(frame, hint, model);
    footer::letters(frame, letters, model);
    if model.help {
        help::draw(frame, area, model);
    }
}

/// A framed part of the screen.
fn part(title: &str) -> Block<'_> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(DIM)
        .title(Line::from(format!(" {title} ")).fg(Color::Cyan).bold())
        .padding(Padding::horizontal(1))
}

/// Minutes and seconds.
fn clock(at: Duration) -> String {
    format!("{:02}:{:02}", at.as_secs() / 60, at.as_secs() % 60)
}

/// Cut to a width, with a sign that it was.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

const DIM: Style = Style::new().fg(Color::DarkGray);
const GOOD: Style = Style::new().fg(Color::Green);
const WARN: Style = Style::new().fg(Color::Yellow);
const BAD: Style = Style::new().fg(Color::Red);

#[cfg(test)]
mod tests;
