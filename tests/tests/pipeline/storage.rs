//! One place of publication: a cloud's storage, how a controller is told of it, and what it was asked to write.

use std::fs;

use kubeassume_tests::{Azurite, Entra, FakeGcs, OCI_BUCKET, OCI_NAMESPACE, OciFake, Testbed, Versitygw};
use serde_json::{Value, json};

use crate::bucket::{BOTH, BUCKET, PREFIX};
use crate::public::Public;

pub(crate) enum Storage {
    S3(Versitygw),
    Gcs(FakeGcs),
    Azure(Azurite, Entra),
    Oci(OciFake),
}

impl Storage {
    pub(crate) async fn s3(bed: &Testbed) -> Self {
        let gateway = bed.versitygw().await;
        gateway.public_bucket(BUCKET, &BOTH).await;
        Self::S3(gateway)
    }

    pub(crate) async fn gcs(bed: &Testbed) -> Self {
        let gcs = bed.fake_gcs().await;
        gcs.bucket(BUCKET).await;
        Self::Gcs(gcs)
    }

    pub(crate) async fn azure(bed: &Testbed) -> Self {
        let azurite = bed.azurite().await;
        azurite.public_container(BUCKET).await;
        let entra = bed.entra(&azurite.token()).await;
        Self::Azure(azurite, entra)
    }

    pub(crate) async fn oci(bed: &Testbed) -> Self {
        Self::Oci(bed.oci().await)
    }

    /// Where anybody reads it.
    pub(crate) fn public_url(&self) -> String {
        match self {
            Self::S3(gateway) => format!("{}/{BUCKET}/{PREFIX}", gateway.url()),
            Self::Gcs(gcs) => format!("{}/{BUCKET}/{PREFIX}", gcs.url()),
            Self::Azure(azurite, _) => format!("{}/{BUCKET}/{PREFIX}", azurite.url()),
            Self::Oci(oci) => format!("{}/n/{OCI_NAMESPACE}/b/{OCI_BUCKET}/o/{PREFIX}", oci.url()),
        }
    }

    /// What the public sees of it.
    pub(crate) fn public(&self, bed: &Testbed) -> Public {
        Public::new(self.public_url(), bed.http())
    }

    /// The entry of `publishers`.
    pub(crate) fn entry(&self) -> Value {
        let public_url = self.public_url();
        match self {
            Self::S3(gateway) => json!({"type": "s3", "s3": {
                "bucket": BUCKET, "region": gateway.region(), "endpoint": gateway.url(), "forcePathStyle": true,
                "prefix": PREFIX,
            }}),
            Self::Gcs(_) => json!({"type": "gcs", "gcs": {
                "bucket": BUCKET, "prefix": PREFIX, "publicURL": public_url,
            }}),
            Self::Azure(azurite, _) => json!({"type": "azure", "azure": {
                "storageAccount": azurite.account(), "container": BUCKET, "endpoint": azurite.url(),
                "prefix": PREFIX, "useManagedIdentity": false,
            }}),
            Self::Oci(oci) => json!({"type": "oci", "oci": {
                "bucket": OCI_BUCKET, "namespace": OCI_NAMESPACE, "region": "eu-frankfurt-1", "endpoint": oci.url(),
                "prefix": PREFIX, "auth": "apiKey",
            }}),
        }
    }

    /// Where the controller finds its credential.
    pub(crate) fn environment(&self, bed: &Testbed) -> Vec<(&'static str, String)> {
        let file = |name: &str, text: &str| {
            let path = bed.path().join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        match self {
            Self::S3(gateway) => gateway.environment().into(),
            Self::Gcs(gcs) => vec![("STORAGE_EMULATOR_HOST", gcs.front().url())],
            Self::Azure(_, entra) => vec![
                ("AZURE_AUTHORITY_HOST", entra.url()),
                (
                    "AZURE_TENANT_ID",
                    "11111111-1111-1111-1111-111111111111".to_owned(),
                ),
                (
                    "AZURE_CLIENT_ID",
                    "22222222-2222-2222-2222-222222222222".to_owned(),
                ),
                (
                    "AZURE_FEDERATED_TOKEN_FILE",
                    file("federated-token", "header.claims.signature"),
                ),
            ],
            Self::Oci(oci) => {
                let key = oci.key();
                let profile = format!(
                    "[DEFAULT]\nuser={}\nfingerprint={}\ntenancy={}\nregion=eu-frankfurt-1\nkey_file={}\n",
                    key.user,
                    key.fingerprint,
                    key.tenancy,
                    file("oci.pem", &key.pem),
                );
                vec![("OCI_CLI_CONFIG_FILE", file("oci.ini", &profile))]
            }
        }
    }

    /// Successful writes so far.
    pub(crate) fn writes(&self) -> usize {
        let count = |requests: Vec<(String, u16)>| {
            let written = |(method, status): &&(String, u16)| method != "GET" && (200..300).contains(status);
            requests.iter().filter(written).count()
        };
        match self {
            Self::S3(gateway) => {
                let puts = BOTH.map(|key| gateway.successful_puts(&format!("{BUCKET}/{key}")));
                puts.iter().sum()
            }
            Self::Gcs(gcs) => count(
                gcs.front()
                    .requests()
                    .into_iter()
                    .map(|r| (r.method, r.status))
                    .collect(),
            ),
            Self::Azure(azurite, _) => {
                let of_blobs = azurite
                    .access_log()
                    .into_iter()
                    .filter(|r| r.target.contains("/clusters%2Fone%2F"));
                count(of_blobs.map(|r| (r.method, r.status)).collect())
            }
            Self::Oci(oci) => count(oci.requests().into_iter().map(|r| (r.method, r.status)).collect()),
        }
    }
}
