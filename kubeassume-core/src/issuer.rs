//! The issuer: the one string that API server, documents, tokens and clouds must agree on, byte for byte.
//!
//! [`IssuerUrl`] never normalises. A relying party compares `iss` as a string (OpenID Connect Core 1.0
//! section 3.1.3.7, RFC 8414 section 3.3), so a URL that two clients could write in two ways is refused
//! here instead of failing later in somebody's cloud.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::store::DocumentPath;

/// The longest issuer accepted, in bytes. AWS stops at 255 and Entra at 600; this only bounds what we hold.
pub const MAX_ISSUER_BYTES: usize = 1024;

/// An issuer URL: `https`, a host, optionally a port and a path; no user information, query, fragment or
/// trailing slash.
///
/// Kubernetes installs its discovery endpoints only for such issuers
/// (`pkg/serviceaccount/openidmetadata.go`); OpenID Connect Discovery 1.0 section 2 has the same rule.
///
/// ```
/// use kubeassume_core::IssuerUrl;
///
/// let issuer: IssuerUrl = "https://oidc.example.com:8443/cluster1".parse()?;
/// assert_eq!(issuer.jwks_uri(), "https://oidc.example.com:8443/cluster1/openid/v1/jwks");
/// assert!("https://oidc.example.com/".parse::<IssuerUrl>().is_err());
/// # Ok::<(), kubeassume_core::IssuerError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IssuerUrl {
    url: String,
    /// Where the path begins in `url`; its length when there is none.
    path_at: usize,
}

impl IssuerUrl {
    /// The URL, exactly as it was given.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Host and, when given, port: `oidc.example.com:8443`.
    pub fn authority(&self) -> &str {
        self.url.get("https://".len()..self.path_at).unwrap_or_default()
    }

    /// The path with its leading slash, or nothing: `/cluster1`.
    pub fn path(&self) -> &str {
        self.url.get(self.path_at..).unwrap_or_default()
    }

    /// Where a document of this issuer is read: the issuer, a slash and the document's path.
    pub fn document_url(&self, path: &DocumentPath) -> String {
        format!("{}/{}", self.url, path.as_str())
    }

    /// The discovery document's URL (OpenID Connect Discovery 1.0 section 4.1).
    pub fn discovery_url(&self) -> String {
        self.document_url(&DocumentPath::DISCOVERY)
    }

    /// The key set's URL, always the issuer + `/openid/v1/jwks`: the path that Kubernetes serves too.
    pub fn jwks_uri(&self) -> String {
        self.document_url(&DocumentPath::JWKS)
    }
}

impl FromStr for IssuerUrl {
    type Err = IssuerError;

    fn from_str(url: &str) -> Result<Self, IssuerError> {
        if url.len() > MAX_ISSUER_BYTES {
            return Err(IssuerError::TooLong);
        }
        let rest = url.strip_prefix("https://").ok_or(IssuerError::NotHttps)?;
        for (character, error) in [('?', IssuerError::Query), ('#', IssuerError::Fragment)] {
            if rest.contains(character) {
                return Err(error);
            }
        }
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        check_authority(authority)?;
        check_path(path)?;
        Ok(Self {
            url: url.to_owned(),
            path_at: url.len() - path.len(),
        })
    }
}

fn check_authority(authority: &str) -> Result<(), IssuerError> {
    if authority.contains('@') {
        return Err(IssuerError::UserInfo);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(literal) => {
            let (address, after) = literal.split_once(']').ok_or(IssuerError::Host)?;
            address
                .parse::<std::net::Ipv6Addr>()
                .map_err(|_| IssuerError::Host)?;
            match after {
                "" => ("", None),
                _ => ("", Some(after.strip_prefix(':').ok_or(IssuerError::Host)?)),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if !authority.starts_with('[') && !host.split('.').all(label) {
        return Err(IssuerError::Host);
    }
    match port {
        None => Ok(()),
        // `https://h:0443` and `https://h:443` reach the same server and are two issuers.
        Some(port) if port.starts_with('0') || !port.bytes().all(|b| b.is_ascii_digit()) => {
            Err(IssuerError::Port)
        }
        Some(port) => port.parse::<u16>().map(drop).map_err(|_| IssuerError::Port),
    }
}

fn check_path(path: &str) -> Result<(), IssuerError> {
    if path.ends_with('/') {
        return Err(IssuerError::TrailingSlash);
    }
    for segment in path.split('/').skip(1) {
        // HTTP clients fold these away, so the documents would be read from another place.
        // `%2e` is a dot to those that follow the WHATWG URL standard.
        let dots = segment.replace("%2e", ".").replace("%2E", ".");
        if matches!(dots.as_str(), "" | "." | "..") {
            return Err(IssuerError::Path);
        }
        let mut bytes = segment.bytes();
        while let Some(byte) = bytes.next() {
            let allowed = match byte {
                b'%' => [bytes.next(), bytes.next()]
                    .iter()
                    .all(|h| h.is_some_and(|h| h.is_ascii_hexdigit())),
                _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte),
            };
            if !allowed {
                return Err(IssuerError::Path);
            }
        }
    }
    Ok(())
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl fmt::Debug for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.url)
    }
}

impl TryFrom<String> for IssuerUrl {
    type Error = IssuerError;

    fn try_from(url: String) -> Result<Self, IssuerError> {
        url.parse()
    }
}

impl From<IssuerUrl> for String {
    fn from(issuer: IssuerUrl) -> Self {
        issuer.url
    }
}

/// Why a string is not an issuer. Every message names the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// Another scheme, or none.
    #[error("an issuer begins with https:// (in lower case)")]
    NotHttps,
    /// Longer than [`MAX_ISSUER_BYTES`].
    #[error("an issuer has at most {MAX_ISSUER_BYTES} bytes")]
    TooLong,
    /// `user:password@`.
    #[error("an issuer has no user information before its host")]
    UserInfo,
    /// No host, an empty label, or a character that no host has.
    #[error("the issuer's host is not a DNS name or an IP address")]
    Host,
    /// Not a number from 1 to 65535 without leading zeros.
    #[error("the issuer's port is not a number from 1 to 65535")]
    Port,
    /// A `?`.
    #[error("an issuer has no query (OpenID Connect Discovery 1.0 section 2)")]
    Query,
    /// A `#`.
    #[error("an issuer has no fragment (OpenID Connect Discovery 1.0 section 2)")]
    Fragment,
    /// A final `/`: relying parties compare the issuer byte for byte and some add or drop it.
    #[error("an issuer does not end in a slash")]
    TrailingSlash,
    /// An empty segment, `.`, `..`, a bad percent-encoding or a character that RFC 3986 section 3.3 lacks.
    #[error("the issuer's path has a segment that HTTP clients rewrite or refuse")]
    Path,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_hosts_ports_and_paths() {
        for url in [
            "https://oidc.example.com",
            "https://localhost:8443/bucket/prefix",
            "https://b.s3.eu-west-1.amazonaws.com/cluster-1",
            "https://[::1]:6443/a",
            "https://objectstorage.region.oraclecloud.com/n/ns/b/bucket/o/a%2Fb",
        ] {
            let issuer: IssuerUrl = url.parse().unwrap();
            assert_eq!(issuer.as_str(), url);
            assert_eq!(format!("https://{}{}", issuer.authority(), issuer.path()), url);
        }
    }

    #[test]
    fn refuses_what_two_clients_could_read_differently() {
        use IssuerError::*;
        for (url, error) in [
            ("http://a.example", NotHttps),
            ("HTTPS://a.example", NotHttps),
            ("a.example", NotHttps),
            ("", NotHttps),
            ("https://", Host),
            ("https:///path", Host),
            ("https://a..b", Host),
            ("https://a b", Host),
            ("https://a\\b", Host),
            ("https://[::1", Host),
            ("https://[x]", Host),
            ("https://u:p@a.example", UserInfo),
            ("https://a.example:", Port),
            ("https://a.example:0", Port),
            ("https://a.example:0443", Port),
            ("https://a.example:65536", Port),
            ("https://a.example:+1", Port),
            ("https://a.example?x", Query),
            ("https://a.example/#", Fragment),
            ("https://a.example/", TrailingSlash),
            ("https://a.example/b/", TrailingSlash),
            ("https://a.example//b", Path),
            ("https://a.example/../b", Path),
            ("https://a.example/%zz", Path),
            ("https://a.example/%4", Path),
            ("https://a.example/b c", Path),
            ("https://a.example/\u{e9}", Path),
        ] {
            assert_eq!(url.parse::<IssuerUrl>(), Err(error), "{url}");
        }
        assert_eq!(
            format!("https://{}", "a".repeat(2000)).parse::<IssuerUrl>(),
            Err(TooLong)
        );
    }
}
