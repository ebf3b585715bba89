//! S3 behind versitygw.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use kubeassume_publishers::Tls;
use kubeassume_publishers::s3::{S3Config, S3Store};
use kubeassume_tests::{Answer, FaultProxy, Testbed, Versitygw};

use crate::cases::{Dialect, Outcome, common, refused};
use crate::play::{Stage, play_all};

const BUCKET: &str = "issuer";

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
fn says(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Answer::new(status, body).with("content-type", "application/xml")
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_ends_right_after_every_fault() {
    let bed = Testbed::new("s3-faults");
    let gateway = bed.versitygw().await;
    gateway.public_bucket(BUCKET, &["nothing"]).await;
    let prefixes = AtomicUsize::new(0);
    let tls = Tls {
        ca_pem: Some(bed.pki().ca_pem().as_bytes().to_vec()),
    };
    let stage = async |patience| {
        let proxy = FaultProxy::start(&bed, &gateway.url()).await;
        let prefix = format!("c{}", prefixes.fetch_add(1, Ordering::Relaxed));
        let open = async |endpoint: String| {
            let config = S3Config {
                bucket: BUCKET.to_owned(),
                region: Some(gateway.region().to_owned()),
                endpoint: Some(endpoint),
                force_path_style: true,
                prefix: Some(prefix.clone()),
                ..S3Config::default()
            };
            let keys = Credentials::new(gateway.access_key(), gateway.secret_key(), None, None, "test");
            let keys = SharedCredentialsProvider::new(keys);
            S3Store::open_with(&config, &tls, keys).await.unwrap()
        };
        let direct = open(gateway.url()).await;
        let through = open(proxy.url()).await;
        Stage {
            proxy: Arc::new(proxy),
            public_url: direct.public_url().unwrap(),
            direct: Arc::new(direct),
            through: Arc::new(through.with_patience(patience)),
        }
    };

    let mut cases = common(Dialect {
        failed: says(
            500,
            "InternalError",
            "We encountered an internal error. Please try again.",
        ),
        unavailable: says(503, "SlowDown", "Please reduce your request rate."),
        throttled: says(429, "SlowDown", "Please reduce your request rate."),
        throttled_write: "unknown",
        torn_read: Outcome::FailsOnceThere("unavailable", &[]),
    });
    // Without a date: the SDK would take the server's clock over, and keep it when the fault has gone.
    cases.extend([
        refused(
            "an expired credential",
            says(400, "ExpiredToken", "The provided token has expired."),
            "denied",
            &["ExpiredToken", "renew"],
        ),
        refused(
            "a wrong clock",
            says(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
            "denied",
            &["RequestTimeTooSkewed", "set this machine's clock"],
        ),
        refused(
            "a bucket in another region, by redirect",
            says(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.")
                .with("x-amz-bucket-region", "eu-west-1"),
            "misconfigured",
            &["eu-west-1", "s3.region"],
        ),
        refused(
            "a bucket in another region, by signature",
            says(
                400,
                "AuthorizationHeaderMalformed",
                "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'",
            ),
            "misconfigured",
            &["eu-west-1", "s3.region"],
        ),
    ]);
    play_all("s3", Versitygw::VERSION, cases, stage).await;
}
