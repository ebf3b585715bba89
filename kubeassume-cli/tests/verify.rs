//! `kubeassume verify` against a real HTTPS server: accepted, and refused at each hop.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use serde_json::json;
use support::{DISCOVERY, Ended, SigningKey, Site, run};

/// Verifies a token, for audience `sts`.
fn verify(site: &Site, token: &str, more: &[&str]) -> Ended {
    let file = site.file("token", &format!("{token}\n"));
    let arguments = [
        "verify",
        "--issuer",
        &site.url,
        "--token",
        &file,
        "--audience",
        "sts",
        "--cacert",
        site.ca(),
    ];
    let ended = run(&[arguments.as_slice(), more].concat());
    for segment in token.split('.').filter(|segment| segment.len() > 8) {
        assert!(
            !ended.stdout.contains(segment) && !ended.stderr.contains(segment),
            "the token is told: {ended:?}"
        );
    }
    ended
}

fn refused(site: &Site, token: &str, hop: &str) {
    let ended = verify(site, token, &["-o", "json"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(ended.json()["accepted"], false);
    assert_eq!(ended.json()["hop"], hop, "{ended:?}");
    assert!(
        ended.stderr.contains("  cause: ") && ended.stderr.contains("  next: "),
        "{ended:?}"
    );
}

#[test]
fn accepts_a_token_and_shows_its_claims() {
    let (site, key) = (Site::start(), SigningKey::new("a"));
    site.publish(&[&key]);
    let token = key.token_of(&site.url);
    let ended = verify(&site, &token, &["-o", "json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        ended.json()["claims"]["subject"],
        "system:serviceaccount:demo:pod"
    );
    assert_eq!(ended.json()["claims"]["kid"], "a");
    let ended = verify(&site, &token, &[]);
    assert!(ended.stdout.starts_with("accepted\n"), "{ended:?}");
    let ended = verify(&site, &token, &["-o", "yaml"]);
    assert!(ended.stdout.starts_with("accepted: true\n"), "{ended:?}");
}

#[test]
fn names_the_hop_that_fails() {
    let (site, key, other) = (Site::start(), SigningKey::new("a"), SigningKey::new("b"));
    site.publish(&[&key]);
    let token = key.token_of(&site.url);
    refused(&site, "not-a-token", "token");
    refused(&site, &other.token_of(&site.url), "key");
    refused(&site, &SigningKey::new("a").token_of(&site.url), "signature");
    refused(
        &site,
        &key.token(&json!({"iss": site.url, "sub": "s", "aud": "x", "iat": 1, "exp": 2})),
        "claims",
    );

    site.answer(
        "/openid/v1/jwks",
        200,
        r#"{"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0"}]}"#,
    );
    refused(&site, &token, "jwks");
    site.answer("/openid/v1/jwks", 403, "");
    refused(&site, &token, "jwks");
    site.answer(
        DISCOVERY,
        200,
        site.discovery("https://other.example.com", "https://other.example.com/jwks"),
    );
    refused(&site, &token, "discovery");
    site.redirect(DISCOVERY, "https://other.example.com/");
    refused(&site, &token, "discovery");
    site.answer(DISCOVERY, 404, "");
    refused(&site, &token, "discovery");
}

#[test]
fn does_not_trust_a_stranger_s_certificate() {
    let (site, key) = (Site::start(), SigningKey::new("a"));
    site.publish(&[&key]);
    let ended = run(&["verify", "--issuer", &site.url, "-o", "json"]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.json()["hop"], "discovery");
    assert!(ended.stderr.contains("--cacert"), "{ended:?}");
}

#[test]
fn checks_the_documents_alone() {
    let (site, key) = (Site::start(), SigningKey::new("a"));
    site.publish(&[&key]);
    let documents = |more: &[&str]| {
        run(&[
            ["verify", "--issuer", &site.url, "--cacert", site.ca()].as_slice(),
            more,
        ]
        .concat())
    };
    let ended = documents(&["-o", "json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["keys"][0]["kid"], "a");
    assert!(
        documents(&[])
            .stdout
            .contains("remark: key \"a\": its kid is not"),
        "a remark is told"
    );
    site.answer("/openid/v1/jwks", 200, r#"{"keys":[]}"#);
    assert_eq!(documents(&[]).code, 1);
}

#[test]
fn reads_the_token_from_standard_input() {
    use std::io::Write as _;
    use std::process::Stdio;
    let (site, key) = (Site::start(), SigningKey::new("a"));
    site.publish(&[&key]);
    let mut child = support::kubeassume(&[
        "verify",
        "--issuer",
        &site.url,
        "--token",
        "-",
        "--audience",
        "sts",
        "--cacert",
        site.ca(),
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(key.token_of(&site.url).as_bytes())
        .unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{ended:?}");
}
