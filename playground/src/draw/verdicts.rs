//! The relying parties: what they made of the tokens, in numbers and second by second.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, RenderDirection, Sparkline, SparklineBar};

use super::{BAD, DIM, GOOD, WARN, WIDE, part};
use crate::model::{Model, Party, Second};

/// Verdicts in a second that fill a bar: what is left when a second has one less than its two API servers give.
const FULL: u64 = 3;
/// Columns of the numbers.
const NUMBERS: u16 = 37;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let total = model
        .parties
        .iter()
        .map(|party| party.total.rejected)
        .sum::<u64>();
    let sum = match total {
        0 => Line::styled(" no valid token rejected ", GOOD),
        many => Line::styled(format!(" {many} VALID TOKENS REJECTED "), BAD.bold()),
    };
    let title = match area.width >= WIDE {
        true => "verdicts: what relying parties make of the pods' tokens",
        false => "verdicts",
    };
    let block = part(title).title(sum.right_aligned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let each = inner.height / u16::try_from(model.parties.len().max(1)).unwrap_or(1);
    let rows = Layout::vertical(model.parties.iter().map(|_| Constraint::Length(each.max(1)))).split(inner);
    for (party, row) in model.parties.iter().zip(rows.iter()) {
        self::party(frame, *row, party);
    }
}

fn party(frame: &mut Frame<'_>, area: Rect, party: &Party) {
    let [numbers, bars] = Layout::horizontal([Constraint::Length(NUMBERS), Constraint::Min(0)]).areas(area);
    let Second {
        accepted,
        rejected,
        unreadable,
    } = party.total;
    let count = |number: u64, word: &str, style: Style| {
        Span::styled(format!("{number} {word} "), if number > 0 { style } else { DIM })
    };
    let lines = if area.height > 1 {
        vec![
            Line::from(party.name).bold(),
            Line::from(vec![
                count(accepted, "ok", GOOD),
                count(rejected, "rejected", BAD.bold()),
                count(unreadable, "unreadable", WARN),
            ]),
        ]
    } else {
        vec![Line::from(vec![
            Span::raw(format!("{:<18} ", party.name)).bold(),
            count(accepted, "ok", GOOD),
            count(rejected, "bad", BAD.bold()),
        ])]
    };
    frame.render_widget(Paragraph::new(lines), numbers);
    // The current second has only begun.
    let past = party.seconds.iter().rev().skip(1).map(|second| bar(*second));
    let sparkline = Sparkline::default()
        .data(past.collect::<Vec<_>>())
        .max(FULL)
        .direction(RenderDirection::RightToLeft);
    frame.render_widget(sparkline, bars);
}

fn bar(second: Second) -> SparklineBar {
    let style = match second {
        Second { rejected: 1.., .. } => BAD,
        Second { unreadable: 1.., .. } => WARN,
        _ => GOOD,
    };
    SparklineBar::from(second.all()).style(style)
}
