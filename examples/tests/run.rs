//! Runs every example as a stranger would and checks what it says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says plainly what it expects"
)]

mod issuer;

use std::path::PathBuf;
use std::process::{Command, Output};

use issuer::Issuer;

/// Runs an example that `cargo test -p kubeassume-examples` built.
fn run(example: &str, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    // target/<profile>/deps/run-<hash> beside target/<profile>/examples/<example>
    let program: PathBuf = test.ancestors().nth(2).unwrap().join("examples").join(example);
    assert!(
        program.exists(),
        "{} is not built; run without --test",
        program.display()
    );
    Command::new(program).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_token() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::start(folder.path()).await;
    let (url, ca) = (issuer.url.as_str(), issuer.ca_file.to_str().unwrap());

    let token = issuer.token_file("good", "sts.example.com");
    let output = run("verify_token", &[url, "sts.example.com", &token, ca]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        said.contains("accepted: system:serviceaccount:shop:checkout"),
        "{said}"
    );
    assert!(said.contains("ES256 first"), "{said}");

    let token = issuer.token_file("other", "vault");
    let output = run("verify_token", &[url, "sts.example.com", &token, ca]);
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("refused at hop"),
        "{}",
        text(&output.stderr)
    );
    assert!(
        text(&output.stderr).contains("claims"),
        "{}",
        text(&output.stderr)
    );

    // Without the private authority, nothing of the issuer is believed.
    let output = run("verify_token", &[url, "sts.example.com", &token]);
    assert!(
        text(&output.stderr).contains("certificate"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn embed_pipeline() {
    let output = run("embed_pipeline", &[]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(said.contains("NewKey: new key"), "{said}");
    assert!(
        said.contains("published: 2 keys at https://oidc.example.com/cluster1/openid/v1/jwks"),
        "{said}"
    );
}

#[test]
fn embed_merger() {
    let output = run("embed_merger", &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    for line in [
        "hour  1: new key \"new\"",
        "hour 26: key \"old\" is no longer published",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn own_document_store() {
    let output = run("own_document_store", &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("the table conforms"));
}
