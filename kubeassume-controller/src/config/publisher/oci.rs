//! `publisher.oci`: a bucket of Oracle Cloud's Object Storage.

use kubeassume_publishers::oci::{OciAuth, OciConfig};

use super::Role;
use crate::config::section::Section;

pub(super) fn read(oci: &mut Section, role: &Role<'_>) -> Option<OciConfig> {
    let config = OciConfig {
        bucket: oci
            .required("bucket", "write the name of the bucket", "The bucket's name.")
            .unwrap_or_default(),
        namespace: oci
            .required(
                "namespace",
                "write the tenancy's Object Storage namespace, as `oci os ns get` prints it",
                "The tenancy's Object Storage namespace (`oci os ns get`).",
            )
            .unwrap_or_default(),
        compartment_id: oci.text(
            "compartmentId",
            "The OCID of the compartment that the bucket is in. Publishing does not need it.",
        ),
        region: oci.text(
            "region",
            "The bucket's region, for example `eu-frankfurt-1`. Unset: the one that goes with the credential (profile, \
             `OCI_REGION`, instance).",
        ),
        endpoint: oci.text(
            "endpoint",
            "Another server than the region's: `https://HOST[:PORT]`, for example a dedicated endpoint.",
        ),
        prefix: oci.text(
            "prefix",
            "What goes before both names in the bucket, without slashes at its ends. Unset: nothing.",
        ),
        public_url: oci.text(
            "publicURL",
            "Where the public reads the bucket: the issuer, byte for byte. Unset: \
             `https://objectstorage.REGION.oraclecloud.com/n/NAMESPACE/b/BUCKET/o[/PREFIX]` (or the domain of the \
             region's realm), which then has to be the issuer.",
        ),
        auth: oci.optional_choice(
            "auth",
            &[
                ("apiKey", OciAuth::ApiKey),
                ("sessionToken", OciAuth::SessionToken),
                ("resourcePrincipal", OciAuth::ResourcePrincipal),
                ("instancePrincipal", OciAuth::InstancePrincipal),
            ],
            "The one kind of credential that is used: the API key or the session token of a profile \
             (`~/.oci/config`, `OCI_CLI_*`), the resource principal of the environment (`OCI_RESOURCE_PRINCIPAL_*`), or \
             the compute instance's own identity. Unset: `OCI_CLI_AUTH`, else the first of resource principal and \
             profile that is set up, else the instance's.",
        ),
    };
    if config.bucket.is_empty() || config.namespace.is_empty() {
        return None;
    }
    role.allows(oci, config.public_url.as_deref())?;
    if let Err(invalid) = config.check() {
        let name = invalid.field.trim_start_matches("oci.");
        let fix = match name {
            "bucket" => "write the name alone, without oci:// and without a path",
            "namespace" => "write what `oci os ns get` prints",
            "compartmentId" => "write what `oci iam compartment list` shows as its id",
            "region" => "write for example region: eu-frankfurt-1",
            "prefix" => "write for example prefix: clusters/one",
            "endpoint" => {
                "write for example endpoint: https://NAMESPACE.objectstorage.eu-frankfurt-1.oci.customer-oci.com"
            }
            _ => "correct it",
        };
        oci.problem(name, &invalid.rule, fix);
        return None;
    }
    // Without a region only the credential knows the address; the controller compares it when it starts.
    let own = config.region.as_deref().map(|region| config.public_url(region));
    role.leads_to(oci, "bucket", own.transpose())?;
    Some(config)
}
