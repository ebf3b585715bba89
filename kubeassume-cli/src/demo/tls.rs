//! TLS on this machine: a certificate authority of the demo's own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use kubeassume_publishers::endpoint::{Answer, Certificate, Limits, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use tokio::net::TcpListener;

use crate::failure::Failure;

/// A certificate authority that only this process trusts.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A fresh one.
    pub(super) fn new() -> Result<Self, Failure> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().map_err(|e| failed(&e))?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(|e| failed(&e))?;
        Ok(Self { issuer })
    }

    /// Its certificate, as CA files have it.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's certificate, for 127.0.0.1.
    fn certificate(&self) -> Result<Certificate, Failure> {
        let key = KeyPair::generate().map_err(|e| failed(&e))?;
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
            .and_then(|params| params.signed_by(&key, &self.issuer))
            .map_err(|e| failed(&e))?;
        Certificate::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())
            .map_err(|e| failed(&e))
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new("cannot set up TLS on this machine").because(error)
}

/// A server that has its port and no content yet: an issuer must know its own URL first.
pub(super) struct Bound {
    address: SocketAddr,
    listener: TcpListener,
    tls: ServerConfig,
}

impl Bound {
    /// A free port.
    pub(super) async fn new(authority: &Authority) -> Result<Self, Failure> {
        let unbound = |e: std::io::Error| Failure::new("cannot listen on 127.0.0.1").because(&e);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(unbound)?;
        Ok(Self {
            address: listener.local_addr().map_err(unbound)?,
            listener,
            tls: Arc::new(authority.certificate()?)
                .server_config()
                .map_err(|e| failed(&e))?,
        })
    }

    /// Where it will answer.
    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Starts answering.
    pub(super) fn serve(self, answer: Arc<dyn Answer>) -> Server {
        Server::start(self.listener, Some(self.tls), answer, Limits::default())
    }
}
