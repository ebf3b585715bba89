//! Oracle Cloud's arguments.

use clap::{Args, ValueEnum};
use kubeassume_publishers::bucket::OciBucket;
use kubeassume_publishers::oci::{OciAuth, OciConfig};
use kubeassume_publishers::{Invalid, Tls};

use super::{Environment, Prepared, given};

/// A bucket of its own, and who writes there
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The bucket; it holds nothing but documents
    #[arg(long, value_name = "NAME")]
    bucket: String,
    /// The tenancy's Object Storage namespace (oci os ns get)
    #[arg(long, value_name = "NAMESPACE")]
    namespace: String,
    /// The compartment in which the bucket is, or is created
    #[arg(long, value_name = "OCID")]
    compartment_id: Option<String>,
    /// Its region; left out: the credential's
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// What goes before both documents in the issuer
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// The one principal that writes, as a policy's subject: "dynamic-group NAME", "group NAME", or "any-user where
    /// {request.principal... = '...'}"
    #[arg(long, value_name = "SUBJECT")]
    writer: String,
    /// Another server than the region's
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Which credential, and no other; left out: what the environment is set up for
    #[arg(long, value_name = "KIND")]
    auth: Option<Kind>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A user's key, from ~/.oci/config or OCI_CLI_*
    ApiKey,
    /// A person's session, from the profile's security_token_file
    SessionToken,
    /// OCI_RESOURCE_PRINCIPAL_*
    ResourcePrincipal,
    /// The compute instance's own identity
    InstancePrincipal,
}

impl super::Place for Place {
    type Access = Environment;

    fn bucket(&self, tls: Tls, _: Option<&Environment>) -> Result<Prepared, Invalid> {
        let config = OciConfig {
            bucket: self.bucket.clone(),
            namespace: self.namespace.clone(),
            compartment_id: given(self.compartment_id.as_ref()),
            region: given(self.region.as_ref()),
            endpoint: given(self.endpoint.as_ref()),
            prefix: given(self.prefix.as_ref()),
            public_url: None,
            auth: self.auth.map(|kind| match kind {
                Kind::ApiKey => OciAuth::ApiKey,
                Kind::SessionToken => OciAuth::SessionToken,
                Kind::ResourcePrincipal => OciAuth::ResourcePrincipal,
                Kind::InstancePrincipal => OciAuth::InstancePrincipal,
            }),
        };
        let bucket = OciBucket::new(&config, &self.writer, tls)?;
        Ok(Prepared {
            public_url: bucket.public_url().ok().flatten(),
            bucket: Box::new(bucket),
            by_hand: false,
        })
    }
}
