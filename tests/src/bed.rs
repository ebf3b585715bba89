//! One test's folder, certificates and servers.

use std::path::Path;

use tempfile::TempDir;

use crate::relying_party::RelyingParty;
use crate::{
    ApiServer, ApiServerConfig, ArmFake, Azurite, Entra, Etcd, FakeGcs, GoogleFake, Launch, Moto, OciFake,
    Pki, Versitygw,
};

/// What a test starts from; declare it first, so that it goes last.
#[derive(Debug)]
pub struct Testbed {
    folder: TempDir,
    pki: Pki,
}

impl Testbed {
    /// A new folder and a new certificate authority; no server yet.
    ///
    /// # Panics
    ///
    /// The system's folder for temporary files cannot be written.
    pub fn new(name: &str) -> Self {
        // Whoever is first wins; it is always the one provider in the tree.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::Builder::new()
            .prefix(&format!("kubeassume-{name}-"))
            .tempdir();
        let folder = folder.expect("a temporary folder");
        let pki = Pki::new(folder.path());
        Self { folder, pki }
    }

    /// The test's own folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The CA that signed the certificates of all servers here.
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// An HTTP client that trusts this testbed's CA and nothing else, keeps no connections, follows no redirects.
    pub fn http(&self) -> reqwest::Client {
        let ca = reqwest::Certificate::from_pem(self.pki.ca_pem().as_bytes()).expect("the CA parses");
        reqwest::Client::builder()
            .tls_certs_only([ca])
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(10))
            .build()
            .expect("an HTTP client")
    }

    /// Starts an etcd.
    pub async fn etcd(&self) -> Etcd {
        Etcd::start(self).await
    }

    /// Starts a kube-apiserver, ready to serve.
    pub async fn api_server(&self, config: ApiServerConfig) -> ApiServer {
        ApiServer::start(self, config).await
    }

    /// Starts a Blob service with TLS, empty.
    pub async fn azurite(&self) -> Azurite {
        Azurite::start(self).await
    }

    /// Starts a stand-in for Azure Resource Manager, with an account that has no containers.
    pub async fn arm(&self) -> ArmFake {
        ArmFake::start(self).await
    }

    /// Starts Entra ID's token endpoint, which gives this token.
    pub async fn entra(&self, token: &str) -> Entra {
        Entra::start(self, token).await
    }

    /// Starts an S3 server with TLS, empty.
    pub async fn versitygw(&self) -> Versitygw {
        Versitygw::start(self, false).await
    }

    /// As [`versitygw`](Self::versitygw), with versions and a [user](Versitygw::writer) who is no administrator.
    pub async fn shared_versitygw(&self) -> Versitygw {
        Versitygw::start(self, true).await
    }

    /// Starts a server of Google Cloud Storage's JSON interface, empty.
    pub async fn fake_gcs(&self) -> FakeGcs {
        FakeGcs::start(self).await
    }

    /// Starts a stand-in for Google Cloud, with fake-gcs-server for the objects and no bucket.
    pub async fn google(&self) -> GoogleFake {
        GoogleFake::start(self).await
    }

    /// Starts a second S3 server, empty, with an STS.
    pub async fn moto(&self) -> Moto {
        Moto::start(self).await
    }

    /// Starts a stand-in for Oracle Cloud, with an empty bucket that the public may read.
    pub async fn oci(&self) -> OciFake {
        OciFake::start(self).await
    }

    /// Starts a relying party that discovers the issuer now and remembers what it needs to; the
    /// published documents must be there.
    pub async fn relying_party(&self, issuer: &str, audience: &str) -> RelyingParty {
        RelyingParty::start(self, issuer, audience, false).await
    }

    /// Starts a relying party that discovers again for every token.
    pub async fn fresh_relying_party(&self, issuer: &str, audience: &str) -> RelyingParty {
        RelyingParty::start(self, issuer, audience, true).await
    }

    /// Any other program: its output goes to `<name>.log` in the test's folder.
    pub fn launch(&self, name: &str, program: impl AsRef<std::ffi::OsStr>) -> Launch {
        Launch::new(name, program, &self.path().join(format!("{name}.log")))
    }

    /// A name that no other server of this testbed has.
    pub(crate) fn name(&self, kind: &str) -> String {
        (0..)
            .map(|number| format!("{kind}-{number}"))
            .find(|name| std::fs::create_dir(self.path().join(name)).is_ok())
            .expect("an unused number")
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!(
                "testbed: logs and data are kept in {}",
                self.folder.path().display()
            );
        }
    }
}
