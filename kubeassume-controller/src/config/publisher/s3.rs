//! `publisher.s3`: a bucket of Amazon S3, or of a server that speaks its protocol.

use kubeassume_publishers::s3::S3Config;

use super::Role;
use crate::config::section::Section;

pub(super) fn read(s3: &mut Section, role: &Role<'_>) -> Option<S3Config> {
    let config = S3Config {
        bucket: s3
            .required("bucket", "write the name of the bucket", "The bucket's name.")
            .unwrap_or_default(),
        region: s3.text(
            "region",
            "The bucket's region. Unset: the one that the AWS SDK finds (`AWS_REGION`, profile, instance).",
        ),
        endpoint: s3.text(
            "endpoint",
            "Another server than Amazon's: `https://HOST[:PORT]`. Unset: the one that the AWS SDK finds \
             (`AWS_ENDPOINT_URL`), else Amazon's.",
        ),
        force_path_style: s3.flag_or(
            "forcePathStyle",
            false,
            "The bucket's name goes into the path instead of the host name.",
        ),
        prefix: s3.text(
            "prefix",
            "What goes before both keys in the bucket, without slashes at its ends. Unset: nothing.",
        ),
        public_url: s3.text(
            "publicURL",
            "Where the public reads the bucket: the issuer, byte for byte. Unset: S3's own address of bucket and \
             prefix, which then has to be the issuer.",
        ),
        use_irsa: s3.flag(
            "useIRSA",
            "`true`: credentials come from the web identity token alone (IRSA); `false`: never from there. Unset: \
             from wherever the AWS SDK finds them.",
        ),
    };
    if config.bucket.is_empty() {
        return None;
    }
    role.allows(s3, config.public_url.as_deref())?;
    if let Err(invalid) = config.check() {
        let name = invalid.field.trim_start_matches("s3.");
        let fix = match name {
            "bucket" => "write the name alone, without s3:// and without a path",
            "region" => "write for example region: eu-central-1",
            "prefix" => "write for example prefix: clusters/one",
            "endpoint" => "write for example endpoint: https://s3.example.com",
            _ => "correct it",
        };
        s3.problem(name, &invalid.rule, fix);
        return None;
    }
    // Without a region only the SDK knows the address; the controller compares it when it starts.
    let own = config.region.as_deref().map(|region| config.public_url(region));
    role.leads_to(s3, "bucket", own.transpose())?;
    Some(config)
}
