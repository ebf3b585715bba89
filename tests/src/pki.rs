//! A certificate authority of the test's own.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A private CA; its certificate lies in a file, its key only in memory.
pub struct Pki {
    issuer: CertifiedIssuer<'static, KeyPair>,
    ca_pem: String,
    ca_file: PathBuf,
}

/// A server certificate with its key, in files.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Certificate, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

impl Pki {
    /// A new CA; writes `ca.pem` into the folder.
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "KubeAssume testbed CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a CA certificate");
        let (ca_pem, ca_file) = (issuer.as_ref().pem(), folder.join("ca.pem"));
        fs::write(&ca_file, &ca_pem).expect("ca.pem can be written");
        Self {
            issuer,
            ca_pem,
            ca_file,
        }
    }

    /// The CA certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The CA certificate, DER.
    pub fn ca_der(&self) -> &[u8] {
        self.issuer.as_ref().der()
    }

    /// The file with [`ca_pem`](Self::ca_pem).
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Writes `<name>.pem` and `<name>.key` for a server on this machine, as `localhost`, 127.0.0.1 and
    /// `kubernetes.default.svc`.
    pub fn leaf(&self, folder: &Path, name: &str) -> Leaf {
        let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"].map(String::from);
        let mut params = CertificateParams::new(names).expect("valid names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let leaf = Leaf {
            cert: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        fs::write(&leaf.cert, certificate.pem()).expect("a certificate file");
        fs::write(&leaf.key, key.serialize_pem()).expect("a key file");
        leaf
    }

    /// What a server in this process needs, with a certificate as [`leaf`](Self::leaf)'s in `folder`.
    pub fn server_config(&self, folder: &Path) -> ServerConfig {
        let leaf = self.leaf(folder, "tls");
        let chain = CertificateDer::pem_file_iter(&leaf.cert).expect("a certificate");
        let chain = chain.collect::<Result<_, _>>().expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(&leaf.key).expect("a key");
        ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a TLS configuration")
    }
}

/// Without the CA's key.
impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki")
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}
