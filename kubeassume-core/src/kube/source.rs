//! [`ApiServerSource`]: the keys of a cluster's API servers.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use ::kube::Config;
use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{self, StreamExt};
use http::Uri;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::pki_types::ServerName;

use super::config;
use super::connection::{Address, Dialer, Read};
use crate::{Addressing, Answer, IssuerUrl, KeySet, Observation, Parsed, Source, SourceError};

/// How many connections are open at once.
const CONCURRENT: usize = 8;

/// How often a shared address is read in one cycle, each time over a new connection: enough to meet more
/// than one of the servers behind it.
const SHARED_READS: usize = 3;

/// How often what is missing of them is tried.
const SHARED_ROUNDS: usize = 8;

/// How long they may take together: below the time after which a leader throws an observation away.
const SHARED_TIMEOUT: Duration = Duration::from_secs(8);

/// Which API servers are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Servers {
    /// Every one, by its own address.
    Each {
        /// `10.0.0.1:6443` or `https://10.0.0.1:6443`; each once.
        endpoints: Vec<String>,
        /// Whom their certificates must name; Kubernetes' own is `kubernetes.default.svc`.
        server_name: String,
    },
    /// The one address of the configuration, which may stand for several servers. List a single server as
    /// [`Servers::Each`]: then a key that it does not serve is absent at once.
    Shared,
}

impl Servers {
    /// Checks how they are written, without a cluster.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] for an endpoint or a server name that cannot be meant.
    pub fn check(&self) -> Result<(), SourceError> {
        match self {
            Self::Each {
                endpoints,
                server_name,
            } => listed(endpoints, server_name).map(drop),
            Self::Shared => Ok(()),
        }
    }
}

/// Reads discovery document and key set of API servers, every time over a connection of its own that is
/// open for at most 5 seconds.
///
/// It trusts the cluster's CA only, follows no redirect and reads at most 1 MiB per document.
pub struct ApiServerSource {
    dialer: Dialer,
    addressing: Addressing,
    addresses: Vec<Address>,
}

impl ApiServerSource {
    /// A source for these servers, which must have this issuer.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] names what is missing or cannot be used.
    pub fn new(config: &Config, servers: &Servers, issuer: IssuerUrl) -> Result<Self, SourceError> {
        config::check(config).map_err(|e| SourceError::Misconfigured(e.to_string()))?;
        let (addressing, addresses) = match servers {
            Servers::Each {
                endpoints,
                server_name,
            } => (Addressing::Each, listed(endpoints, server_name)?),
            Servers::Shared => {
                let name = config.tls_server_name.as_deref();
                (Addressing::Shared, vec![address(&config.cluster_url, name)?])
            }
        };
        Ok(Self {
            dialer: Dialer::new(config, issuer)?,
            addressing,
            addresses,
        })
    }

    fn named<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, (String, Answer)> {
        async { (address.name.clone(), self.answer(address).await) }.boxed()
    }

    async fn answer(&self, address: &Address) -> Answer {
        let read = match self.addressing {
            Addressing::Each => self.dialer.read(address).await,
            Addressing::Shared => self.read_shared(address).await,
        };
        match read {
            Ok(Read { parsed, date }) => Answer::Read { parsed, date },
            Err(error) => Answer::Failed(error),
        }
    }

    /// Repeats what did not get through as long as something does: one dead server behind the address
    /// must not hide the others.
    async fn read_shared(&self, address: &Address) -> Result<Read, SourceError> {
        let end = Instant::now() + SHARED_TIMEOUT;
        let mut reads = Vec::with_capacity(SHARED_READS);
        for _ in 0..SHARED_ROUNDS {
            let missing = reads.len()..SHARED_READS;
            let round = join_all(missing.map(|_| self.dialer.read(address)));
            let Ok(round) = timeout_at(end, round).await else {
                break;
            };
            let mut failure = None;
            for read in round {
                match read {
                    Ok(read) => reads.push(read),
                    Err(error @ (SourceError::Unreachable(_) | SourceError::Status(_))) => {
                        failure = Some(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            match failure {
                None => return union(reads),
                Some(error) if reads.is_empty() => return Err(error),
                Some(_) => {}
            }
        }
        Err(SourceError::Unreachable(format!(
            "only {} of {SHARED_READS} reads through this address succeeded",
            reads.len()
        )))
    }
}

#[async_trait]
impl Source for ApiServerSource {
    async fn observe(&self) -> Observation {
        let reads: Vec<BoxFuture<'_, _>> = self.addresses.iter().map(|address| self.named(address)).collect();
        Observation {
            addressing: self.addressing,
            answers: stream::iter(reads).buffer_unordered(CONCURRENT).collect().await,
        }
    }

    async fn probe(&self, endpoint: &str) -> bool {
        match self.addresses.iter().find(|address| address.name == endpoint) {
            // The whole read: a server that answers but is refused would be polled every second.
            Some(address) => self.dialer.read(address).await.is_ok(),
            None => false,
        }
    }
}

impl fmt::Debug for ApiServerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServerSource")
            .field("addressing", &self.addressing)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// What several reads through one address saw together. Of their clocks the earliest counts: it lets a
/// retention end last.
fn union(reads: Vec<Read>) -> Result<Read, SourceError> {
    let keys = KeySet::union(reads.iter().map(|read| &read.parsed.keys))?;
    let date = reads.iter().filter_map(|read| read.date).min();
    let mut findings = Vec::new();
    for finding in reads.into_iter().flat_map(|read| read.parsed.findings) {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    Ok(Read {
        parsed: Parsed { keys, findings },
        date,
    })
}

fn listed(endpoints: &[String], server_name: &str) -> Result<Vec<Address>, SourceError> {
    if endpoints.is_empty() {
        return Err(SourceError::Misconfigured("no endpoint is listed".to_owned()));
    }
    let mut seen = BTreeSet::new();
    let mut addresses = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let address = endpoint_address(endpoint, server_name)?;
        if !seen.insert(address.name.clone()) {
            return Err(SourceError::Misconfigured(format!(
                "endpoint {endpoint:?} is listed twice"
            )));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

fn endpoint_address(endpoint: &str, server_name: &str) -> Result<Address, SourceError> {
    let wrong = |reason: &str| {
        SourceError::Misconfigured(format!(
            "endpoint {endpoint:?} {reason}; write host:port, such as 10.0.0.1:6443"
        ))
    };
    let url = if endpoint.contains("://") {
        endpoint.to_owned()
    } else {
        format!("https://{endpoint}")
    };
    let uri: Uri = url.parse().map_err(|_| wrong("is no address"))?;
    if uri.scheme_str() != Some("https") {
        return Err(wrong("is not https"));
    }
    if uri.port().is_none() {
        return Err(wrong("has no port"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(wrong("has a path"));
    }
    address(&uri, Some(server_name))
}

fn address(uri: &Uri, server_name: Option<&str>) -> Result<Address, SourceError> {
    let wrong = |reason: &str| SourceError::Misconfigured(format!("the address {uri} {reason}"));
    let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("has a user"));
    }
    let port = match (uri.port(), uri.port_u16()) {
        (None, _) => 443,
        (Some(_), Some(port)) if port > 0 => port,
        _ => return Err(wrong("has no valid port")),
    };
    let bracketed = authority.host();
    let host = bracketed.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong("has no host"));
    }
    let server_name = server_name.unwrap_or(host);
    Ok(Address {
        name: format!("{bracketed}:{port}"),
        host: host.to_owned(),
        port,
        server_name: ServerName::try_from(server_name.to_owned()).map_err(|_| {
            SourceError::Misconfigured(format!(
                "the server name {server_name:?} is no DNS name or IP address"
            ))
        })?,
        prefix: uri.path().trim_end_matches('/').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn each(endpoints: &[&str]) -> Result<Vec<Address>, SourceError> {
        let endpoints: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        listed(&endpoints, "kubernetes.default.svc")
    }

    #[test]
    fn an_endpoint_is_named_by_host_and_port_however_it_is_written() {
        let addresses = each(&["10.0.0.1:6443", "https://10.0.0.2:6443/", "[fd00::1]:6443"]).unwrap();
        let names: Vec<_> = addresses
            .iter()
            .map(|a| (a.name.as_str(), a.host.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("10.0.0.1:6443", "10.0.0.1"),
                ("10.0.0.2:6443", "10.0.0.2"),
                ("[fd00::1]:6443", "fd00::1")
            ]
        );
        assert!(
            addresses
                .iter()
                .all(|a| a.server_name.to_str() == "kubernetes.default.svc")
        );
        assert!(addresses.iter().all(|a| a.prefix.is_empty()));
    }

    #[test]
    fn an_endpoint_that_could_mean_something_else_is_refused() {
        let refused = |endpoints: &[&str], reason: &str| {
            let error = each(endpoints).unwrap_err().to_string();
            assert!(error.contains(reason), "{endpoints:?}: {error}");
        };
        refused(&[], "no endpoint");
        refused(&["10.0.0.1"], "has no port");
        refused(&["10.0.0.1:0"], "no valid port");
        refused(&["10.0.0.1:70000"], "port");
        refused(&["http://10.0.0.1:6443"], "is not https");
        refused(&["https://10.0.0.1:6443/k8s"], "has a path");
        refused(&["https://user:secret@10.0.0.1:6443"], "has a user");
        refused(&["a b:6443"], "is no address");
        refused(&["10.0.0.1:6443", "https://10.0.0.1:6443"], "listed twice");
    }

    #[test]
    fn a_shared_address_keeps_its_path_and_its_own_name() {
        let uri: Uri = "https://rancher.example.com/k8s/clusters/c-1/".parse().unwrap();
        let address = address(&uri, None).unwrap();
        assert_eq!(address.name, "rancher.example.com:443");
        assert_eq!(address.prefix, "/k8s/clusters/c-1");
        assert_eq!(address.server_name.to_str(), "rancher.example.com");
    }

    fn read(keys: &[(&str, &str)], date: i64) -> Read {
        let keys: Vec<String> = keys
            .iter()
            .map(|(kid, point)| format!(r#"{{"kty":"EC","crv":"P-256","kid":"{kid}",{point}}}"#))
            .collect();
        let document = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        Read {
            parsed: KeySet::parse(document.as_bytes()).unwrap(),
            date: Timestamp::from_second(date).ok(),
        }
    }

    // RFC 7515 appendix A.3 and RFC 7517 appendix A.1.
    const ONE: &str = r#""x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
    const TWO: &str = r#""x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;

    #[test]
    fn reads_through_one_address_add_up_and_a_kid_with_two_keys_refuses_them_all() {
        let both = union(vec![read(&[("a", ONE)], 20), read(&[("a", ONE), ("b", TWO)], 10)]).unwrap();
        let kids: Vec<&str> = both.parsed.keys.iter().map(crate::Jwk::kid).collect();
        assert_eq!(kids, ["a", "b"]);
        assert_eq!(both.date, Timestamp::from_second(10).ok());
        // Both kids are foreign ones, each told once.
        assert_eq!(both.parsed.findings.len(), 2);
        let collision = union(vec![read(&[("a", ONE)], 20), read(&[("a", TWO)], 20)]);
        assert!(matches!(
            collision,
            Err(SourceError::Refused(crate::Refusal::DuplicateKid(_)))
        ));
    }
}
