//! Fields that several publishers have, and their rules.

use kubeassume_core::IssuerUrl;
use kubeassume_core::store::DocumentPath;
use serde::{Deserialize, Deserializer};

use crate::Invalid;

/// A configured value as a message repeats it: in quotes, not too long, and not at all when it looks like more
/// than a name: connection strings, signed URLs and keys are pasted into the wrong field.
pub fn shown(value: &str) -> String {
    const SECRET: [&str; 6] = [
        "AccountKey=",
        "SharedAccess",
        "sig=",
        "-----BEGIN",
        "\"private_key\"",
        "@",
    ];
    match SECRET.iter().any(|mark| value.contains(mark)) {
        true => "a text that may hold a secret (not repeated here)".to_owned(),
        false => format!("{:?}", value.chars().take(160).collect::<String>()),
    }
}

/// What goes before the keys in a bucket.
pub(crate) fn check_prefix(field: &'static str, prefix: &str) -> Result<(), Invalid> {
    if DocumentPath::new(prefix).is_some() {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        format!(
            "must be segments of letters, digits, '.', '_' and '-' with a slash between them and none at \
             the ends, which no client encodes (RFC 3986, section 2.3), not {}",
            shown(prefix)
        ),
    ))
}

/// Where the public reads: an issuer.
pub(crate) fn parse_public_url(field: &'static str, text: &str) -> Result<IssuerUrl, Invalid> {
    text.parse()
        .map_err(|error| Invalid::new(field, format!("{} cannot be an issuer: {error}", shown(text))))
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
            let endpoint = shown(endpoint);
            let rule =
                format!("must be https://HOST[:PORT] (or http) without anything behind, not {endpoint}");
            Err(Invalid::new(field, rule))
        }
    }
}

/// A text; an empty one counts as unset.
pub(crate) fn unset_if_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}
