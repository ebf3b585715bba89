//! `ci`: every check, quickest first, then the tests; ends with timings and with what it left out.

use std::process::Command;
use std::time::Instant;

use crate::step::{self, Outcome, cargo};
use crate::{commands, guards, instructions};

/// Its name in the summary, and what it does.
type Step = (&'static str, fn() -> Outcome);

pub(crate) fn run() -> Outcome {
    let deny = has("cargo-deny");
    let mut steps: Vec<Step> = vec![("fmt", || commands::fmt(false)), ("guards", guards::check)];
    if deny {
        steps.push(("deny", cargo_deny));
    }
    steps.extend([
        ("clippy", commands::clippy as fn() -> Outcome),
        ("doc", commands::doc),
    ]);
    steps.push(("test", || commands::test(&[])));
    steps.push(("instructions", instructions::check));
    run_steps(&steps)?;
    println!("not checked here:");
    for gap in gaps(deny) {
        println!("  - {gap}");
    }
    Ok(())
}

/// Stops at the first step that fails.
fn run_steps(steps: &[Step]) -> Outcome {
    let begun = Instant::now();
    let mut lines = Vec::new();
    for (name, step) in steps {
        eprintln!("\n== {name}");
        let started = Instant::now();
        let outcome = step();
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        lines.push(format!(
            "  {name:<12} {:>5} s  {verdict}",
            started.elapsed().as_secs()
        ));
        if let Err(message) = outcome {
            println!("\nci, until the failure:\n{}", lines.join("\n"));
            return Err(message);
        }
    }
    println!(
        "\nci: everything passed in {} s\n{}",
        begun.elapsed().as_secs(),
        lines.join("\n")
    );
    Ok(())
}

fn has(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn cargo_deny() -> Outcome {
    step::run(&mut cargo([
        "deny",
        "--all-features",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

/// Honest about what a green run does not say.
fn gaps(deny: bool) -> Vec<&'static str> {
    let mut gaps = vec![
        "RustSec advisories: they need the advisory database, which is not fetched here (`cargo deny check advisories`)",
        "real cloud accounts: S3 is versitygw and moto, Google's storage is fake-gcs-server, Azure is azurite, OCI and what these lack are stand-ins (`cargo xtask conformance` lists what none of them shows), and no request leaves this machine",
        "systems other than this one: neither macOS, Windows nor another CPU",
        "coverage: on demand, `cargo xtask coverage`",
        "wall times: on demand, `cargo bench -p kubeassume-benches`",
    ];
    if !has("promtool") {
        gaps.push("the alerts in deploy/prometheus/: promtool is not installed (Debian: prometheus)");
    }
    if !deny {
        gaps.push("deny.toml itself: cargo-deny is not installed (`guards` covers its bans and licences)");
    }
    if !instructions::is_measurable() {
        gaps.push("instruction counts: valgrind is not installed");
    }
    gaps
}
