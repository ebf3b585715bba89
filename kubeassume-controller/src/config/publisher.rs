//! `publisher`: where documents are published.

use kubeassume_core::IssuerUrl;
use kubeassume_publishers::PublisherConfig;
use kubeassume_publishers::endpoint::EndpointConfig;
use kubeassume_publishers::file::FileConfig;
use kubeassume_publishers::s3::S3Config;

use super::section::Section;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    S3,
    File,
    Endpoint,
}

/// The publisher, and the sections of its backends.
pub(super) fn read(
    publisher: &mut Section,
    issuer: Option<&IssuerUrl>,
) -> (Option<PublisherConfig>, [Section; 3]) {
    let kind = publisher.required_choice(
        "type",
        &[
            ("s3", Type::S3),
            ("file", Type::File),
            ("endpoint", Type::Endpoint),
        ],
        "Which of the backends below is used. The sections of the others may stay filled in.",
    );
    let mut s3 = publisher.section(
        "s3",
        "A bucket of Amazon S3, or of a server that speaks its protocol.",
    );
    let mut file = publisher.section("file", "A directory that a web server serves.");
    let mut endpoint = publisher.section(
        "endpoint",
        "The built-in HTTPS server: every replica serves the documents itself, and a Service or load balancer leads \
         the issuer's URL to those that are ready.",
    );
    let (in_bucket, in_directory) = (read_s3(&mut s3, issuer), read_file(&mut file, issuer));
    let served = read_endpoint(&mut endpoint, issuer);
    for (section, own) in [
        (&mut s3, Type::S3),
        (&mut file, Type::File),
        (&mut endpoint, Type::Endpoint),
    ] {
        if kind != Some(own) {
            section.unused();
        }
    }
    let config = match kind {
        Some(Type::S3) => in_bucket.map(PublisherConfig::S3),
        Some(Type::File) => in_directory.map(PublisherConfig::File),
        Some(Type::Endpoint) => served.map(PublisherConfig::Endpoint),
        None => None,
    };
    (config, [s3, file, endpoint])
}

fn read_s3(s3: &mut Section, issuer: Option<&IssuerUrl>) -> Option<S3Config> {
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
        "The directory that the web server serves as the issuer's URL. It has to exist.",
    );
    let public_url = file.text("publicURL", "May repeat the issuer, byte for byte.");
    if let Some(public_url) = public_url {
        check_public_url(file, &public_url, issuer)?;
    }
    Some(FileConfig {
        path: path?.into(),
        public_url: issuer?.clone(),
    })
}

fn read_endpoint(endpoint: &mut Section, issuer: Option<&IssuerUrl>) -> Option<EndpointConfig> {
    let listen = endpoint.required(
        "listen",
        "write for example listen: 0.0.0.0:8443",
        "The address and port at which a replica answers, for example `0.0.0.0:8443`.",
    );
    let listen = endpoint.parsed("listen", listen, "write an IP address and a port: 0.0.0.0:8443");
    let cert_file = endpoint.required(
        "certFile",
        "write the PEM file with the certificate for the issuer's host, and its chain",
        "A PEM file with the certificate for the issuer's host and its chain. Read anew when it changes.",
    );
    let key_file = endpoint.required(
        "keyFile",
        "write the PEM file with the certificate's private key",
        "A PEM file with the certificate's private key, not encrypted. Read anew when it changes.",
    );
    let public_url = endpoint.text("publicURL", "May repeat the issuer, byte for byte.");
    if let Some(public_url) = public_url {
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
