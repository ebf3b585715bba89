//! What an `azure` publisher is told.

use kubeassume_core::IssuerUrl;
use kubeassume_core::store::DocumentPath;
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::fields::{check_prefix, parse_public_url, shown, unset_if_empty};

/// The Blob service of Azure's public cloud.
const PUBLIC_SUFFIX: &str = "blob.core.windows.net";
/// What follows the account's name in the host names that Azure gives out; the last is that of accounts
/// with a DNS zone of their own.
const SUFFIXES: [&str; 4] = [
    PUBLIC_SUFFIX,
    "blob.core.chinacloudapi.cn",
    "blob.core.usgovcloudapi.net",
    "blob.storage.azure.net",
];
const ACCOUNT_RULE: &str = "https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftstorage";
const CONTAINER_RULE: &str = "https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata";
/// The container of a static website.
const WEBSITE: &str = "$web";

/// A container, and where the public reads it. Empty strings count as unset.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureConfig {
    /// The storage account's name.
    pub storage_account: String,
    /// The container, or `$web` for the account's static website.
    pub container: String,
    /// `true`: the credential is the managed identity and nothing else; `false`: never it; unset: workload
    /// identity, then managed identity, then the developer's tools.
    #[serde(default)]
    pub use_managed_identity: Option<bool>,
    /// The account's Blob service, when it is not in the public cloud: `https://HOST[:PORT][/PATH]`, as
    /// `primaryEndpoints.blob` without the slash at its end.
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub endpoint: Option<String>,
    /// What goes before both blob names, without slashes at its ends.
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub prefix: Option<String>,
    /// Where the public reads it, byte-equal to the issuer; unset: the container's own address.
    #[serde(default, rename = "publicURL", deserialize_with = "unset_if_empty")]
    pub public_url: Option<String>,
}

impl AzureConfig {
    /// Checks everything that can be checked without a server.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn check(&self) -> Result<(), Invalid> {
        check_account(&self.storage_account)?;
        check_container(&self.container)?;
        if let Some(endpoint) = &self.endpoint {
            check_endpoint(endpoint, &self.storage_account)?;
        }
        if let Some(prefix) = &self.prefix {
            check_prefix("azure.prefix", prefix)?;
        }
        self.public_url().map(drop)
    }

    /// Where the public reads: as configured, else the container's own address.
    ///
    /// # Errors
    /// [`Invalid`] for a URL that cannot be an issuer, and for `$web` without `publicURL`: Azure gives each
    /// website a host name that nobody can know beforehand.
    pub fn public_url(&self) -> Result<IssuerUrl, Invalid> {
        let text = match &self.public_url {
            Some(public_url) => public_url.clone(),
            None if self.container == WEBSITE => {
                return Err(Invalid::new(
                    "azure.publicURL",
                    "must be given for the container $web: the static website's address \
                     (https://ACCOUNT.zNN.web.core.windows.net, as primaryEndpoints.web without the slash at its \
                     end) or the domain in front of it",
                ));
            }
            None => {
                let mut own = format!("{}/{}", self.service(), self.container);
                if let Some(prefix) = &self.prefix {
                    own.push('/');
                    own.push_str(prefix);
                }
                own
            }
        };
        parse_public_url("azure.publicURL", &text)
    }

    /// The account's Blob service: `https://HOST[:PORT][/PATH]`.
    pub fn service(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("https://{}.{PUBLIC_SUFFIX}", self.storage_account),
        }
    }

    /// The name of a document's blob in the container.
    pub fn blob(&self, path: &DocumentPath) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{path}"),
            None => path.to_string(),
        }
    }
}

fn check_account(account: &str) -> Result<(), Invalid> {
    let right = (3..=24).contains(&account.len())
        && account
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if right {
        return Ok(());
    }
    let account = shown(account);
    let rule = format!("must be 3 to 24 lower-case letters and digits, not {account} ({ACCOUNT_RULE})");
    Err(Invalid::new("azure.storageAccount", rule))
}

/// Not `$root`, in which no blob's name may have a slash.
fn check_container(container: &str) -> Result<(), Invalid> {
    let right = (3..=63).contains(&container.len())
        && container
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !container.starts_with('-')
        && !container.ends_with('-')
        && !container.contains("--");
    if right || container == WEBSITE {
        return Ok(());
    }
    let container = shown(container);
    let rule = format!(
        "must be 3 to 63 lower-case letters, digits and single '-' between them, or $web, not {container} \
         ({CONTAINER_RULE})"
    );
    Err(Invalid::new("azure.container", rule))
}

fn check_endpoint(endpoint: &str, account: &str) -> Result<(), Invalid> {
    let invalid = |rule| Err(Invalid::new("azure.endpoint", rule));
    let Ok(url) = endpoint.parse::<IssuerUrl>() else {
        return invalid(format!(
            "must be https://HOST[:PORT] or https://HOST[:PORT]/PATH without a slash at its end (Azure takes no \
             token without TLS), not {}",
            shown(endpoint)
        ));
    };
    let host = url.authority();
    let labels = SUFFIXES.iter().find_map(|suffix| host.strip_suffix(suffix));
    match labels.and_then(|labels| labels.split('.').next()) {
        Some(named) if named != account => invalid(format!(
            "is {endpoint:?}, of the storage account {named:?}, and azure.storageAccount is {account:?}"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AzureConfig {
        AzureConfig {
            storage_account: "acmekeys".to_owned(),
            container: "oidc".to_owned(),
            ..AzureConfig::default()
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_default_public_url_is_the_containers_own_address() {
        let url = |config: &AzureConfig| config.public_url().map(|url| url.to_string());
        let ok = |url: &str| Ok(url.to_owned());
        let mut other = config();
        assert_eq!(url(&other), ok("https://acmekeys.blob.core.windows.net/oidc"));
        other.prefix = some("clusters/one");
        assert_eq!(
            url(&other),
            ok("https://acmekeys.blob.core.windows.net/oidc/clusters/one")
        );
        other.endpoint = some("https://acmekeys.blob.core.chinacloudapi.cn");
        assert_eq!(
            url(&other),
            ok("https://acmekeys.blob.core.chinacloudapi.cn/oidc/clusters/one")
        );
        other.endpoint = some("https://localhost:10000/acmekeys");
        assert_eq!(
            url(&other),
            ok("https://localhost:10000/acmekeys/oidc/clusters/one")
        );
        other.public_url = some("https://oidc.example.com/one");
        assert_eq!(url(&other), ok("https://oidc.example.com/one"));
    }

    #[test]
    fn a_website_needs_its_address() {
        let mut website = config();
        website.container = "$web".to_owned();
        let missing = website.check().unwrap_err();
        assert_eq!(missing.field, "azure.publicURL");
        assert!(missing.rule.contains("web.core.windows.net"), "{missing}");
        website.public_url = some("https://acmekeys.z6.web.core.windows.net");
        website.check().unwrap();
    }

    #[test]
    fn every_field_has_its_rule() {
        config().check().unwrap();
        type Change = fn(&mut AzureConfig, &str);
        let rules: [(&str, Change, &[&str]); 5] = [
            (
                "azure.storageAccount",
                |config, bad| config.storage_account = bad.to_owned(),
                &[
                    "",
                    "ab",
                    "Keys",
                    "ke-ys",
                    "acmekeysacmekeysacmekeys1",
                    "keys.blob.core.windows.net",
                ],
            ),
            (
                "azure.container",
                |config, bad| config.container = bad.to_owned(),
                &[
                    "", "ab", "Oidc", "oi_dc", "-oidc", "oidc-", "oi--dc", "$root", "$logs", "a/b",
                ],
            ),
            (
                "azure.endpoint",
                |config, bad| config.endpoint = some(bad),
                &[
                    "acmekeys.blob.core.windows.net",
                    "http://acmekeys.blob.core.windows.net",
                    "https://acmekeys.blob.core.windows.net/",
                    "https://acmekeys.blob.core.windows.net?sv=2024&sig=x",
                    "https://user@localhost",
                    "https://other.blob.core.windows.net",
                    "https://other.blob.core.usgovcloudapi.net",
                    "https://other.z1.blob.storage.azure.net",
                ],
            ),
            (
                "azure.prefix",
                |config, bad| config.prefix = some(bad),
                &["/a", "a/", "a//b", "..", "a/../b", "a b", "\u{e9}"],
            ),
            (
                "azure.publicURL",
                |config, bad| config.public_url = some(bad),
                &["https://h/", "http://h", "h", "https://h?x"],
            ),
        ];
        for (field, change, all) in rules {
            for bad in all {
                let mut config = config();
                change(&mut config, bad);
                let invalid = config.check().expect_err(bad);
                assert_eq!(invalid.field, field, "{bad:?}");
            }
        }
        for good in [
            "https://acmekeys.blob.core.usgovcloudapi.net",
            "https://acmekeys.privatelink.blob.core.windows.net",
            "https://acmekeys.z1.blob.storage.azure.net",
            "https://blobs.example.com",
        ] {
            let mut config = config();
            config.endpoint = some(good);
            config
                .check()
                .unwrap_or_else(|invalid| panic!("{good}: {invalid}"));
        }
    }

    #[test]
    fn reads_the_names_of_the_configuration_file() {
        let json = r#"{"storageAccount":"acmekeys","container":"oidc","useManagedIdentity":false,"endpoint":"",
            "prefix":"a","publicURL":"https://h"}"#;
        let config: AzureConfig = serde_json::from_str(json).unwrap();
        assert_eq!(
            (config.endpoint, config.use_managed_identity),
            (None, Some(false))
        );
        let misspelt = r#"{"storageAccount":"acmekeys","container":"oidc","useManagedIdentiti":true}"#;
        assert!(serde_json::from_str::<AzureConfig>(misspelt).is_err());
    }
}
