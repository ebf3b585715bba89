//! An SDK client for one bucket: credentials, trust, time limits.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use kubeassume_core::store::StoreError;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::S3Config;
use crate::Tls;

/// A call with all its retries takes at most this; so does reading a body.
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A client, and where it ended up.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(super) region: String,
    /// The endpoint, from configuration or environment, if it is not Amazon's own.
    pub(super) endpoint: Option<String>,
}

pub(crate) async fn connect(
    config: &S3Config,
    tls: &Tls,
    credentials: Option<SharedCredentialsProvider>,
) -> Result<Connected, StoreError> {
    let http = http_client(tls)?;
    let region = region(config, &http).await?;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(ATTEMPT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .region(region.clone())
        .timeout_config(timeouts)
        // Trailing checksums stay on the object as `Content-Encoding: aws-chunked` in some stores.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = &config.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let providers = ProviderConfig::without_region()
        .with_region(Some(region.clone()))
        .with_http_client(http);
    loader = match (credentials, config.use_irsa) {
        (Some(given), _) => loader.credentials_provider(given),
        (None, None) => loader,
        (None, Some(true)) => loader.credentials_provider(web_identity(&providers)),
        (None, Some(false)) => loader.credentials_provider(all_but_web_identity(&providers)),
    };
    let loaded = loader.load().await;
    let s3 = aws_sdk_s3::config::Builder::from(&loaded)
        .force_path_style(config.force_path_style)
        .build();
    Ok(Connected {
        client: Client::from_conf(s3),
        region: region.to_string(),
        endpoint: loaded.endpoint_url().map(str::to_owned),
    })
}

async fn region(config: &S3Config, http: &SharedHttpClient) -> Result<Region, StoreError> {
    if let Some(region) = &config.region {
        return Ok(Region::new(region.clone()));
    }
    let loaded = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .no_credentials()
        .load()
        .await;
    loaded.region().cloned().ok_or_else(|| {
        StoreError::Misconfigured("no region is known; set s3.region or AWS_REGION".to_owned())
    })
}

fn web_identity(providers: &ProviderConfig) -> SharedCredentialsProvider {
    let provider = WebIdentityTokenCredentialsProvider::builder()
        .configure(providers)
        .build();
    SharedCredentialsProvider::new(provider)
}

/// The SDK's chain in its order, without its web identity. A profile may still name one: that is asked for.
fn all_but_web_identity(providers: &ProviderConfig) -> SharedCredentialsProvider {
    let profile = ProfileFileCredentialsProvider::builder()
        .configure(providers)
        .build();
    let ecs = EcsCredentialsProvider::builder().configure(providers).build();
    let instance = ImdsCredentialsProvider::builder().configure(providers).build();
    let chain =
        CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
            .or_else("Profile", profile)
            .or_else("EcsContainer", ecs)
            .or_else("Ec2InstanceMetadata", instance);
    SharedCredentialsProvider::new(chain)
}

fn http_client(tls: &Tls) -> Result<SharedHttpClient, StoreError> {
    let mut trust = TrustStore::default();
    if let Some(pem) = &tls.ca_pem {
        check_certificates(pem)?;
        trust = trust.with_pem_certificate(pem.as_slice());
    }
    let context = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|error| StoreError::Misconfigured(error.to_string()))?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build_https())
}

/// The SDK's client panics on certificates that it cannot use, long after it was given them.
fn check_certificates(pem: &[u8]) -> Result<(), StoreError> {
    let unusable = |error: &dyn std::fmt::Display| {
        StoreError::Misconfigured(format!("tls.caFile has no usable certificates: {error}"))
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"there is none in it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_ca_file_is_an_error_and_no_panic() {
        let begin = "-----BEGIN CERTIFICATE-----\n";
        let end = "-----END CERTIFICATE-----\n";
        for pem in [
            String::new(),
            "no PEM at all".to_owned(),
            format!("{begin}!!!!\n{end}"),
            format!("{begin}MAA=\n"),
            format!("{begin}MAA=\n{end}"),
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n".to_owned(),
        ] {
            let tls = Tls {
                ca_pem: Some(pem.clone().into_bytes()),
            };
            let error = http_client(&tls).expect_err(&pem);
            assert!(error.to_string().contains("tls.caFile"), "{error}");
        }
        assert!(http_client(&Tls::default()).is_ok());
    }
}
