//! `publisher`: where documents are published.

use kubeassume_core::IssuerUrl;
use kubeassume_publishers::PublisherConfig;
use kubeassume_publishers::endpoint::EndpointConfig;
use kubeassume_publishers::file::FileConfig;
use kubeassume_publishers::s3::S3Config;

use super::section::Section;

#[derive(Clone, Copy)]
enum Type {
    S3,
    File,
    Endpoint,
}

const S3: &[&str] = &[
    "bucket",
    "region",
    "endpoint",
    "forcePathStyle",
    "prefix",
    "publicURL",
    "useIRSA",
];
const FILE: &[&str] = &["path", "publicURL"];
const ENDPOINT: &[&str] = &["listen", "certFile", "keyFile", "publicURL"];

/// The publisher, and the sections of its backends. The section of another backend may stay filled in; its
/// values mean nothing then.
pub(super) fn read(
    publisher: &mut Section,
    issuer: Option<&IssuerUrl>,
) -> (Option<PublisherConfig>, [Section; 3]) {
    let (mut s3, mut file) = (publisher.section("s3"), publisher.section("file"));
    let mut endpoint = publisher.section("endpoint");
    let kinds = [
        ("s3", Type::S3),
        ("file", Type::File),
        ("endpoint", Type::Endpoint),
    ];
    let kind = publisher
        .required("type", "write type: s3, type: file or type: endpoint")
        .and_then(|text| publisher.one_of("type", &text, &kinds));
    // Without a type nobody knows which fields belong here.
    let Some(kind) = kind else {
        return (None, [Section::empty(), Section::empty(), Section::empty()]);
    };
    let config = match kind {
        Type::S3 => read_s3(&mut s3, issuer).map(PublisherConfig::S3),
        Type::File => read_file(&mut file, issuer).map(PublisherConfig::File),
        Type::Endpoint => read_endpoint(&mut endpoint, issuer).map(PublisherConfig::Endpoint),
    };
    for (section, fields) in [(&mut s3, S3), (&mut file, FILE), (&mut endpoint, ENDPOINT)] {
        section.skip(fields);
    }
    (config, [s3, file, endpoint])
}

fn read_s3(s3: &mut Section, issuer: Option<&IssuerUrl>) -> Option<S3Config> {
    let config = S3Config {
        bucket: s3
            .required("bucket", "write the name of the bucket")
            .unwrap_or_default(),
        region: s3.text("region"),
        endpoint: s3.text("endpoint"),
        force_path_style: s3.flag("forcePathStyle").unwrap_or(false),
        prefix: s3.text("prefix"),
        public_url: s3.text("publicURL"),
        use_irsa: s3.flag("useIRSA"),
    };
    if config.bucket.is_empty() {
        return None;
    }
    if let Some(public_url) = &config.public_url {
        check_public_url(s3, public_url, issuer)?;
    }
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
    if let (None, Some(region), Some(issuer)) = (&config.public_url, &config.region, issuer) {
        match config.public_url(region) {
            Ok(own) if own == *issuer => {}
            Ok(own) => {
                let rule = format!(
                    "is not given and the bucket's own address is {:?}, the issuer is {:?}",
                    own.as_str(),
                    issuer.as_str()
                );
                let fix = "if the issuer's URL leads to this bucket, say so: publicURL: <the issuer>";
                s3.problem("publicURL", &rule, fix);
                return None;
            }
            Err(invalid) => {
                s3.problem("publicURL", &invalid.rule, "write the issuer");
                return None;
            }
        }
    }
    Some(config)
}

fn read_file(file: &mut Section, issuer: Option<&IssuerUrl>) -> Option<FileConfig> {
    let path = file.required(
        "path",
        "write the directory that the web server serves as the issuer's URL",
    );
    if let Some(public_url) = file.text("publicURL") {
        check_public_url(file, &public_url, issuer)?;
    }
    Some(FileConfig {
        path: path?.into(),
        public_url: issuer?.clone(),
    })
}

fn read_endpoint(endpoint: &mut Section, issuer: Option<&IssuerUrl>) -> Option<EndpointConfig> {
    let listen = endpoint.required("listen", "write for example listen: 0.0.0.0:8443");
    let listen = endpoint.parsed("listen", listen, "write an IP address and a port: 0.0.0.0:8443");
    let cert_file = endpoint.required(
        "certFile",
        "write the PEM file with the certificate of the issuer's host and its chain",
    );
    let key_file = endpoint.required("keyFile", "write the PEM file with the certificate's private key");
    if let Some(public_url) = endpoint.text("publicURL") {
        check_public_url(endpoint, &public_url, issuer)?;
    }
    Some(EndpointConfig {
        listen: listen?,
        cert_file: cert_file?.into(),
        key_file: key_file?.into(),
        public_url: issuer?.clone(),
    })
}

/// Relying parties read below the issuer and nowhere else, so a public URL can only repeat it.
fn check_public_url(section: &mut Section, url: &str, issuer: Option<&IssuerUrl>) -> Option<()> {
    let issuer = issuer?;
    if url == issuer.as_str() {
        return Some(());
    }
    section.problem(
        "publicURL",
        &format!(
            "is {url:?}, the issuer is {:?}; they must be equal byte for byte",
            issuer.as_str()
        ),
        "relying parties read below the issuer only: make the place public under that URL, or leave this empty",
    );
    None
}
