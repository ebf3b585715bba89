//! Fields that several publishers have, and their rules.

use kubeassume_core::IssuerUrl;
use kubeassume_core::store::DocumentPath;
use serde::{Deserialize, Deserializer};

use crate::Invalid;

/// What goes before the keys in a bucket.
pub(crate) fn check_prefix(field: &'static str, prefix: &str) -> Result<(), Invalid> {
    if DocumentPath::new(prefix).is_some() {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        format!(
            "must be segments of letters, digits, '.', '_' and '-' with a slash between them and none at \
             the ends, not {prefix:?}"
        ),
    ))
}

/// Where the public reads: an issuer.
pub(crate) fn parse_public_url(field: &'static str, text: &str) -> Result<IssuerUrl, Invalid> {
    text.parse()
        .map_err(|error| Invalid::new(field, format!("{text:?} cannot be an issuer: {error}")))
}

/// `HOST[:PORT]` of an endpoint.
pub(crate) fn endpoint_host(field: &'static str, endpoint: &str) -> Result<String, Invalid> {
    let host = endpoint
        .strip_prefix("https://")
        .or_else(|| endpoint.strip_prefix("http://"));
    // An issuer without a path is exactly an authority.
    let parsed = host.and_then(|host| format!("https://{host}").parse::<IssuerUrl>().ok());
    match parsed {
        Some(url) if url.path().is_empty() => Ok(url.authority().to_owned()),
        _ => {
            let rule =
                format!("must be https://HOST[:PORT] (or http) without anything behind, not {endpoint:?}");
            Err(Invalid::new(field, rule))
        }
    }
}

/// A text; an empty one counts as unset.
pub(crate) fn unset_if_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}
