//! [`UrlSource`]: keys from whatever serves the two documents of Kubernetes by URL.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::reader::{Dated, HttpReader};
use crate::clock::Timestamp;
use crate::store::{DocumentPath, MAX_DOCUMENT_BYTES};
use crate::{
    Addressing, Answer, DiscoveryClaims, IssuerUrl, KeySet, Observation, Parsed, PublicReadError, Refusal,
    Source, SourceError,
};

/// How often a shared address is read in one cycle, each time over a connection of its own.
const SHARED_READS: usize = 3;

/// Reads `<url>/.well-known/openid-configuration`, whose issuer must be the configured one, and
/// `<url>/openid/v1/jwks`, anonymously. The document's `jwks_uri` is not followed: it names the public
/// address, which is what is being published.
///
/// Nothing is sent but the request, so the URL may be one that the public can reach. For an API server
/// that wants a bearer token there is a source behind feature `kube`.
#[derive(Debug, Clone)]
pub struct UrlSource {
    issuer: IssuerUrl,
    urls: Vec<IssuerUrl>,
    addressing: Addressing,
    reader: Arc<HttpReader>,
}

impl UrlSource {
    /// One URL. What stands behind it is unknown, so it is taken for a load balancer: it is read three
    /// times a cycle and absence must last ([`Addressing::Shared`]).
    pub fn shared(issuer: IssuerUrl, url: IssuerUrl, reader: Arc<HttpReader>) -> Self {
        Self {
            issuer,
            urls: vec![url],
            addressing: Addressing::Shared,
            reader,
        }
    }

    /// Every server of one cluster, each by a URL of its own ([`Addressing::Each`]).
    pub fn each(
        issuer: IssuerUrl,
        urls: impl IntoIterator<Item = IssuerUrl>,
        reader: Arc<HttpReader>,
    ) -> Self {
        Self {
            issuer,
            urls: urls.into_iter().collect(),
            addressing: Addressing::Each,
            reader,
        }
    }

    async fn answer(&self, url: &IssuerUrl) -> Answer {
        let reads = match self.addressing {
            Addressing::Each => 1,
            Addressing::Shared => SHARED_READS,
        };
        let mut answer: Option<(Parsed, Option<Timestamp>)> = None;
        for _ in 0..reads {
            let read = self.read(url).await;
            let merged = match (answer.take(), read) {
                (None, Ok(read)) => Ok(read),
                (Some(earlier), Ok(read)) => merge(earlier, read),
                (_, Err(error)) => Err(error),
            };
            match merged {
                Ok(merged) => answer = Some(merged),
                // Half of an answer would make the keys of the other half look absent.
                Err(error) => return Answer::Failed(error),
            }
        }
        match answer {
            Some((parsed, date)) => Answer::Read { parsed, date },
            None => Answer::Failed(SourceError::Misconfigured("nothing was read".to_owned())),
        }
    }

    async fn read(&self, url: &IssuerUrl) -> Result<(Parsed, Option<Timestamp>), SourceError> {
        let discovery = self.document(url, &DocumentPath::DISCOVERY).await?;
        let says = DiscoveryClaims::parse(&discovery.document.bytes)
            .map_err(|e| SourceError::Discovery(e.to_string()))?;
        if says.issuer != self.issuer.as_str() {
            return Err(SourceError::Issuer {
                expected: self.issuer.to_string(),
                found: says.issuer,
            });
        }
        let jwks = self.document(url, &DocumentPath::JWKS).await?;
        Ok((KeySet::parse(&jwks.document.bytes)?, jwks.date))
    }

    async fn document(&self, url: &IssuerUrl, path: &DocumentPath) -> Result<Dated, SourceError> {
        self.reader
            .read(&url.document_url(path), MAX_DOCUMENT_BYTES)
            .await
            .map_err(|error| match error {
                PublicReadError::Status(status @ (401 | 403)) => SourceError::Denied(status),
                PublicReadError::Status(404) => SourceError::NoDiscovery,
                PublicReadError::Status(status) | PublicReadError::Redirect(status) => {
                    SourceError::Status(status)
                }
                PublicReadError::TooLarge(_) if *path == DocumentPath::JWKS => Refusal::TooLarge.into(),
                PublicReadError::TooLarge(_) => SourceError::Discovery(error.to_string()),
                PublicReadError::NotHttps => SourceError::Misconfigured(error.to_string()),
                PublicReadError::Timeout | PublicReadError::Unreachable(_) => {
                    SourceError::Unreachable(error.to_string())
                }
            })
    }
}

#[async_trait]
impl Source for UrlSource {
    async fn observe(&self) -> Observation {
        // A server that does not answer must not delay the sight of the others.
        let mut reads = JoinSet::new();
        for url in &self.urls {
            let (source, url) = (self.clone(), url.clone());
            reads.spawn(async move { (url.to_string(), source.answer(&url).await) });
        }
        let lost = SourceError::Unreachable("the read was abandoned".to_owned());
        let mut answers: BTreeMap<String, Answer> = self
            .urls
            .iter()
            .map(|url| (url.to_string(), Answer::Failed(lost.clone())))
            .collect();
        while let Some(read) = reads.join_next().await {
            answers.extend(read.ok());
        }
        Observation {
            addressing: self.addressing,
            answers,
        }
    }

    async fn probe(&self, endpoint: &str) -> bool {
        match self.urls.iter().find(|url| url.as_str() == endpoint) {
            Some(url) => self.read(url).await.is_ok(),
            None => false,
        }
    }
}

/// What two reads of one address found together, with the earlier of their clocks.
fn merge(
    (a, a_date): (Parsed, Option<Timestamp>),
    (b, b_date): (Parsed, Option<Timestamp>),
) -> Result<(Parsed, Option<Timestamp>), SourceError> {
    let keys = KeySet::union([&a.keys, &b.keys])?;
    let mut findings = a.findings;
    for finding in b.findings {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    let date = match (a_date, b_date) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Ok((Parsed { keys, findings }, date))
}
