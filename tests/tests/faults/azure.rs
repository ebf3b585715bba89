//! Azure Blob Storage behind azurite.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use kubeassume_publishers::Tls;
use kubeassume_publishers::azure::{AzureConfig, AzureStore};
use kubeassume_tests::{Answer, Azurite, FaultProxy, Row, Testbed};

use crate::cases::{Dialect, Outcome, common, refused};
use crate::play::{Stage, play_all};

const CONTAINER: &str = "oidc";

/// <https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2>
fn says(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Answer::new(status, body)
        .with("content-type", "application/xml")
        .with("x-ms-error-code", code)
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_ends_right_after_every_fault() {
    let bed = Testbed::new("azure-faults");
    let azurite = bed.azurite().await;
    azurite.public_container(CONTAINER).await;
    let prefixes = AtomicUsize::new(0);
    let tls = Tls {
        ca_pem: Some(bed.pki().ca_pem().as_bytes().to_vec()),
    };
    let (server, account) = azurite
        .url()
        .rsplit_once('/')
        .map(|(s, a)| (s.to_owned(), a.to_owned()))
        .unwrap();
    let stage = async |patience| {
        let proxy = FaultProxy::start(&bed, &server).await;
        let prefix = format!("c{}", prefixes.fetch_add(1, Ordering::Relaxed));
        let open = |server: &str| {
            let config = AzureConfig {
                storage_account: account.clone(),
                container: CONTAINER.to_owned(),
                endpoint: Some(format!("{server}/{account}")),
                prefix: Some(prefix.clone()),
                ..AzureConfig::default()
            };
            AzureStore::open_with(&config, &tls, Arc::new(Token(azurite.token()))).unwrap()
        };
        let (direct, through) = (open(&server), open(&proxy.url()));
        Stage {
            proxy: Arc::new(proxy),
            public_url: direct.public_url(),
            direct: Arc::new(direct),
            through: Arc::new(through.with_patience(patience).unwrap()),
        }
    };

    let mut cases = common(Dialect {
        failed: says(
            500,
            "InternalError",
            "The server encountered an internal error. Please retry the request.",
        ),
        unavailable: says(
            503,
            "ServerBusy",
            "The server is currently unable to receive requests.",
        ),
        throttled: says(429, "TooManyRequests", "Too many requests."),
        throttled_write: "unavailable",
        torn_read: Outcome::Fails("unavailable", &[]),
    });
    cases.push(refused(
        "an expired credential",
        says(
            401,
            "InvalidAuthenticationInfo",
            "Lifetime validation failed. The token is expired.",
        ),
        "denied",
        &["InvalidAuthenticationInfo", "renew"],
    ));
    play_all("azure", Azurite::VERSION, cases, stage).await;
}

#[test]
fn what_azure_has_no_fault_for_is_named() {
    for (check, why) in [
        (
            "a wrong clock",
            "a bearer token's times are Entra ID's, and no request is signed",
        ),
        (
            "a bucket in another region",
            "the account's own host name leads to its region",
        ),
    ] {
        Row::begin("azure", check, Azurite::VERSION).not_shown(why);
    }
}

struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

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
