//! What one sees, what the letters do, and what to type in another terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::Line;
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::{DIM, part};
use crate::model::Model;

/// The letters, and what each does.
pub(crate) const LETTERS: [(&str, &str); 8] = [
    (
        "s",
        "stage: both API servers restart with one more key, which signs nothing yet",
    ),
    (
        "w",
        "switch: both restart and sign with the newest served key, or the chosen one",
    ),
    (
        "d",
        "drop: both restart without the replaced key, or the chosen one",
    ),
    (
        "l",
        "kill -9 of the controller that leads; it comes back after 12 s",
    ),
    ("b", "kill -9 of the S3 server; again: it comes back"),
    ("r", "the S3 server refuses writes; again: it takes them"),
    ("↑ ↓", "choose a key for w and d; Esc lets go of it"),
    ("q", "or Ctrl-C: end everything and leave nothing behind"),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let title = |text: &'static str| Line::from(text).style(Style::new().fg(Color::Cyan));
    let mut lines = vec![
        Line::styled(format!("All of this: {}", model.about.guide.display()), DIM),
        Line::default(),
        title("Letters"),
    ];
    lines.extend(
        LETTERS
            .iter()
            .map(|(letter, what)| Line::from(format!("  {letter:<4} {what}"))),
    );
    lines.push(Line::default());
    lines.push(title("In another terminal, the first line first"));
    lines.extend(
        model
            .about
            .commands
            .iter()
            .map(|command| Line::from(format!("  {command}"))),
    );
    lines.push(Line::default());
    lines.push(Line::from(format!(
        "Pods use a token for {} s; a dropped key stays public for {} s.",
        model.about.hold.as_secs(),
        model.about.overlap.as_secs()
    )));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let [area] = Layout::horizontal([Constraint::Max(112)])
        .flex(Flex::Center)
        .areas(area);
    let [area] = Layout::vertical([Constraint::Max(height + 4)])
        .flex(Flex::Center)
        .areas(area);
    frame.render_widget(Clear, area);
    let text = Paragraph::new(lines).wrap(Wrap { trim: false });
    frame.render_widget(text.block(part("help, any key closes it")), area);
}
