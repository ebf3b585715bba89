//! The demo proves something: it succeeds as it is, and fails when its overlap is taken away.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::sync::{Mutex, PoisonError};

use support::{Ended, run};

/// One demo at a time: each keeps a whole control plane busy.
fn demo(arguments: &[&str]) -> Ended {
    static STAGE: Mutex<()> = Mutex::new(());
    let _alone = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    run(&[["demo", "-o", "json"].as_slice(), arguments].concat())
}

#[test]
fn no_valid_token_is_rejected() {
    let reports = tempfile::tempdir().unwrap();
    let report = reports.path().join("report.html");
    let ended = demo(&["--seconds", "30", "--report", report.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let outcome = ended.json();
    assert!(outcome["tokens_verified"].as_u64().unwrap() >= 200, "{ended:?}");
    assert_eq!(outcome["tokens_rejected"], 0);
    assert!(outcome["rotations"].as_u64().unwrap() >= 1);
    assert!(outcome["writes"].as_u64().unwrap() >= 2);
    assert!(outcome["leader_changes"].as_u64().unwrap() >= 1);
    let html = std::fs::read_to_string(&report).unwrap();
    assert!(html.contains("<svg ") && html.contains("No valid token was rejected."));
    assert!(
        !html.contains("<script") && !html.contains("src=\"http"),
        "the report stands alone"
    );
}

#[test]
fn without_an_overlap_valid_tokens_are_rejected() {
    let ended = demo(&["--seconds", "20", "--overlap", "0s"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.json()["tokens_rejected"].as_u64().unwrap() > 0, "{ended:?}");
    assert!(ended.stderr.contains("valid tokens were rejected"), "{ended:?}");
}

#[test]
fn a_run_without_a_finished_rotation_proves_nothing() {
    let ended = demo(&["--seconds", "5", "--overlap", "1h"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("no rotation was finished"), "{ended:?}");
}
