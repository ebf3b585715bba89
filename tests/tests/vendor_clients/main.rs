//! Our requests to S3, Cloud Storage and Azure's Blob service against those of the vendors' own clients, on the same
//! server.
//!
//! Each difference is listed by name; one more is a failure. Oracle's are in `oci_sdk.rs`, the exchanges of tokens in
//! `google_federation.rs` and `entra.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

mod azure;
mod azure_container;
mod gcs;
mod s3;

use std::process::Output;

use kubeassume_core::store::{DocumentPath, DocumentStore, NewDocument, Precondition};
use kubeassume_publishers::Tls;
use kubeassume_tests::{Binary, Essence, Testbed, binary, differences};
use serde_json::Value;

const BUCKET: &str = "issuer";
const KEY: &str = "c1/openid/v1/jwks";

fn document(body: &'static str) -> NewDocument {
    NewDocument {
        bytes: body.into(),
        content_type: "application/jwk-set+json".to_owned(),
        cache_control: "public, max-age=300".to_owned(),
        metadata: [("kubeassume-generation".to_owned(), "7".to_owned())].into(),
    }
}

fn tls(bed: &Testbed) -> Tls {
    Tls {
        ca_pem: Some(bed.pki().ca_pem().as_bytes().to_vec()),
    }
}

fn statuses(outcomes: &Value) -> Vec<u64> {
    let outcomes = outcomes.as_array().unwrap().iter();
    outcomes
        .map(|outcome| outcome["status"].as_u64().unwrap())
        .collect()
}

/// Create, refused create, read, list, replace, and what a store needs of reading before and after deleting.
async fn use_store(store: &dyn DocumentStore) {
    let path = DocumentPath::JWKS;
    store
        .put(&path, &document("one"), &Precondition::Absent)
        .await
        .unwrap();
    store
        .put(&path, &document("two"), &Precondition::Absent)
        .await
        .unwrap_err();
    let stored = store.get(&path).await.unwrap().unwrap();
    assert_eq!(&stored.bytes[..], b"one");
    store.list().await.unwrap();
    let replaced = Precondition::Matches(stored.version);
    let last = store.put(&path, &document("three"), &replaced).await.unwrap();
    store.delete(&path, &last).await.unwrap();
}

#[track_caller]
fn assert_differences(ours: &[Essence], theirs: &[Essence], expected: &[&str]) {
    let differences = differences(ours, theirs);
    let differences: Vec<&str> = differences.iter().map(String::as_str).collect();
    assert_eq!(differences, expected, "{differences:#?}");
}

/// `kubeassume bucket create CLOUD ARGUMENTS -o json`, with nothing of the machine's environment.
async fn create_bucket(cloud: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::new(binary(Binary::Cli));
    command
        .args(["bucket", "create", cloud, "-o", "json"])
        .args(arguments)
        .env_clear()
        .env("HOME", "/nonexistent")
        .envs(environment.iter().copied());
    command.output().await.unwrap()
}

/// What a command that succeeds prints.
#[track_caller]
fn json_of(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}
