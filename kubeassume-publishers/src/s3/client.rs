//! An SDK client for one bucket: credentials, trust, time limits.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
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
use crate::{Patience, Tls};

/// The SDK's own pause and number of attempts.
pub(super) const PATIENCE: Patience = Patience {
    attempt: Duration::from_secs(10),
    attempts: 3,
    pause: Duration::from_secs(1),
};
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
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .region(region.clone())
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
    let s3 = aws_sdk_s3::config::Builder::from(&loaded).force_path_style(config.force_path_style);
    Ok(Connected {
        client: patient(s3, &PATIENCE),
        region: region.to_string(),
        endpoint: loaded.endpoint_url().map(str::to_owned),
    })
}

/// A client that waits so long.
pub(super) fn patient(config: aws_sdk_s3::config::Builder, patience: &Patience) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(patience.attempt)
        .operation_attempt_timeout(patience.attempt)
        .operation_timeout(patience.whole())
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(patience.attempts)
        .with_initial_backoff(patience.pause);
    Client::from_conf(config.timeout_config(timeouts).retry_config(retries).build())
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
