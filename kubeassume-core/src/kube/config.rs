//! Where the cluster is, and whether it may be spoken to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::kube::client::{Body, ConfigExt};
use ::kube::config::{KubeConfigOptions, Kubeconfig};
use ::kube::{Client, Config};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thiserror::Error;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tower::{BoxError, ServiceBuilder};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Finds the cluster: the kubeconfig file that is given, else the pod's own service account, else the
/// kubeconfig that kubectl would use. A context is looked up in a kubeconfig.
///
/// # Errors
/// [`ConfigError`].
pub async fn load_config(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, ConfigError> {
    if kubeconfig.is_none() && context.is_none() && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Config::incluster().map_err(|e| ConfigError::InCluster(e.to_string()));
    }
    let unusable = |error: ::kube::config::KubeconfigError| ConfigError::Kubeconfig {
        path: kubeconfig.map(Path::to_owned),
        reason: error.to_string(),
    };
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(unusable)?;
            Config::from_custom_kubeconfig(file, &options)
                .await
                .map_err(unusable)
        }
        None => Config::from_kubeconfig(&options).await.map_err(unusable),
    }
}

/// A client of the cluster that repeats nothing by itself and gives up connecting after 5 seconds.
///
/// It is put together here and not by the kube crate because that leaves Nagle's algorithm on, which holds the
/// first request of every connection back until the server's delayed acknowledgement: 40 ms. A write that is
/// repeated unseen, which is the kube crate's default too, could lose a race against itself.
///
/// # Errors
/// [`ConfigError`] when the configuration does not prove whom it speaks to. Needs a tokio runtime.
pub fn client(config: &Config) -> Result<Client, ConfigError> {
    check(config)?;
    let unusable = |error: ::kube::Error| ConfigError::Client(error.to_string());
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let tls = config
        .rustls_https_connector_with_connector(tcp)
        .map_err(unusable)?;
    let mut connector = TimeoutConnector::new(tls);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(unusable)?)
        .layer(config.extra_headers_layer().map_err(unusable)?)
        .map_err(BoxError::from)
        .service(legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(connector));
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// Refuses what could take the bearer token elsewhere.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    // rustls panics when it has to choose between providers that others compiled in.
    if CryptoProvider::get_default().is_none() {
        let _ = aws_lc_rs::default_provider().install_default();
    }
    let server = config.cluster_url.to_string();
    if config.cluster_url.scheme_str() != Some("https") {
        return Err(ConfigError::NotHttps(server));
    }
    if config.accept_invalid_certs {
        return Err(ConfigError::SkipsVerification(server));
    }
    // Without roots the kube crate would trust every CA that the machine trusts.
    if config.root_cert.as_ref().is_none_or(Vec::is_empty) && config.root_cert_file.is_none() {
        return Err(ConfigError::NoAuthority(server));
    }
    if config.proxy_url.is_some() {
        return Err(ConfigError::Proxy(server));
    }
    Ok(())
}

/// Why a cluster cannot be spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The kubeconfig cannot be used.
    #[error(
        "kubeconfig {}: {reason}",
        path.as_deref().unwrap_or(Path::new("($KUBECONFIG or ~/.kube/config)")).display()
    )]
    Kubeconfig {
        /// The file that was asked for; `None` for kubectl's own.
        path: Option<PathBuf>,
        /// What is wrong with it.
        reason: String,
    },
    /// The pod's service account cannot be used.
    #[error(
        "the pod's service account: {0}; automountServiceAccountToken must not be false, or pass --kubeconfig"
    )]
    InCluster(String),
    /// The server is not https.
    #[error("the API server's address {0} is not https")]
    NotHttps(String),
    /// The configuration has `insecure-skip-tls-verify`.
    #[error(
        "the configuration for {0} has insecure-skip-tls-verify: the bearer token would go to whoever answers; \
         set certificate-authority instead"
    )]
    SkipsVerification(String),
    /// The configuration has no certificate authority.
    #[error(
        "the configuration for {0} names no certificate authority; set certificate-authority or \
         certificate-authority-data (the machine's own roots are never used)"
    )]
    NoAuthority(String),
    /// The configuration has a proxy.
    #[error("the configuration for {0} has a proxy-url, which is not supported")]
    Proxy(String),
    /// Certificates or credentials cannot be used.
    #[error("certificates or credentials of the configuration: {0}")]
    Client(String),
}
