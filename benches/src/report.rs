//! The last words of a bench: each figure beside its baseline of the same run.
#![allow(clippy::print_stdout, reason = "a bench speaks to a person")]

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

/// Prints the median of each `group/id`, that of `group_baseline/id`, and how they compare. Says nothing of
/// what was not measured since then: a filter left it out, or cargo only tests that the bench runs.
pub fn print_ratios(group: &str, ids: &[&str], at_most: f64, since: SystemTime) {
    let Some(folder) = results() else { return };
    for id in ids {
        let median = |group: &str| median(&folder.join(group).join(id).join("new/estimates.json"), since);
        if let (Some(own), Some(baseline)) = (median(group), median(&format!("{group}_baseline"))) {
            println!(
                "{:<16} {:>10.2} µs, baseline {:>8.2} µs: {:.2}x (at most {at_most}x)",
                format!("{group}/{id}"),
                own / 1000.0,
                baseline / 1000.0,
                own / baseline
            );
        }
    }
}

/// Where criterion keeps what it measured.
fn results() -> Option<PathBuf> {
    if let Some(home) = std::env::var_os("CRITERION_HOME") {
        return Some(home.into());
    }
    // <target>/release/deps/<bench>
    let target = std::env::current_exe().ok()?;
    Some(target.ancestors().nth(3)?.join("criterion"))
}

/// In nanoseconds.
fn median(estimates: &Path, since: SystemTime) -> Option<f64> {
    let modified = estimates.metadata().ok()?.modified().ok()?;
    if modified < since {
        return None;
    }
    let estimates: Value = serde_json::from_slice(&std::fs::read(estimates).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}
