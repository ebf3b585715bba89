//! Keys by URL.

use std::collections::BTreeSet;
use std::sync::Arc;

use kubeassume_core::http::UrlSource;
use kubeassume_core::{Addressing, Answer, IssuerUrl, Observation, Refusal, Source, SourceError, Timestamp};
use serde_json::{Value, json};

use super::server::{Reply, Server, jwk, ok, response};

const ISSUER: &str = "https://oidc.example.com/c1";
const DISCOVERY: &str = "/.well-known/openid-configuration";
const JWKS: &str = "/openid/v1/jwks";

fn issuer() -> IssuerUrl {
    ISSUER.parse().unwrap()
}

fn discovery() -> Value {
    json!({"issuer": ISSUER, "jwks_uri": "https://elsewhere.example/openid/v1/jwks"})
}

fn base(server: &Server) -> IssuerUrl {
    server.url("").parse().unwrap()
}

fn kids(observation: &Observation, endpoint: &IssuerUrl) -> BTreeSet<String> {
    match &observation.answers[endpoint.as_str()] {
        Answer::Read { parsed, .. } => parsed.keys.iter().map(|key| key.kid().to_owned()).collect(),
        Answer::Failed(error) => panic!("{error}"),
    }
}

fn failure(observation: &Observation) -> SourceError {
    let (_, error) = observation.failures().next().unwrap();
    error.clone()
}

async fn serving(kid: &'static str) -> Server {
    let key = jwk(kid);
    Server::start("localhost", move |path, _| {
        let document = match path {
            DISCOVERY => discovery(),
            _ => json!({"keys": [key]}),
        };
        Reply::Bytes(ok(
            &document.to_string(),
            "Date: Sat, 21 Nov 2026 10:20:30 GMT\r\n",
        ))
    })
    .await
}

#[tokio::test]
async fn each_server_is_read_once_with_its_clock_and_a_broken_one_hides_nobody() {
    let (a, b) = (serving("a").await, serving("b").await);
    let down: IssuerUrl = "https://localhost:1".parse().unwrap();
    let both = format!("{}{}", a.ca_pem, b.ca_pem);
    let reader = Arc::new(kubeassume_core::http::HttpReader::new(Some(both.as_bytes())).unwrap());
    let source = UrlSource::each(issuer(), [base(&a), base(&b), down.clone()], reader);

    let seen = source.observe().await;
    assert_eq!(seen.addressing, Addressing::Each);
    assert_eq!(kids(&seen, &base(&a)), ["a".to_owned()].into());
    assert_eq!(kids(&seen, &base(&b)), ["b".to_owned()].into());
    assert!(!seen.is_complete());
    let failures: Vec<_> = seen.failures().collect();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].0, down.as_str());
    assert_eq!(failures[0].1.label(), "unreachable");
    match &seen.answers[base(&a).as_str()] {
        Answer::Read { date, .. } => assert_eq!(*date, "2026-11-21T10:20:30Z".parse::<Timestamp>().ok()),
        Answer::Failed(error) => panic!("{error}"),
    }
    assert_eq!(a.requests().len(), 2, "one discovery document and one key set");

    assert!(source.probe(base(&a).as_str()).await);
    assert!(!source.probe(down.as_str()).await);
    assert!(!source.probe("https://unknown.example").await);
}

#[tokio::test]
async fn a_shared_address_is_read_three_times_and_its_servers_keys_are_united() {
    let keys = [jwk("a"), jwk("b")];
    let server = Server::of(move |path, number| match path {
        DISCOVERY => Some(discovery()),
        // Two servers take turns behind the address.
        JWKS => Some(json!({"keys": [keys[number / 2 % 2]]})),
        _ => None,
    })
    .await;
    let source = UrlSource::shared(issuer(), base(&server), Arc::new(server.reader()));
    let seen = source.observe().await;
    assert_eq!(seen.addressing, Addressing::Shared);
    assert_eq!(
        kids(&seen, &base(&server)),
        ["a".to_owned(), "b".to_owned()].into()
    );
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn one_failed_read_of_a_shared_address_fails_it_whole() {
    let key = jwk("a");
    let server = Server::of(move |path, number| match path {
        DISCOVERY if number < 5 => Some(discovery()),
        JWKS => Some(json!({"keys": [key]})),
        _ => None,
    })
    .await;
    let source = UrlSource::shared(issuer(), base(&server), Arc::new(server.reader()));
    assert_eq!(failure(&source.observe().await), SourceError::NoDiscovery);
}

#[tokio::test]
async fn one_kid_for_two_keys_behind_one_address_is_refused() {
    let keys = [jwk("same"), jwk("same")];
    let server = Server::of(move |path, number| match path {
        DISCOVERY => Some(discovery()),
        _ => Some(json!({"keys": [keys[number / 2 % 2]]})),
    })
    .await;
    let source = UrlSource::shared(issuer(), base(&server), Arc::new(server.reader()));
    let expected = SourceError::Refused(Refusal::DuplicateKid("same".to_owned()));
    assert_eq!(failure(&source.observe().await), expected);
}

#[tokio::test]
async fn failures_are_told_by_meaning() {
    let key = jwk("a");
    let status = |line: &str| response(line, "", "Location: /\r\n");
    let good_keys = || ok(&json!({"keys": [key]}).to_string(), "");
    let good = || ok(&discovery().to_string(), "");
    let slash = ok(
        &json!({"issuer": format!("{ISSUER}/"), "jwks_uri": "https://x"}).to_string(),
        "",
    );
    let large = ok(&" ".repeat((1 << 20) + 1), "");
    for (discovery, jwks, label) in [
        (status("404 Not Found"), good_keys(), "no_discovery"),
        (status("401 Unauthorized"), good_keys(), "denied"),
        (status("403 Forbidden"), good_keys(), "denied"),
        (status("302 Found"), good_keys(), "status"),
        (status("500 Oops"), good_keys(), "status"),
        (slash, good_keys(), "issuer"),
        (ok("<html>", ""), good_keys(), "discovery"),
        (large.clone(), good_keys(), "discovery"),
        (good(), status("403 Forbidden"), "denied"),
        (good(), ok("{\"keys\":[]}", ""), "refused"),
        (good(), large, "refused"),
    ] {
        let server = Server::start("localhost", move |path, _| {
            Reply::Bytes(if path == DISCOVERY {
                discovery.clone()
            } else {
                jwks.clone()
            })
        })
        .await;
        let source = UrlSource::each(issuer(), [base(&server)], Arc::new(server.reader()));
        assert_eq!(failure(&source.observe().await).label(), label);
        assert!(!source.probe(base(&server).as_str()).await);
    }
}
