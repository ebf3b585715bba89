//! The keys: who serves them, who signs with them, where they stand, what became of their tokens.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};

use super::{BAD, DIM, GOOD, WARN, WIDE, part};
use crate::event::KeyState;
use crate::model::{Key, Model, SHORT_KID, server_name};

/// Cells of the bar that shows the time left: where there is room, and elsewhere.
const BARS: [usize; 2] = [12, 8];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let wide = area.width >= WIDE;
    let rows = usize::from(area.height.saturating_sub(3));
    let hidden = hidden(model, rows);
    let shown = model.keys.iter().skip(hidden).map(|key| row(model, key, wide));
    let mut names = vec!["KEY".to_owned(), "KIND".to_owned()];
    let mut widths = vec![Constraint::Length(3), Constraint::Length(8)];
    if wide {
        names.push("KID".to_owned());
        widths.push(Constraint::Length(13));
    }
    names.extend((0..model.servers.len()).map(server_name));
    widths.extend(model.servers.iter().map(|_| Constraint::Length(7)));
    let (counts, width) = match wide {
        true => (["ACCEPTED", "REJECTED"], 8),
        false => (["OK", "BAD"], 5),
    };
    names.extend(["STATE", "PUBLIC"].map(String::from));
    widths.extend([Constraint::Min(23), Constraint::Length(6)]);
    widths.extend(counts.map(|_| Constraint::Length(width)));
    let names = names.into_iter().map(Cell::from);
    let counts = counts.map(|name| Cell::from(Line::from(name).right_aligned()));
    let names = names.chain(counts);
    let table = Table::new(shown, widths)
        .header(Row::new(names).style(DIM))
        .column_spacing(if wide { 2 } else { 1 })
        .block(part("keys"));
    frame.render_widget(table, area);
}

/// How many of the oldest keys do not fit; the chosen one always does.
fn hidden(model: &Model, rows: usize) -> usize {
    let over = model.keys.len().saturating_sub(rows);
    model.selected.map_or(over, |chosen| over.min(chosen.0))
}

fn row<'a>(model: &'a Model, key: &'a Key, wide: bool) -> Row<'a> {
    let gone = matches!(key.state, Some(KeyState::Removed | KeyState::Revoked));
    let mut cells = vec![
        Cell::from(key.id.to_string()).bold(),
        Cell::from(key.kind.trim_end_matches(" 2048")),
    ];
    if wide {
        let short: String = key.kid.chars().take(SHORT_KID).collect();
        cells.push(Cell::from(short + "…"));
    }
    for server in &model.servers {
        let (word, style) = match (server.signs == Some(key.id), server.serves.contains(&key.id)) {
            (true, true) => ("signs", GOOD.bold()),
            (true, false) => ("signs!", BAD.bold()),
            (false, true) => ("serves", Style::new()),
            (false, false) => ("·", DIM),
        };
        let style = if server.serving { style } else { WARN };
        cells.push(
            Cell::from(if server.serving || word == "·" {
                word.to_owned()
            } else {
                format!("{word}…")
            })
            .style(style),
        );
    }
    cells.push(Cell::from(state(model, key, wide)));
    cells.push(match (key.public, gone) {
        (true, _) => Cell::from("yes").style(GOOD),
        (false, true) => Cell::from("no").style(DIM),
        (false, false) => Cell::from("no").style(WARN),
    });
    cells.push(Cell::from(Line::from(key.accepted.to_string()).right_aligned()));
    let rejected = if key.rejected > 0 { BAD.bold() } else { DIM };
    cells.push(Cell::from(
        Line::from(key.rejected.to_string())
            .right_aligned()
            .style(rejected),
    ));
    let row = Row::new(cells);
    match (model.selected == Some(key.id), gone) {
        (true, _) => row.style(Style::new().bg(Color::Indexed(237))),
        (false, true) => row.style(DIM),
        (false, false) => row,
    }
}

fn state(model: &Model, key: &Key, wide: bool) -> Line<'static> {
    match key.state {
        None => Line::styled("not seen yet", DIM),
        Some(KeyState::Live) => Line::styled("live", GOOD),
        Some(state @ (KeyState::Retiring(ends) | KeyState::Unconfirmed(ends))) => {
            let left = ends.saturating_sub(model.elapsed);
            let [long, short] = BARS;
            let (full, empty) = bar(left, model.about.overlap, if wide { long } else { short });
            Line::from(vec![
                Span::styled(format!("{} {:>3} s ", state.name(), left.as_secs()), WARN),
                Span::styled(full, WARN),
                Span::styled(empty, DIM),
            ])
        }
        Some(state @ (KeyState::Removed | KeyState::Revoked)) => Line::styled(state.name(), DIM),
    }
}

/// The time left as a bar of so many cells: its full part and its empty part.
fn bar(left: Duration, whole: Duration, cells: usize) -> (String, String) {
    let each = whole / u32::try_from(cells).unwrap_or(1);
    let full = (0..cells)
        .filter(|cell| each * u32::try_from(*cell).unwrap_or(0) < left)
        .count();
    ("█".repeat(full), "░".repeat(cells - full))
}
