//! TLS on this machine: a certificate authority of the demo's own, and a small HTTPS server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

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

    /// A server's side of TLS, for 127.0.0.1.
    fn acceptor(&self) -> Result<TlsAcceptor, Failure> {
        let key = KeyPair::generate().map_err(|e| failed(&e))?;
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
            .and_then(|params| params.signed_by(&key, &self.issuer))
            .map_err(|e| failed(&e))?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(vec![certificate.der().clone()], key)
            })
            .map_err(|e| failed(&e))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new("cannot set up TLS on this machine").because(error)
}

/// What a server says.
#[async_trait]
pub(super) trait Answer: Send + Sync + 'static {
    /// The answer to GET of a path; hyper itself leaves the body out for HEAD.
    async fn get(&self, path: &str) -> Response<Full<Bytes>>;
}

/// A server that has its port and no content yet: an issuer must know its own URL first.
pub(super) struct Bound {
    address: SocketAddr,
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

/// An HTTPS server on 127.0.0.1, until it is dropped.
pub(super) struct Server(tokio::task::JoinHandle<()>);

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
            acceptor: authority.acceptor()?,
        })
    }

    /// Where it will answer.
    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Starts answering.
    pub(super) fn serve(self, answer: Arc<dyn Answer>) -> Server {
        Server(tokio::spawn(async move {
            // Dropped with this task, and every connection with it.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                match self.listener.accept().await {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, self.acceptor.clone(), answer.clone()));
                    }
                    // Out of file descriptors, most likely: they come back.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
                while connections.try_join_next().is_some() {}
            }
        }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, answer: Arc<dyn Answer>) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            Ok::<_, std::convert::Infallible>(match *request.method() {
                Method::GET | Method::HEAD => answer.get(request.uri().path()).await,
                _ => {
                    let mut refusal = status(StatusCode::METHOD_NOT_ALLOWED);
                    refusal
                        .headers_mut()
                        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                    refusal
                }
            })
        }
    });
    // A client that goes away in the middle is the client's business.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An answer that is nothing but its status.
pub(super) fn status(code: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    response
}
