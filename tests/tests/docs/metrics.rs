//! `docs/metrics.md` and the alerts against what the controller really exports.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use kubeassume_controller::{Metrics, Sink, Status};
use kubeassume_core::clock::SystemClock;
use regex::Regex;

use crate::page::{Page, pages};

const ALERTS: &str = "deploy/prometheus/alerts.yaml";

/// What a row of the table says of a metric.
#[derive(Debug, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
    meaning: String,
}

#[test]
fn the_table_of_metrics_is_what_is_exported() {
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning] = cells[..] else {
            return None;
        };
        let name = name.strip_prefix("`kubeassume_")?.strip_suffix('`')?;
        let labels = labels.split(", ").filter(|label| *label != "-");
        let metric = Metric {
            kind: kind.to_owned(),
            labels: labels.map(|label| label.trim_matches('`').to_owned()).collect(),
            meaning: meaning.to_owned(),
        };
        Some((format!("kubeassume_{name}"), metric))
    };
    let page = Page::of("docs/metrics.md");
    let written: BTreeMap<String, Metric> = page.text.lines().filter_map(row).collect();
    assert_eq!(written, exported());
}

#[test]
fn pages_and_alerts_name_metrics_that_exist() {
    let known = exported();
    let pattern = Regex::new("kubeassume_[a-z]+_[a-z_]+").unwrap();
    let mut named = 0;
    for page in pages().into_iter().chain([Page::of(ALERTS)]) {
        for name in pattern.find_iter(&page.text) {
            named += 1;
            // Crates have names like these.
            let crates = ["kubeassume_core", "kubeassume_controller"];
            assert!(
                known.contains_key(name.as_str())
                    || crates.iter().any(|crate_name| name.as_str() == *crate_name),
                "{} names {}, which the controller does not export; it has {:?}",
                page.path,
                name.as_str(),
                known.keys()
            );
        }
    }
    assert!(named > 10, "the metrics were not found: {named}");
}

#[test]
fn alerts_are_valid_and_fire_when_they_should() {
    if !promtool(&["--version"]) {
        // Past the test harness, which swallows what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "\nNOT CHECKED: {ALERTS}, because there is no promtool on PATH (Debian: apt-get install prometheus)\n"
        );
        return;
    }
    let alerts = xtask::repository().join(ALERTS).display().to_string();
    assert!(promtool(&["check", "rules", &alerts]));
    let tests = Page::of("tests/tests/docs/alerts.test.yaml").text;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.test.yaml");
    std::fs::write(&file, tests.replace("ALERTS", &alerts)).unwrap();
    assert!(promtool(&["test", "rules", &file.display().to_string()]));
}

/// Whether promtool is there and content; what it says goes to the test's output.
fn promtool(arguments: &[&str]) -> bool {
    let Ok(output) = Command::new("promtool").args(arguments).output() else {
        return false;
    };
    println!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.status.success()
}

/// From the exposition of a replica that has something to say about everything.
fn exported() -> BTreeMap<String, Metric> {
    let mut status = Status::default();
    status.endpoints.insert("10.0.0.1:6443".to_owned(), None);
    let sink = Sink {
        verified: Some(Duration::ZERO),
        ..Sink::default()
    };
    status.sinks.insert("s3://keys".to_owned(), sink);
    let text = Metrics::new(&[("s3", "s3://keys".to_owned())], Arc::new(SystemClock::new())).encode(&status);

    let mut meanings: BTreeMap<&str, &str> = BTreeMap::new();
    let mut metrics = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match [(); 4].map(|()| words.next().unwrap_or_default()) {
            ["#", "HELP", family, help] => {
                meanings.insert(family, help.trim_end_matches('.'));
            }
            ["#", "TYPE", family, kind] => {
                let name = match kind {
                    "counter" => format!("{family}_total"),
                    _ => family.to_owned(),
                };
                let metric = Metric {
                    kind: kind.to_owned(),
                    labels: labels(&text, family),
                    meaning: meanings[family].to_owned(),
                };
                metrics.insert(name, metric);
            }
            _ => {}
        }
    }
    metrics
}

/// The labels of a family's samples, but for the one that every histogram has.
fn labels(text: &str, family: &str) -> BTreeSet<String> {
    let sample = Regex::new(&format!(
        r"(?m)^{family}(?:_total|_bucket|_sum|_count)?(?:\{{(.*)\}})? "
    ))
    .unwrap();
    let label = Regex::new("([a-z]+)=\"").unwrap();
    assert!(sample.is_match(text), "{family} has no sample in\n{text}");
    let sets = sample.captures_iter(text).filter_map(|found| found.get(1));
    sets.flat_map(|set| label.captures_iter(set.as_str()).map(|found| found[1].to_owned()))
        .filter(|name| name != "le")
        .collect()
}
