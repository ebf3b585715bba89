//! `publisher`: where documents are published.

use std::path::PathBuf;

use kubeassume_core::IssuerUrl;

use super::section::Section;

/// Where documents are published.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublisherConfig {
    /// To S3, or to a server that speaks like it.
    S3 {
        /// The bucket.
        bucket: String,
        /// Its region.
        region: String,
        /// The server's URL, if it is not AWS.
        endpoint: Option<String>,
        /// Whether the bucket stands in the path rather than in the host name.
        force_path_style: bool,
        /// What stands before the two paths in the bucket; may be empty.
        prefix: String,
        /// Whether the pod's web identity must be used (`true`) or must not (`false`); `None` for the
        /// SDK's whole chain of credentials.
        use_irsa: Option<bool>,
    },
    /// To a directory that a web server serves.
    File {
        /// The directory.
        path: PathBuf,
    },
}

#[derive(Clone, Copy)]
enum Type {
    S3,
    File,
}

/// The publisher, and the sections of its backends. The section of another backend may stay filled in; its
/// fields have to be right, but none has to be there.
pub(super) fn read(
    publisher: &mut Section,
    issuer: Option<&IssuerUrl>,
) -> (Option<PublisherConfig>, [Section; 2]) {
    let (mut s3, mut file) = (publisher.section("s3"), publisher.section("file"));
    let kind = publisher
        .required("type", "write type: s3 or type: file")
        .and_then(|text| publisher.one_of("type", &text, &[("s3", Type::S3), ("file", Type::File)]));
    let config = match kind {
        Some(Type::S3) => {
            file.skip(&["path", "publicURL"]);
            read_s3(&mut s3, issuer)
        }
        Some(Type::File) => {
            s3.skip(&[
                "bucket",
                "region",
                "endpoint",
                "forcePathStyle",
                "prefix",
                "publicURL",
                "useIRSA",
            ]);
            read_file(&mut file, issuer)
        }
        None => {
            // Without a type nobody knows which fields belong here.
            return (None, [Section::empty(), Section::empty()]);
        }
    };
    (config, [s3, file])
}

fn read_s3(s3: &mut Section, issuer: Option<&IssuerUrl>) -> Option<PublisherConfig> {
    let bucket = s3.required("bucket", "write the name of the bucket");
    let region = s3.required("region", "write the bucket's region, such as eu-central-1");
    let endpoint = s3.text("endpoint");
    let force_path_style = s3.flag("forcePathStyle").unwrap_or(false);
    let prefix = s3.text("prefix").unwrap_or_default();
    let use_irsa = s3.flag("useIRSA");
    check_public_url(s3, issuer);
    Some(PublisherConfig::S3 {
        bucket: bucket?,
        region: region?,
        endpoint,
        force_path_style,
        prefix,
        use_irsa,
    })
}

fn read_file(file: &mut Section, issuer: Option<&IssuerUrl>) -> Option<PublisherConfig> {
    let path = file.required(
        "path",
        "write the directory that the web server serves as the issuer's URL",
    );
    check_public_url(file, issuer);
    Some(PublisherConfig::File { path: path?.into() })
}

/// Relying parties read below the issuer and nowhere else, so a public URL can only repeat it.
fn check_public_url(section: &mut Section, issuer: Option<&IssuerUrl>) {
    let (Some(url), Some(issuer)) = (section.text("publicURL"), issuer) else {
        return;
    };
    if url != issuer.as_str() {
        section.problem(
            "publicURL",
            &format!("is {url:?}, the issuer is {:?}; they must be equal byte for byte", issuer.as_str()),
            "relying parties read below the issuer only: make the place public under that URL, or remove this",
        );
    }
}
