//! The testbed itself: what the end-to-end tests take for granted about the servers and the harness.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_sdk_s3::Client;
use kubeassume_core::testing::{publisher, store};
use kubeassume_tests::{
    ApiServerConfig, Azurite, FakeGcs, SigningKey, Testbed, Versitygw, token_kid, trust_issuer, until,
};

const ISSUER: &str = "https://localhost:1/cluster";
const AUDIENCE: &str = "sts.amazonaws.com";

#[tokio::test]
async fn two_api_servers_on_one_etcd_serve_their_own_keys() {
    let bed = Testbed::new("api-servers");
    let etcd = bed.etcd().await;
    let (old, new) = (SigningKey::rsa(), SigningKey::p256());
    let mut first = bed.api_server(ApiServerConfig::new(&etcd, ISSUER, &old)).await;
    let second = ApiServerConfig {
        served_keys: vec![old.clone(), new.clone()],
        ..ApiServerConfig::new(&etcd, ISSUER, &old)
    };
    let second = bed.api_server(second).await;

    assert_eq!(first.served_kids().await, [old.kid()]);
    let both = sorted([old.kid(), new.kid()]);
    assert_eq!(sorted(second.served_kids().await), both);

    // One cluster: what one API server creates, the other knows.
    first.service_account("pods", "app").await;
    let token = second.token("pods", "app", ISSUER).await;
    assert_eq!(token_kid(&token), old.kid());
    assert_eq!(
        first.who_is(&token).await.unwrap(),
        "system:serviceaccount:pods:app"
    );

    // A rotation step: killed hard, back on the same port, signing with the other kind of key.
    let url = first.url();
    first.kill().await;
    assert!(
        first.try_token("pods", "app", ISSUER).await.is_err(),
        "nothing listens after kill"
    );
    first.start_with(&new, &[&old, &new]).await;
    assert_eq!(first.url(), url);
    assert_eq!(sorted(first.served_kids().await), both);
    let signed_by_new = first.token("pods", "app", ISSUER).await;
    assert_eq!(token_kid(&signed_by_new), new.kid());
    assert_eq!(
        second.who_is(&signed_by_new).await.unwrap(),
        "system:serviceaccount:pods:app"
    );

    // An orderly restart, after which a token of the key that went is refused.
    first.stop().await;
    first.start_with(&new, &[&new]).await;
    assert_eq!(first.served_kids().await, [new.kid()]);
    assert_eq!(first.who_is(&token).await, Err(401));
}

#[tokio::test]
async fn kubectl_reaches_the_api_server_through_a_kubeconfig() {
    let bed = Testbed::new("kubectl");
    let etcd = bed.etcd().await;
    let api = bed
        .api_server(ApiServerConfig::new(&etcd, ISSUER, &SigningKey::p256()))
        .await;
    let kubectl = kubeassume_tests::server(xtask::testbed::Server::Kubectl).await;
    let who = |kubeconfig: std::path::PathBuf| {
        let output = Command::new(&kubectl)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(who(api.kubeconfig("admin", api.admin_token())), "admin");
    api.service_account("pods", "app").await;
    let token = api.token("pods", "app", ISSUER).await;
    assert_eq!(
        who(api.kubeconfig("app", &token)),
        "system:serviceaccount:pods:app"
    );
}

#[tokio::test]
async fn s3_refuses_stale_writes_and_shows_only_what_the_policy_allows() {
    let bed = Testbed::new("s3");
    let mut gateway = bed.versitygw().await;
    let (bucket, public) = ("issuer", "c1/openid/v1/jwks");
    gateway.public_bucket(bucket, &[public]).await;
    let s3 = gateway.client();
    let first = put(&s3, bucket, public, "one", Some("*"), None).await.unwrap();
    assert_eq!(
        put(&s3, bucket, public, "two", Some("*"), None).await,
        Err(412),
        "create over an object"
    );
    put(&s3, bucket, public, "two", None, Some(&first)).await.unwrap();
    assert_eq!(
        put(&s3, bucket, public, "three", None, Some(&first)).await,
        Err(412),
        "a stale version"
    );
    put(&s3, bucket, "c1/state", "secret", None, None).await.unwrap();

    let anonymous = async |gateway: &Versitygw, key: &str| {
        let response = bed
            .http()
            .get(format!("{}/{bucket}/{key}", gateway.url()))
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(anonymous(&gateway, public).await, (200, "two".to_owned()));
    assert_eq!(anonymous(&gateway, "c1/state").await.0, 403);
    assert_eq!(anonymous(&gateway, "c1/absent").await.0, 403);

    assert_eq!(gateway.successful_puts(&format!("{bucket}/{public}")), 2);
    let refused = gateway
        .access_log()
        .iter()
        .filter(|access| access.status == 412)
        .count();
    assert_eq!(refused, 2);

    gateway.stop().await;
    assert!(
        bed.http().get(gateway.url()).send().await.is_err(),
        "nothing listens after stop"
    );
    gateway.start_again().await;
    assert_eq!(anonymous(&gateway, public).await, (200, "two".to_owned()));
    assert_eq!(
        gateway.successful_puts(&format!("{bucket}/{public}")),
        2,
        "the log survives a restart"
    );
}

/// The whole public path without KubeAssume: documents copied by hand.
#[tokio::test]
async fn relying_parties_accept_published_keys_and_no_others() {
    let bed = Testbed::new("relying-parties");
    let gateway = bed.versitygw().await;
    let etcd = bed.etcd().await;
    let issuer = format!("{}/issuer/c1", gateway.url());
    let (old, new) = (SigningKey::rsa(), SigningKey::p256());
    let mut api = bed.api_server(ApiServerConfig::new(&etcd, &issuer, &old)).await;
    api.service_account("pods", "app").await;
    let old_token = api.token("pods", "app", AUDIENCE).await;

    let documents = ["c1/.well-known/openid-configuration", "c1/openid/v1/jwks"];
    gateway.public_bucket("issuer", &documents).await;
    let (_, jwks) = api.get("/openid/v1/jwks").await;
    let (_, discovery) = api.get("/.well-known/openid-configuration").await;
    let discovery: serde_json::Value = serde_json::from_str(&discovery).unwrap();
    let discovery = with_jwks_uri(discovery, &format!("{issuer}/openid/v1/jwks"));
    let s3 = gateway.client();
    put(&s3, "issuer", documents[0], &discovery, None, None)
        .await
        .unwrap();
    put(&s3, "issuer", documents[1], &jwks, None, None).await.unwrap();

    let mut library = bed.relying_party(&issuer, AUDIENCE).await;
    let mut fresh = bed.fresh_relying_party(&issuer, AUDIENCE).await;
    let remote = ApiServerConfig {
        etcd_prefix: "/remote".to_owned(),
        authentication: Some(trust_issuer(&issuer, AUDIENCE, bed.pki().ca_pem())),
        ..ApiServerConfig::new(&etcd, "https://remote.example", &SigningKey::p256())
    };
    let remote = bed.api_server(remote).await;

    let subject = "system:serviceaccount:pods:app";
    let verdict = library.verify(&old_token).await;
    assert!(verdict.ok && verdict.sub == subject, "{verdict:?}");
    assert!(fresh.verify(&old_token).await.ok);
    // The API server discovers a trusted issuer in the background.
    let limit = Duration::from_secs(60);
    let user = until("the remote API server to trust", limit, async || {
        remote
            .who_is(&old_token)
            .await
            .map_err(|status| format!("HTTP {status}"))
    })
    .await;
    assert_eq!(user, format!("remote:{subject}"));

    api.kill().await;
    api.start_with(&new, &[&old, &new]).await;
    let unpublished = api.token("pods", "app", AUDIENCE).await;
    let verdict = library.verify(&unpublished).await;
    assert!(
        !verdict.ok && !verdict.error.contains(&unpublished),
        "{verdict:?}"
    );
    assert!(!fresh.verify(&unpublished).await.ok);
    assert_eq!(remote.who_is(&unpublished).await, Err(401));

    let (_, jwks) = api.get("/openid/v1/jwks").await;
    put(&s3, "issuer", documents[1], &jwks, None, None).await.unwrap();
    assert!(library.verify(&unpublished).await.ok, "published now");
    assert!(fresh.verify(&unpublished).await.ok);
    until("the remote API server to refetch", limit, async || {
        remote
            .who_is(&unpublished)
            .await
            .map_err(|status| format!("HTTP {status}"))
    })
    .await;
    let other = api.token("pods", "app", "other.example").await;
    assert!(!library.verify(&other).await.ok, "another audience");
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let bed = Testbed::new("drop");
    let mut etcd = bed.etcd().await;
    let (pid, url) = (etcd.process().pid(), etcd.url().to_owned());
    assert!(runs(pid));
    drop(etcd);
    assert!(!runs(pid));
    assert!(bed.http().get(url).send().await.is_err());
}

/// This test runs itself as a second process, which starts a child and is then killed with SIGKILL.
#[tokio::test]
async fn children_end_with_a_test_process_that_is_killed() {
    const ROLE: &str = "KUBEASSUME_TESTBED_VICTIM";
    let bed = Testbed::new("killed");
    if std::env::var_os(ROLE).is_some() {
        let child = bed.launch("child", "sleep").arg("600").start();
        println!("child={}", child.pid());
        // Until it is killed.
        loop {
            std::thread::park();
        }
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "children_end_with_a_test_process_that_is_killed", "--nocapture"])
        .env(ROLE, "1")
        // The folder that it cannot remove lies in ours.
        .env("TMPDIR", bed.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    // libtest prints the test's name without a line's end first.
    let pid = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("child=")?.1.parse().unwrap()));
    let pid = pid.expect("the second process reports its child");
    assert!(runs(pid));
    victim.kill().unwrap();
    victim.wait().unwrap();
    until("the child to end", Duration::from_secs(60), async || {
        if runs(pid) { Err("it runs") } else { Ok(()) }
    })
    .await;
}

/// PUT with preconditions: the new ETag, or the refusal's status.
async fn put(
    s3: &Client,
    bucket: &str,
    key: &str,
    body: &str,
    if_none_match: Option<&str>,
    if_match: Option<&str>,
) -> Result<String, u16> {
    let request = s3
        .put_object()
        .bucket(bucket)
        .key(key)
        .body(body.as_bytes().to_vec().into());
    let request = request
        .set_if_none_match(if_none_match.map(str::to_owned))
        .set_if_match(if_match.map(str::to_owned));
    match request.send().await {
        Ok(answer) => Ok(answer.e_tag().unwrap().to_owned()),
        Err(error) => Err(error.raw_response().expect("an answer").status().as_u16()),
    }
}

fn with_jwks_uri(mut discovery: serde_json::Value, uri: &str) -> String {
    discovery["jwks_uri"] = uri.into();
    discovery.to_string()
}

fn sorted<S: Into<String>>(kids: impl IntoIterator<Item = S>) -> Vec<String> {
    let mut kids: Vec<String> = kids.into_iter().map(Into::into).collect();
    kids.sort();
    kids
}

fn runs(pid: u32) -> bool {
    Command::new("kill")
        .args(["-0", &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

#[test]
fn the_table_names_the_versions_that_are_pinned() {
    for (file, version, before) in [
        ("versitygw/go.mod", Versitygw::VERSION, "versitygw v"),
        ("fake-gcs-server/go.mod", FakeGcs::VERSION, "fake-gcs-server v"),
        ("azurite/package.json", Azurite::VERSION, "azurite\": \""),
    ] {
        let pins = xtask::repository().join("tests/testbed/servers").join(file);
        let pins = std::fs::read_to_string(pins).unwrap();
        let (_, number) = version.split_once(' ').unwrap();
        assert!(pins.contains(&format!("{before}{number}")), "{file}: {version}");
    }
}

#[test]
fn the_table_demands_the_whole_suites() {
    let store = store::CHECKS.map(|check| check.name);
    let publisher = publisher::CHECKS.map(|check| check.name);
    assert_eq!(xtask::conformance::CHECKS[..], [&store[..], &publisher].concat());
}
