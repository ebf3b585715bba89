//! [`Certificate`]: a server certificate that is read anew when its files change.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kubeassume_core::{Clock, digest};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(10);
/// The most that is read of a file; a chain with its key is a few KiB.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// A certificate with its key, for any number of servers.
pub struct Certificate {
    files: Option<(PathBuf, PathBuf)>,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

struct Current {
    key: Arc<CertifiedKey>,
    /// Of both files: the key itself is kept in memory once.
    digests: [String; 2],
}

/// Why a certificate cannot be used. No text holds anything of a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{path}: {reason}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// No certificate in the PEM text.
    #[error("there is no usable PEM certificate (-----BEGIN CERTIFICATE-----) in {0}")]
    NoCertificate(String),
    /// No private key in the PEM text.
    #[error("there is no usable PEM private key (PKCS#8, PKCS#1 or SEC1, not encrypted) in {0}")]
    NoKey(String),
    /// The key is another certificate's, or of a kind that TLS does not use.
    #[error("certificate and key do not fit: {0}")]
    Unfit(String),
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn load(cert_file: &Path, key_file: &Path) -> Result<Self, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (cert, key) = (read(cert_file)?, read(key_file)?);
        let names = [cert_file.display().to_string(), key_file.display().to_string()];
        let current = Current::new(&cert, &key, &names, &provider)?;
        Ok(Self {
            files: Some((cert_file.to_owned(), key_file.to_owned())),
            provider,
            current: RwLock::new(current),
        })
    }

    /// A certificate that has no files and never changes.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_pem(cert: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let names = ["the certificate's text".to_owned(), "the key's text".to_owned()];
        let current = Current::new(cert, key, &names, &provider)?;
        Ok(Self {
            files: None,
            provider,
            current: RwLock::new(current),
        })
    }

    /// Takes over what stands in the files now; whether that is another certificate. On an error the one in
    /// use stays: half of a renewal, between two writes, is no reason to stop answering.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn reload(&self) -> Result<bool, CertificateError> {
        let Some((cert_file, key_file)) = &self.files else {
            return Ok(false);
        };
        let (cert, key) = (read(cert_file)?, read(key_file)?);
        if self.read_lock().digests == digests(&cert, &key) {
            return Ok(false);
        }
        let names = [cert_file.display().to_string(), key_file.display().to_string()];
        let next = Current::new(&cert, &key, &names, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(true)
    }

    /// Reloads every ten seconds, for ever. Each new failure is told once.
    pub async fn follow(self: Arc<Self>, clock: Arc<dyn Clock>) {
        let mut told = None;
        loop {
            clock.sleep(PERIOD).await;
            // Two small files, every ten seconds: not worth a thread.
            match self.reload() {
                Ok(true) => tracing::info!("the endpoint's certificate was renewed"),
                Ok(false) => {}
                Err(error) => {
                    if told.as_ref() != Some(&error) {
                        tracing::warn!(%error, "the endpoint keeps its certificate: the new one cannot be used");
                    }
                    told = Some(error);
                    continue;
                }
            }
            told = None;
        }
    }

    /// A server's side of TLS 1.2 and 1.3 with this certificate.
    ///
    /// # Errors
    /// [`CertificateError::Unfit`]; not with the provider that is built in.
    pub fn server_config(self: Arc<Self>) -> Result<ServerConfig, CertificateError> {
        let builder = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| CertificateError::Unfit(error.to_string()))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn read_lock(&self) -> std::sync::RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn new(
        cert: &[u8],
        key: &[u8],
        names: &[String; 2],
        provider: &CryptoProvider,
    ) -> Result<Self, CertificateError> {
        let [cert_name, key_name] = names;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(cert)
            .collect::<Result<_, _>>()
            .map_err(|_| CertificateError::NoCertificate(cert_name.clone()))?;
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate(cert_name.clone()));
        }
        let private =
            PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey(key_name.clone()))?;
        let key_pair = CertifiedKey::from_der(chain, private, provider)
            .map_err(|error| CertificateError::Unfit(error.to_string()))?;
        Ok(Self {
            key: Arc::new(key_pair),
            digests: digests(cert, key),
        })
    }
}

impl ResolvesServerCert for Certificate {
    /// One certificate, whatever name is asked for: relying parties check the name themselves.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.read_lock().key.clone())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn digests(cert: &[u8], key: &[u8]) -> [String; 2] {
    [digest(cert), digest(key)]
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |error: std::io::Error| CertificateError::Unreadable {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(unreadable)?
        .take(MAX_PEM_BYTES)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}
