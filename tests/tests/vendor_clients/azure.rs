//! Azure's Blob service, against azure-storage-blob.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use kubeassume_core::store::MAX_DOCUMENT_BYTES;
use kubeassume_publishers::azure::{AzureConfig, AzureStore};
use kubeassume_tests::{Azurite, Essence, Recorded, Recorder, Row, Testbed, essence, vendor};
use serde_json::json;

use super::{KEY, assert_differences, statuses, tls, use_store};

/// A token that the emulator takes.
#[derive(Debug)]
struct Token(String);

#[async_trait]
impl TokenCredential for Token {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new(self.0.clone(), OffsetDateTime::now_utc()))
    }
}

fn azure_parts(request: &Recorded) -> Essence {
    essence(request, |name, value| match name {
        "x-ms-date" => "<date>".to_owned(),
        "if-match" => "<etag>".to_owned(),
        "authorization" => value.split(' ').next().unwrap().to_owned(),
        _ => value.to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn our_blob_requests_are_those_of_azures_own_client() {
    let row = Row::begin("azure", "requests equal azure-storage-blob's", Azurite::VERSION);
    let bed = Testbed::new("azure-client");
    let azurite = bed.azurite().await;
    azurite.private_container("oidc").await;
    let recorder = Recorder::in_front_of(&bed, azurite.url().trim_end_matches("/kubeassume")).await;
    let endpoint = format!("{}/{}", recorder.url(), azurite.account());
    let upload = |body: &str, precondition: &str| {
        json!({"does": "upload", "name": KEY, "body": body, "if": precondition,
            "content_type": "application/jwk-set+json", "cache_control": "public, max-age=300",
            "metadata": {"kubeassume_generation": "7"}})
    };
    let order = json!({"endpoint": endpoint, "ca_file": bed.pki().ca_file(), "token": azurite.token(),
        "container": "oidc", "window": MAX_DOCUMENT_BYTES, "calls": [upload("one", "absent"), upload("two", "absent"),
        {"does": "download", "name": KEY}, {"does": "list", "prefix": "c1/"}, upload("three", "<last>"),
        {"does": "delete", "name": KEY, "if": "<last>"}]});
    let outcomes = vendor("azure", &order, &[]).await;
    assert_eq!(
        statuses(&outcomes),
        [200, 409, 200, 200, 200, 200],
        "{outcomes:#}"
    );
    assert_eq!(outcomes[1]["code"], "BlobAlreadyExists");
    assert_eq!(outcomes[2]["body"], "one");
    assert_eq!(outcomes[3]["names"], json!([KEY]));
    let theirs: Vec<Essence> = recorder.take().iter().map(azure_parts).collect();

    let config = AzureConfig {
        storage_account: azurite.account().to_owned(),
        container: "oidc".to_owned(),
        endpoint: Some(endpoint),
        prefix: Some("c1".to_owned()),
        ..AzureConfig::default()
    };
    let store = AzureStore::open_with(&config, &tls(&bed), Arc::new(Token(azurite.token()))).unwrap();
    use_store(&store).await;
    let ours: Vec<Essence> = recorder.take().iter().map(azure_parts).collect();
    assert_differences(&ours, &theirs, &AZURE);
    row.passed();
}

/// Slashes in a blob's name are the same encoded or not, and both range headers are read; the version is that of the
/// client's release.
const AZURE: [&str; 5] = [
    "path: ours /kubeassume/oidc/c1%2Fopenid%2Fv1%2Fjwks, theirs /kubeassume/oidc/c1/openid/v1/jwks",
    "range: ours alone, bytes=0-1048575",
    "x-ms-date: theirs alone, <date>",
    "x-ms-range: theirs alone, bytes=0-1048575",
    "x-ms-version: ours 2026-04-06, theirs 2026-10-06",
];
