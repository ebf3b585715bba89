//! What an `oci` publisher is told.

use kubeassume_core::IssuerUrl;
use kubeassume_core::store::DocumentPath;
use serde::{Deserialize, Serialize};

use super::region::object_storage;
use crate::Invalid;
use crate::fields::{check_prefix, endpoint_host, parse_public_url, shown, unset_if_empty};

/// A bucket of OCI Object Storage, and where the public reads it. Empty strings count as unset.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OciConfig {
    /// The bucket.
    pub bucket: String,
    /// The tenancy's Object Storage namespace (`oci os ns get`).
    pub namespace: String,
    /// The compartment's OCID. Publishing does not need it: only making a bucket does.
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub compartment_id: Option<String>,
    /// The bucket's region, `eu-frankfurt-1`; unset: the one that goes with the credential.
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub region: Option<String>,
    /// Another server than the region's: `https://HOST[:PORT]` (a dedicated endpoint, a private one).
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub endpoint: Option<String>,
    /// What goes before both object names, without slashes at its ends.
    #[serde(default, deserialize_with = "unset_if_empty")]
    pub prefix: Option<String>,
    /// Where the public reads it, byte-equal to the issuer; unset: the bucket's own address.
    #[serde(default, rename = "publicURL", deserialize_with = "unset_if_empty")]
    pub public_url: Option<String>,
    /// Which credential, and no other; unset: what the environment is set up for.
    #[serde(default)]
    pub auth: Option<OciAuth>,
}

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OciAuth {
    /// A user's key, from `~/.oci/config` or `OCI_CLI_*`.
    ApiKey,
    /// A person's session, from the profile's `security_token_file`.
    SessionToken,
    /// `OCI_RESOURCE_PRINCIPAL_*`, version 2.2.
    ResourcePrincipal,
    /// The compute instance's own identity.
    InstancePrincipal,
}

/// Object names are at most this long, in bytes (Object Storage, "Object Names").
const MAX_OBJECT_NAME: usize = 1024;

impl OciConfig {
    /// Checks everything that can be checked without a server.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn check(&self) -> Result<(), Invalid> {
        check_bucket(&self.bucket)?;
        check_namespace(&self.namespace)?;
        if let Some(compartment) = &self.compartment_id {
            check_compartment(compartment)?;
        }
        if let Some(region) = &self.region {
            check_region(region)?;
        }
        if let Some(prefix) = &self.prefix {
            check_object_names(prefix)?;
        }
        if let Some(endpoint) = &self.endpoint {
            endpoint_host("oci.endpoint", endpoint)?;
        }
        if let Some(public_url) = &self.public_url {
            parse_public_url("oci.publicURL", public_url)?;
        }
        Ok(())
    }

    /// Where the public reads: as configured, else the bucket's own address.
    ///
    /// # Errors
    /// [`Invalid`] for a field that breaks a rule, or when there is no https address without `publicURL`.
    pub fn public_url(&self, region: &str) -> Result<IssuerUrl, Invalid> {
        if let Some(public_url) = &self.public_url {
            return parse_public_url("oci.publicURL", public_url);
        }
        let server = self.server(region);
        if !server.starts_with("https://") {
            return Err(Invalid::new(
                "oci.publicURL",
                "must be given when the endpoint is not https: an issuer is an https URL",
            ));
        }
        let mut url = format!("{server}{}", self.objects());
        if let Some(prefix) = &self.prefix {
            url.push('/');
            url.push_str(prefix);
        }
        parse_public_url("oci.publicURL", &url)
    }

    /// The name of a document's object in the bucket.
    pub fn object(&self, path: &DocumentPath) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{path}"),
            None => path.to_string(),
        }
    }

    /// `https://HOST[:PORT]` of the server that is asked.
    pub(crate) fn server(&self, region: &str) -> String {
        self.endpoint.clone().unwrap_or_else(|| object_storage(region))
    }

    /// `/n/NAMESPACE/b/BUCKET/o`: the list of objects, and what stands before every object's name.
    pub(super) fn objects(&self) -> String {
        format!("/n/{}/b/{}/o", self.namespace, self.bucket)
    }
}

/// <https://docs.oracle.com/iaas/api/#/en/objectstorage/20160918/datatypes/CreateBucketDetails>.
fn check_bucket(bucket: &str) -> Result<(), Invalid> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    // A segment of dots would lead elsewhere: HTTP clients fold it away.
    let dots = matches!(bucket, "." | "..");
    if (1..=256).contains(&bucket.len()) && bucket.bytes().all(allowed) && !dots {
        return Ok(());
    }
    Err(Invalid::new(
        "oci.bucket",
        format!(
            "must be 1 to 256 letters, digits, '-', '_' and '.' (OCI's CreateBucketDetails.name), not {}",
            shown(bucket)
        ),
    ))
}

/// <https://docs.oracle.com/iaas/Content/Object/Tasks/understandingnamespaces.htm>.
fn check_namespace(namespace: &str) -> Result<(), Invalid> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if (1..=255).contains(&namespace.len()) && namespace.bytes().all(allowed) {
        return Ok(());
    }
    Err(Invalid::new(
        "oci.namespace",
        format!(
            "must be the tenancy's Object Storage namespace, lower-case letters and digits (OCI, \"Object Storage \
             Namespaces\"), not {}",
            shown(namespace)
        ),
    ))
}

/// `ocid1.<type>.<realm>.[region].<id>` (<https://docs.oracle.com/iaas/Content/General/Concepts/identifiers.htm>).
fn check_compartment(ocid: &str) -> Result<(), Invalid> {
    let kind = ["ocid1.compartment.", "ocid1.tenancy."];
    let known = kind.iter().any(|kind| ocid.starts_with(kind));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if known && ocid.len() <= 255 && ocid.split('.').count() >= 5 && ocid.bytes().all(allowed) {
        return Ok(());
    }
    Err(Invalid::new(
        "oci.compartmentId",
        format!(
            "must be the OCID of a compartment or tenancy, as ocid1.compartment.oc1..aaaa (OCI, \"Resource \
             Identifiers\"), not {}",
            shown(ocid)
        ),
    ))
}

fn check_region(region: &str) -> Result<(), Invalid> {
    let right = region.len() <= 64
        && region.split('-').count() >= 3
        && region.split('-').all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
    if right {
        return Ok(());
    }
    Err(Invalid::new(
        "oci.region",
        format!(
            "must be a region identifier as eu-frankfurt-1, not a short key as FRA (OCI, \"Regions and \
             Availability Domains\"), not {}",
            shown(region)
        ),
    ))
}

fn check_object_names(prefix: &str) -> Result<(), Invalid> {
    check_prefix("oci.prefix", prefix)?;
    let longest = prefix.len() + 1 + DocumentPath::DISCOVERY.as_str().len();
    if longest > MAX_OBJECT_NAME {
        let rule = format!("makes object names of more than {MAX_OBJECT_NAME} bytes (OCI, \"Object Names\")");
        return Err(Invalid::new("oci.prefix", rule));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> OciConfig {
        OciConfig {
            bucket: "keys".to_owned(),
            namespace: "axaxnpcrorw5".to_owned(),
            ..OciConfig::default()
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_default_public_url_is_the_buckets_own_address() {
        let url = |config: &OciConfig, region| config.public_url(region).map(|url| url.to_string());
        let ok = |url: &str| Ok(url.to_owned());
        let plain = config();
        for (region, host) in [
            ("eu-frankfurt-1", "objectstorage.eu-frankfurt-1.oraclecloud.com"),
            (
                "us-gov-ashburn-1",
                "objectstorage.us-gov-ashburn-1.oraclegovcloud.com",
            ),
            (
                "uk-gov-london-1",
                "objectstorage.uk-gov-london-1.oraclegovcloud.uk",
            ),
            ("eu-frankfurt-2", "objectstorage.eu-frankfurt-2.oraclecloud.eu"),
            ("xx-new-9", "objectstorage.xx-new-9.oraclecloud.com"),
        ] {
            assert_eq!(
                url(&plain, region),
                Ok(format!("https://{host}/n/axaxnpcrorw5/b/keys/o"))
            );
        }
        let mut other = OciConfig {
            prefix: some("clusters/one"),
            ..plain
        };
        assert_eq!(
            url(&other, "eu-frankfurt-1"),
            ok("https://objectstorage.eu-frankfurt-1.oraclecloud.com/n/axaxnpcrorw5/b/keys/o/clusters/one")
        );
        other.endpoint = some("https://storage.example.com:8443");
        assert_eq!(
            url(&other, "x"),
            ok("https://storage.example.com:8443/n/axaxnpcrorw5/b/keys/o/clusters/one")
        );
        other.endpoint = some("http://127.0.0.1:1");
        assert_eq!(
            url(&other, "x").unwrap_err().to_string().split(' ').next(),
            Some("oci.publicURL")
        );
        other.public_url = some("https://oidc.example.com/one");
        assert_eq!(url(&other, "x"), ok("https://oidc.example.com/one"));
    }

    #[test]
    fn every_field_has_its_rule() {
        type Change = fn(&mut OciConfig);
        let field = |change: Change| {
            let mut config = config();
            change(&mut config);
            config.check().map_err(|invalid| invalid.field)
        };
        let good: [Change; 6] = [
            |_| (),
            |c| c.bucket = "My_Keys.1".to_owned(),
            |c| c.namespace = "my-tenancy".to_owned(),
            |c| c.region = some("us-gov-ashburn-1"),
            |c| c.compartment_id = some("ocid1.compartment.oc1..aaaaaaaaexample"),
            |c| c.compartment_id = some("ocid1.tenancy.oc1..aaaaaaaaexample"),
        ];
        for good in good {
            assert_eq!(field(good), Ok(()));
        }
        let bad: [(Change, &str); 21] = [
            (|c| c.bucket.clear(), "oci.bucket"),
            (|c| c.bucket = "ke ys".to_owned(), "oci.bucket"),
            (|c| c.bucket = "ke/ys".to_owned(), "oci.bucket"),
            (|c| c.bucket = "..".to_owned(), "oci.bucket"),
            (|c| c.bucket = "k".repeat(257), "oci.bucket"),
            (|c| c.namespace.clear(), "oci.namespace"),
            (|c| c.namespace = "MyTenancy".to_owned(), "oci.namespace"),
            (|c| c.namespace = "a/b".to_owned(), "oci.namespace"),
            (|c| c.compartment_id = some("keys"), "oci.compartmentId"),
            (
                |c| c.compartment_id = some("ocid1.user.oc1..aaaa"),
                "oci.compartmentId",
            ),
            (
                |c| c.compartment_id = some("ocid1.compartment.oc1"),
                "oci.compartmentId",
            ),
            (|c| c.region = some("FRA"), "oci.region"),
            (|c| c.region = some("fra"), "oci.region"),
            (|c| c.region = some("eu-frankfurt-1/x"), "oci.region"),
            (|c| c.region = some("eu--1"), "oci.region"),
            (|c| c.prefix = some("/a"), "oci.prefix"),
            (|c| c.prefix = some("a/../b"), "oci.prefix"),
            (|c| c.prefix = some("a%2Fb"), "oci.prefix"),
            (|c| c.endpoint = some("storage.example.com"), "oci.endpoint"),
            (|c| c.endpoint = some("https://h/n/x"), "oci.endpoint"),
            (|c| c.public_url = some("https://h/"), "oci.publicURL"),
        ];
        for (number, (bad, expected)) in bad.into_iter().enumerate() {
            assert_eq!(field(bad), Err(expected), "case {number}");
        }
    }

    #[test]
    fn reads_the_names_of_the_configuration_file() {
        let json = r#"{"bucket":"keys","namespace":"ns","compartmentId":"","region":"","endpoint":"","prefix":"a",
            "publicURL":"https://h","auth":"instancePrincipal"}"#;
        let config: OciConfig = serde_json::from_str(json).unwrap();
        assert_eq!(
            (config.region, config.compartment_id, config.auth),
            (None, None, Some(OciAuth::InstancePrincipal))
        );
        assert!(serde_json::from_str::<OciConfig>(r#"{"bucket":"keys"}"#).is_err());
        assert!(serde_json::from_str::<OciConfig>(r#"{"bucket":"k","namespace":"n","buket":""}"#).is_err());
    }
}
