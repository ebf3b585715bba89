//! A TLS server on this machine that answers as it is told.

use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kubeassume_core::http::HttpReader;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server does with a request.
pub(crate) enum Reply {
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// Nothing, for ever.
    Silence,
    /// These bytes, then one byte now and then, for ever.
    Drip(Vec<u8>),
}

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) ca_pem: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// A server whose certificate is for `name`; `reply` gets the path and the request's number.
    pub(crate) async fn start(
        name: &str,
        reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (ca_pem, acceptor) = acceptor(name);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            ca_pem,
            requests: Arc::default(),
        };
        let (requests, reply) = (server.requests.clone(), Arc::new(reply));
        // Ends with the test's runtime.
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, requests, reply) = (acceptor.clone(), requests.clone(), reply.clone());
                tokio::spawn(async move {
                    // A client that refuses the certificate ends here.
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        request.push(stream.read_u8().await.unwrap());
                    }
                    let request = String::from_utf8(request).unwrap();
                    let path = request.split(' ').nth(1).unwrap().to_owned();
                    let number = {
                        let mut requests = requests.lock().unwrap();
                        requests.push(request);
                        requests.len()
                    };
                    let drips = match reply(&path, number) {
                        Reply::Bytes(bytes) => {
                            // The reader may have stopped reading on purpose.
                            let _ = stream.write_all(&bytes).await;
                            let _ = stream.shutdown().await;
                            return;
                        }
                        Reply::Silence => None,
                        Reply::Drip(bytes) => Some(bytes),
                    };
                    if let Some(bytes) = drips {
                        let _ = stream.write_all(&bytes).await;
                        let mut pause = tokio::time::interval(std::time::Duration::from_millis(20));
                        while stream.write_all(b" ").await.is_ok() && stream.flush().await.is_ok() {
                            pause.tick().await;
                        }
                    }
                    std::future::pending::<()>().await;
                });
            }
        });
        server
    }

    /// A server that answers every path with these documents, each a 200, and 404 otherwise.
    pub(crate) async fn of(documents: impl Fn(&str, usize) -> Option<Value> + Send + Sync + 'static) -> Self {
        Self::start("localhost", move |path, number| match documents(path, number) {
            Some(document) => Reply::Bytes(ok(&document.to_string(), "")),
            None => Reply::Bytes(response("404 Not Found", "", "")),
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    pub(crate) fn reader(&self) -> HttpReader {
        HttpReader::new(Some(self.ca_pem.as_bytes())).unwrap()
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A 200 with this body; `headers` are whole lines.
pub(crate) fn ok(body: &str, headers: &str) -> Vec<u8> {
    response("200 OK", body, headers)
}

pub(crate) fn response(status: &str, body: &str, headers: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// A new P-256 key as a JWK.
pub(crate) fn jwk(kid: &str) -> Value {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    json!({"kty": "EC", "crv": "P-256", "kid": kid,
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
}

/// A new CA's certificate, and a server's TLS side with a certificate from it.
fn acceptor(name: &str) -> (String, TlsAcceptor) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (ca.as_ref().pem(), TlsAcceptor::from(Arc::new(config)))
}
