//! Buckets made ready, against servers that keep what they are told and answer as the clouds document it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests say plainly what they expect"
)]

mod azure;
mod gcs;
mod s3;
#[path = "../scripted/mod.rs"]
mod scripted;

use kubeassume_publishers::bucket::{Bucket, BucketError, Plan};
use scripted::{Request, Server};

/// Those that change something.
fn writes(server: &Server) -> Vec<Request> {
    server
        .requests()
        .into_iter()
        .filter(|request| request.method != "GET")
        .collect()
}

fn whats(plan: &Plan) -> Vec<&str> {
    plan.changes.iter().map(|change| change.what).collect()
}

fn found(plan: &Plan) -> String {
    let found: Vec<&str> = plan
        .findings
        .iter()
        .map(|finding| finding.what.as_str())
        .collect();
    found.join("\n")
}

/// Plans, applies what was planned, and sees that nothing is left to do.
async fn make(bucket: &dyn Bucket) -> Plan {
    let plan = bucket
        .plan()
        .await
        .unwrap_or_else(|error| panic!("{error}: {}", error.next()));
    bucket
        .apply(&plan)
        .await
        .unwrap_or_else(|error| panic!("{error}: {}", error.next()));
    let again = bucket.plan().await.unwrap();
    assert_eq!(whats(&again), [""; 0], "{again:#?}");
    assert_eq!(again.findings, plan.findings);
    plan
}

/// Refused, named, and nothing was written.
async fn refused(bucket: &dyn Bucket, server: &Server) -> (String, String) {
    let error = bucket.plan().await.expect_err("a refusal");
    assert!(writes(server).is_empty());
    said(&error)
}

fn said(error: &BucketError) -> (String, String) {
    let field = error.field().unwrap_or_default();
    (field.to_owned(), format!("{error}; {}", error.next()))
}
