//! The figures of one run, as a table or as JSON.

use std::thread::available_parallelism;

use serde_json::{Value, json};

/// What one run found.
pub(crate) struct Report {
    part: &'static str,
    rows: Vec<Row>,
}

struct Row {
    figure: String,
    goal: Option<Goal>,
    value: f64,
    unit: &'static str,
    how: String,
}

/// What a figure shall be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl Report {
    pub(crate) fn new(part: &'static str) -> Self {
        Self {
            part,
            rows: Vec::new(),
        }
    }

    /// A figure without a goal. `how` says what was done to get it.
    pub(crate) fn add(&mut self, figure: &str, value: f64, unit: &'static str, how: impl Into<String>) {
        self.push(figure, None, value, unit, how.into());
    }

    /// A figure with a goal.
    pub(crate) fn judge(
        &mut self,
        figure: &str,
        goal: Goal,
        value: f64,
        unit: &'static str,
        how: impl Into<String>,
    ) {
        self.push(figure, Some(goal), value, unit, how.into());
    }

    fn push(&mut self, figure: &str, goal: Option<Goal>, value: f64, unit: &'static str, how: String) {
        eprintln!("measure: {figure}: {} {unit} ({how})", shown(value));
        self.rows.push(Row {
            figure: figure.to_owned(),
            goal,
            value,
            unit,
            how,
        });
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "{}\n\n| figure | goal | measured | how |\n|---|---|---|---|\n",
            machine()
        );
        for row in &self.rows {
            let goal = row.goal.map_or(String::new(), |goal| {
                let (words, limit) = match goal {
                    Goal::AtMost(limit) => ("at most", limit),
                    Goal::AtLeast(limit) => ("at least", limit),
                };
                let verdict = if goal.is_met(row.value) { "met" } else { "missed" };
                format!("{words} {}: {verdict}", shown(limit))
            });
            text.push_str(&format!(
                "| {} | {goal} | {} {} | {} |\n",
                row.figure,
                shown(row.value),
                row.unit,
                row.how
            ));
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let (at_most, at_least) = match row.goal {
                Some(Goal::AtMost(limit)) => (Some(limit), None),
                Some(Goal::AtLeast(limit)) => (None, Some(limit)),
                None => (None, None),
            };
            json!({
                "figure": row.figure, "value": row.value, "unit": row.unit, "how": row.how,
                "atMost": at_most, "atLeast": at_least, "met": row.goal.map(|goal| goal.is_met(row.value)),
            })
        });
        json!({"part": self.part, "machine": machine(), "figures": rows.collect::<Vec<_>>()})
    }
}

/// The middle of an odd number of values, or of the lower half's end and the upper half's begin.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

fn machine() -> String {
    let cores = available_parallelism().map_or(0, usize::from);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model.trim());
    format!("Measured on {cores} cores of {model}; every server on the same machine.")
}

/// Three digits that mean something, or all of a whole number.
fn shown(value: f64) -> String {
    let whole = value.fract() == 0.0;
    match value.abs() {
        _ if whole => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
