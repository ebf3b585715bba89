//! Google Cloud Storage behind fake-gcs-server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kubeassume_cloud::google::Credentials;
use kubeassume_publishers::Tls;
use kubeassume_publishers::gcs::{GcsConfig, GcsStore};
use kubeassume_tests::{FakeGcs, FaultProxy, Row, Testbed, google_refusal};
use secrecy::SecretString;

use crate::cases::{Dialect, Outcome, common, refused};
use crate::play::{Stage, play_all};

const BUCKET: &str = "issuer";

#[tokio::test(flavor = "multi_thread")]
async fn gcs_ends_right_after_every_fault() {
    let bed = Testbed::new("gcs-faults");
    let gcs = bed.fake_gcs().await;
    gcs.bucket(BUCKET).await;
    let prefixes = AtomicUsize::new(0);
    let tls = Tls {
        ca_pem: Some(bed.pki().ca_pem().as_bytes().to_vec()),
    };
    let stage = async |patience| {
        let proxy = FaultProxy::start(&bed, gcs.url()).await;
        let prefix = format!("c{}", prefixes.fetch_add(1, Ordering::Relaxed));
        let config = |endpoint: &str| GcsConfig {
            bucket: BUCKET.to_owned(),
            endpoint: Some(endpoint.to_owned()),
            public_url: Some(format!("{}/{BUCKET}/{prefix}", gcs.url())),
            prefix: Some(prefix.clone()),
            ..GcsConfig::default()
        };
        let open = |endpoint: &str| {
            let token = Credentials::token(SecretString::from("a-token"));
            GcsStore::open_with(&config(endpoint), &tls, token).unwrap()
        };
        let (direct, through) = (open(gcs.url()), open(&proxy.url()));
        Stage {
            proxy: Arc::new(proxy),
            public_url: config(gcs.url()).public_url().unwrap(),
            direct: Arc::new(direct),
            through: Arc::new(through.with_patience(patience)),
        }
    };

    // <https://cloud.google.com/storage/docs/json_api/v1/status-codes>
    let mut cases = common(Dialect {
        failed: google_refusal(500, "backendError", "Backend Error"),
        unavailable: google_refusal(503, "backendError", "Backend Error"),
        throttled: google_refusal(429, "rateLimitExceeded", "The object exceeded the rate limit"),
        throttled_write: "unavailable",
        torn_read: Outcome::Fails("unavailable", &[]),
    });
    cases.push(refused(
        "an expired credential",
        google_refusal(401, "authError", "Invalid Credentials"),
        "denied",
        &["Invalid Credentials", "renew"],
    ));
    play_all("gcs", FakeGcs::VERSION, cases, stage).await;
}

#[test]
fn what_gcs_has_no_fault_for_is_named() {
    for (check, why) in [
        (
            "a wrong clock",
            "a bearer token's times are for the token service to judge",
        ),
        (
            "a bucket in another region",
            "one address serves the buckets of all regions",
        ),
    ] {
        Row::begin("gcs", check, FakeGcs::VERSION).not_shown(why);
    }
}
