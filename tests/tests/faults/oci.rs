//! Oracle Cloud's Object Storage behind the stand-in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use kubeassume_cloud::oci::{Credential, Credentials, SigningKey};
use kubeassume_publishers::Tls;
use kubeassume_publishers::oci::{OciConfig, OciStore};
use kubeassume_tests::{Answer, FaultProxy, OCI_BUCKET, OCI_NAMESPACE, OciFake, Testbed};
use serde_json::json;

use crate::cases::{Dialect, Outcome, common, refused};
use crate::play::{Stage, play_all};

/// <https://docs.oracle.com/iaas/Content/API/References/apierrors.htm>
fn says(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({"code": code, "message": message}))
}

#[tokio::test(flavor = "multi_thread")]
async fn oci_ends_right_after_every_fault() {
    let bed = Testbed::new("oci-faults");
    let oci = bed.oci().await;
    let prefixes = AtomicUsize::new(0);
    let tls = Tls {
        ca_pem: Some(bed.pki().ca_pem().as_bytes().to_vec()),
    };
    let stage = async |patience| {
        let proxy = FaultProxy::start(&bed, &oci.url()).await;
        let prefix = format!("c{}", prefixes.fetch_add(1, Ordering::Relaxed));
        let open = async |endpoint: String| {
            let config = OciConfig {
                bucket: OCI_BUCKET.to_owned(),
                namespace: OCI_NAMESPACE.to_owned(),
                region: Some("eu-frankfurt-1".to_owned()),
                endpoint: Some(endpoint),
                prefix: Some(prefix.clone()),
                ..OciConfig::default()
            };
            let key = oci.key();
            let signing = SigningKey::from_pem(key.pem.as_bytes(), None).unwrap();
            let credential = Credential::api_key(key.tenancy, key.user, key.fingerprint, signing);
            OciStore::open_with(&config, &tls, Credentials::given(credential))
                .await
                .unwrap()
        };
        let (direct, through) = (open(oci.url()).await, open(proxy.url()).await);
        Stage {
            proxy: Arc::new(proxy),
            public_url: direct.public_url().unwrap(),
            direct: Arc::new(direct),
            through: Arc::new(through.with_patience(patience)),
        }
    };

    let mut cases = common(Dialect {
        failed: says(500, "InternalServerError", "Internal Server Error"),
        unavailable: says(503, "ServiceUnavailable", "The service is currently unavailable."),
        throttled: says(429, "TooManyRequests", "Too many requests for the user"),
        throttled_write: "unavailable",
        torn_read: Outcome::Fails("unavailable", &[]),
    });
    let not_authenticated = || {
        says(
            401,
            "NotAuthenticated",
            "The required information to complete authentication was not provided or was incorrect.",
        )
    };
    let an_hour_ago = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(3600));
    cases.extend([
        refused("an expired credential", not_authenticated(), "denied", &["NotAuthenticated", "renew"]),
        refused(
            "a wrong clock",
            not_authenticated().with("date", an_hour_ago),
            "denied",
            &["ahead of the server's", "set the clock"],
        ),
        refused(
            "a bucket in another region",
            says(404, "BucketNotFound", "Either the bucket named 'keys' does not exist in the namespace or you are not authorized to access it"),
            "misconfigured",
            &["oci.region", "BucketNotFound"],
        ),
    ]);
    play_all("oci", OciFake::VERSION, cases, stage).await;
}
