//! What an `s3` publisher is told.

use kubeassume_core::IssuerUrl;
use kubeassume_core::store::DocumentPath;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::fields::{check_prefix, endpoint_host, parse_public_url, shown, unset_if_empty};

/// A bucket, and where the public reads it. Empty strings count as unset.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Config {
    /// The bucket.
    pub bucket: String,
    /// Its region; unset: the SDK's (`AWS_REGION`, profile, instance).
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub region: Option<String>,
    /// Another server than Amazon's: `https://HOST[:PORT]`; unset: the SDK's (`AWS_ENDPOINT_URL`).
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub endpoint: Option<String>,
    /// The bucket's name in the path instead of the host name.
    #[serde(default)]
    pub force_path_style: bool,
    /// What goes before both keys, without slashes at its ends.
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub prefix: Option<String>,
    /// Where the public reads it, byte-equal to the issuer; unset: S3's own address.
    #[serde(default, rename = "publicURL", deserialize_with = "unset_if_empty")]
    pub public_url: Option<String>,
    /// `true`: credentials only from the web identity token (IRSA); `false`: never from there; unset: the
    /// SDK's whole chain.
    #[serde(default, rename = "useIRSA")]
    pub use_irsa: Option<bool>,
}

impl S3Config {
    /// Checks everything that can be checked without a server.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn check(&self) -> Result<(), Invalid> {
        check_bucket(&self.bucket)?;
        if let Some(region) = &self.region {
            check_region(region)?;
        }
        if let Some(prefix) = &self.prefix {
            check_prefix("s3.prefix", prefix)?;
        }
        if let Some(endpoint) = &self.endpoint {
            endpoint_host("s3.endpoint", endpoint)?;
        }
        if let Some(public_url) = &self.public_url {
            parse_public_url("s3.publicURL", public_url)?;
        }
        Ok(())
    }

    /// Where the public reads: as configured, else the bucket's own address.
    ///
    /// # Errors
    /// [`Invalid`] for a field that breaks a rule, or when there is no https address without `publicURL`.
    pub fn public_url(&self, region: &str) -> Result<IssuerUrl, Invalid> {
        if let Some(public_url) = &self.public_url {
            return parse_public_url("s3.publicURL", public_url);
        }
        // A wildcard certificate covers one label.
        let by_path = self.force_path_style || self.bucket.contains('.');
        let base = match &self.endpoint {
            None => {
                let domain = if region.starts_with("cn-") {
                    "amazonaws.com.cn"
                } else {
                    "amazonaws.com"
                };
                format!("https://s3.{region}.{domain}")
            }
            Some(endpoint) => endpoint.clone(),
        };
        let Some(host) = base.strip_prefix("https://") else {
            return Err(Invalid::new(
                "s3.publicURL",
                "must be given when the endpoint is not https: an issuer is an https URL",
            ));
        };
        let bucket = &self.bucket;
        let mut url = match (by_path, &self.endpoint) {
            (true, _) => format!("{base}/{bucket}"),
            (false, _) => format!("https://{bucket}.{host}"),
        };
        if let Some(prefix) = &self.prefix {
            url.push('/');
            url.push_str(prefix);
        }
        parse_public_url("s3.publicURL", &url)
    }

    /// The key of a document in the bucket.
    pub fn key(&self, path: &DocumentPath) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{path}"),
            None => path.to_string(),
        }
    }
}

/// Amazon's rules for general purpose buckets, without the reserved prefixes.
fn check_bucket(bucket: &str) -> Result<(), Invalid> {
    let edge = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let right = (3..=63).contains(&bucket.len())
        && bucket
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
        && edge(bucket.bytes().next())
        && edge(bucket.bytes().last())
        && !bucket.contains("..")
        && bucket.parse::<std::net::Ipv4Addr>().is_err();
    if right {
        return Ok(());
    }
    Err(Invalid::new(
        "s3.bucket",
        format!(
            "must be 3 to 63 lower-case letters, digits, '-' and '.', beginning and ending with a letter or \
             digit, and no IP address, not {} \
             (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html)",
            shown(bucket)
        ),
    ))
}

fn check_region(region: &str) -> Result<(), Invalid> {
    let right = region.len() <= 64
        && region
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !region.starts_with('-')
        && !region.ends_with('-');
    if right {
        return Ok(());
    }
    let rule = format!(
        "must be a name as eu-west-1, of lower-case letters, digits and '-', not {} \
         (https://docs.aws.amazon.com/general/latest/gr/s3.html)",
        shown(region)
    );
    Err(Invalid::new("s3.region", rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(bucket: &str) -> S3Config {
        S3Config {
            bucket: bucket.to_owned(),
            ..S3Config::default()
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_default_public_url_is_the_buckets_own_address() {
        let plain = config("keys");
        let url = |config: &S3Config, region| config.public_url(region).map(|url| url.to_string());
        let ok = |url: &str| Ok(url.to_owned());
        assert_eq!(
            url(&plain, "eu-west-1"),
            ok("https://keys.s3.eu-west-1.amazonaws.com")
        );
        assert_eq!(
            url(&plain, "cn-north-1"),
            ok("https://keys.s3.cn-north-1.amazonaws.com.cn")
        );
        assert_eq!(
            url(&config("my.keys"), "eu-west-1"),
            ok("https://s3.eu-west-1.amazonaws.com/my.keys")
        );
        let mut other = S3Config {
            prefix: some("clusters/one"),
            endpoint: some("https://s3.example.com:9000"),
            ..plain
        };
        assert_eq!(
            url(&other, "x"),
            ok("https://keys.s3.example.com:9000/clusters/one")
        );
        other.force_path_style = true;
        assert_eq!(
            url(&other, "x"),
            ok("https://s3.example.com:9000/keys/clusters/one")
        );
        other.endpoint = some("http://s3.example.com");
        assert!(url(&other, "x").is_err());
        other.public_url = some("https://oidc.example.com/one");
        assert_eq!(url(&other, "x"), ok("https://oidc.example.com/one"));
    }

    #[test]
    fn every_field_has_its_rule() {
        let field = |change: fn(&mut S3Config)| {
            let mut config = config("keys");
            change(&mut config);
            config.check().map_err(|invalid| invalid.field)
        };
        assert_eq!(field(|_| ()), Ok(()));
        let buckets: [fn(&mut S3Config); 8] = [
            |c| c.bucket.clear(),
            |c| c.bucket = "ab".to_owned(),
            |c| c.bucket = "Keys".to_owned(),
            |c| c.bucket = "ke_ys".to_owned(),
            |c| c.bucket = "keys-".to_owned(),
            |c| c.bucket = "ke..ys".to_owned(),
            |c| c.bucket = "192.0.2.1".to_owned(),
            |c| c.bucket = "k".repeat(64),
        ];
        for bad in buckets {
            assert_eq!(field(bad), Err("s3.bucket"));
        }
        for bad in ["EU", "eu west", "-eu", "eu/../x", "eu\r\nx"] {
            let region = S3Config {
                region: some(bad),
                ..config("keys")
            };
            assert_eq!(region.check().unwrap_err().field, "s3.region", "{bad:?}");
        }
        for bad in ["/a", "a/", "a//b", "..", "a/../b", "a b", "\u{e9}"] {
            let prefix = S3Config {
                prefix: some(bad),
                ..config("keys")
            };
            assert_eq!(prefix.check().unwrap_err().field, "s3.prefix", "{bad:?}");
        }
        for bad in [
            "s3.example.com",
            "https://h/",
            "https://h/p",
            "https://u@h",
            "ftp://h",
            "https://h?x",
        ] {
            let endpoint = S3Config {
                endpoint: some(bad),
                ..config("keys")
            };
            assert_eq!(endpoint.check().unwrap_err().field, "s3.endpoint", "{bad:?}");
        }
        assert_eq!(field(|c| c.public_url = some("https://h/")), Err("s3.publicURL"));
    }

    #[test]
    fn reads_the_names_of_the_configuration_file() {
        let json = r#"{"bucket":"keys","region":"","endpoint":"","forcePathStyle":true,"prefix":"a",
            "publicURL":"https://h","useIRSA":false}"#;
        let config: S3Config = serde_json::from_str(json).unwrap();
        assert_eq!(
            (config.region, config.endpoint, config.use_irsa),
            (None, None, Some(false))
        );
        assert!(serde_json::from_str::<S3Config>(r#"{"bucket":"keys","buket":""}"#).is_err());
    }
}
