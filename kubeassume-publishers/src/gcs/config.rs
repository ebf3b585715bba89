//! What a `gcs` publisher is told.

use kubeassume_core::IssuerUrl;
use kubeassume_core::store::DocumentPath;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::fields::{check_prefix, endpoint_host, parse_public_url, shown, unset_if_empty};

/// A bucket, and where the public reads it. Empty strings count as unset.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GcsConfig {
    /// The bucket.
    pub bucket: String,
    /// The project that the bucket belongs to. A bucket's name is unique without it, so publishing does not
    /// send it; it says where a bucket that does not exist is to be created.
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub project: Option<String>,
    /// `true`: credentials only from workload identity federation (an `external_account` file) or the
    /// metadata server; `false`: never from there; unset: Application Default Credentials.
    #[serde(default)]
    pub use_workload_identity: Option<bool>,
    /// Another server than `https://storage.googleapis.com`; unset: `STORAGE_EMULATOR_HOST` if that is set.
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub endpoint: Option<String>,
    /// What goes before both names, without slashes at its ends.
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub prefix: Option<String>,
    /// Where the public reads it, byte-equal to the issuer; unset: Google's own address.
    #[serde(default, rename = "publicURL", deserialize_with = "unset_if_empty")]
    pub public_url: Option<String>,
}

impl GcsConfig {
    /// Checks everything that can be checked without a server.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn check(&self) -> Result<(), Invalid> {
        check_bucket(&self.bucket)?;
        if let Some(project) = &self.project {
            check_project(project)?;
        }
        if let Some(prefix) = &self.prefix {
            check_prefix("gcs.prefix", prefix)?;
        }
        if let Some(endpoint) = &self.endpoint {
            endpoint_host("gcs.endpoint", endpoint)?;
        }
        if let Some(public_url) = &self.public_url {
            parse_public_url("gcs.publicURL", public_url)?;
        }
        Ok(())
    }

    /// Where the public reads: as configured, else `https://storage.googleapis.com/BUCKET[/PREFIX]`.
    ///
    /// # Errors
    /// [`Invalid`] for a field that breaks a rule.
    pub fn public_url(&self) -> Result<IssuerUrl, Invalid> {
        let url = match (&self.public_url, &self.prefix) {
            (Some(public_url), _) => public_url.clone(),
            (None, None) => format!("https://storage.googleapis.com/{}", self.bucket),
            (None, Some(prefix)) => format!("https://storage.googleapis.com/{}/{prefix}", self.bucket),
        };
        parse_public_url("gcs.publicURL", &url)
    }

    /// The name of a document's object in the bucket.
    pub fn object(&self, path: &DocumentPath) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{path}"),
            None => path.to_string(),
        }
    }
}

/// Google's rules: <https://cloud.google.com/storage/docs/buckets#naming>, without the misspellings of
/// "google" that only the service knows.
fn check_bucket(bucket: &str) -> Result<(), Invalid> {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edge = |byte: Option<u8>| byte.is_some_and(alphanumeric);
    let longest = if bucket.contains('.') { 222 } else { 63 };
    let right = (3..=longest).contains(&bucket.len())
        && bucket.split('.').all(|part| (1..=63).contains(&part.len()))
        && bucket
            .bytes()
            .all(|b| alphanumeric(b) || matches!(b, b'-' | b'_' | b'.'))
        && edge(bucket.bytes().next())
        && edge(bucket.bytes().last())
        && bucket.parse::<std::net::Ipv4Addr>().is_err();
    let rule = if !right {
        format!(
            "must be 3 to 63 lower-case letters, digits, '-', '_' and '.' (222 with dots, 63 between two), beginning \
             and ending with a letter or digit, and no IP address, not {}",
            shown(bucket)
        )
    } else if bucket.starts_with("goog") || bucket.contains("google") {
        format!("must not begin with goog nor contain google, not {bucket:?}")
    } else {
        return Ok(());
    };
    let source = "https://cloud.google.com/storage/docs/buckets#naming";
    Err(Invalid::new("gcs.bucket", format!("{rule} ({source})")))
}

/// An id (not a number, not a display name), perhaps of an organization's domain: `example.com:keys-123`.
fn check_project(project: &str) -> Result<(), Invalid> {
    let id = project.rsplit_once(':').map_or(project, |(_, id)| id);
    let right = project.len() <= 128
        && (6..=30).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && !id.ends_with('-');
    if right {
        return Ok(());
    }
    Err(Invalid::new(
        "gcs.project",
        format!(
            "must be a project's id, 6 to 30 lower-case letters, digits and '-', beginning with a letter, not \
             {} (https://cloud.google.com/resource-manager/docs/creating-managing-projects)",
            shown(project)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(bucket: &str) -> GcsConfig {
        GcsConfig {
            bucket: bucket.to_owned(),
            ..GcsConfig::default()
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_default_public_url_is_googles_address_of_the_bucket() {
        let url = |config: &GcsConfig| config.public_url().unwrap().to_string();
        let mut keys = config("my_keys.example.com");
        assert_eq!(url(&keys), "https://storage.googleapis.com/my_keys.example.com");
        keys.prefix = some("clusters/one");
        keys.endpoint = some("https://storage-keys.p.googleapis.com");
        assert_eq!(
            url(&keys),
            "https://storage.googleapis.com/my_keys.example.com/clusters/one"
        );
        keys.public_url = some("https://oidc.example.com/one");
        assert_eq!(url(&keys), "https://oidc.example.com/one");
    }

    #[test]
    fn every_field_has_its_rule() {
        for good in [
            "abc",
            "my-keys",
            "my_keys",
            "9keys9",
            "keys.example.com",
            &"k".repeat(63),
        ] {
            assert_eq!(config(good).check(), Ok(()), "{good}");
        }
        let long = format!("{}.com", "k".repeat(64));
        for bad in [
            "",
            "ab",
            "Keys",
            "keys-",
            "_keys",
            "ke..ys",
            "ke ys",
            "gs://keys",
            "keys/one",
            "192.0.2.1",
            "goog-keys",
            "my-google-keys",
            &"k".repeat(64),
            &long,
            "kéys",
            "ke\nys",
        ] {
            let invalid = config(bad).check().unwrap_err();
            assert_eq!(invalid.field, "gcs.bucket", "{bad:?}");
            assert!(invalid.rule.contains("docs/buckets#naming"), "{invalid}");
        }
        type Set = fn(&mut GcsConfig, &str);
        let cases: [(Set, &str, &[&str], &[&str]); 4] = [
            (
                |c, v| c.project = some(v),
                "gcs.project",
                &["my-project-1", "example.com:my-project"],
                &[
                    "short",
                    "123456",
                    "My-Project",
                    "my project",
                    "my-project-",
                    "1234567",
                ],
            ),
            (
                |c, v| c.prefix = some(v),
                "gcs.prefix",
                &["one", "clusters/one"],
                &["/a", "a/", "a//b", "..", "a/../b", "a b", "a?b"],
            ),
            (
                |c, v| c.endpoint = some(v),
                "gcs.endpoint",
                &["https://storage.example.com:8443", "http://127.0.0.1:4443"],
                &[
                    "storage.example.com",
                    "https://h/",
                    "https://h/p",
                    "https://u@h",
                    "ftp://h",
                ],
            ),
            (
                |c, v| c.public_url = some(v),
                "gcs.publicURL",
                &["https://oidc.example.com"],
                &["https://h/", "http://h", "h"],
            ),
        ];
        for (set, field, right, wrong) in cases {
            let check = |value: &str| {
                let mut config = config("keys");
                set(&mut config, value);
                config.check().map_err(|invalid| invalid.field)
            };
            for value in right {
                assert_eq!(check(value), Ok(()), "{field} {value:?}");
            }
            for value in wrong {
                assert_eq!(check(value), Err(field), "{value:?}");
            }
        }
    }

    #[test]
    fn reads_the_names_of_the_configuration_file() {
        let json = r#"{"bucket":"keys","project":"","useWorkloadIdentity":true,"endpoint":"","prefix":"a",
            "publicURL":"https://h"}"#;
        let config: GcsConfig = serde_json::from_str(json).unwrap();
        assert_eq!(
            (config.project, config.endpoint, config.use_workload_identity),
            (None, None, Some(true))
        );
        assert!(serde_json::from_str::<GcsConfig>(r#"{"bucket":"keys","buket":""}"#).is_err());
    }
}
