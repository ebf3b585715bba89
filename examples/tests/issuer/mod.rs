//! An issuer over TLS on this machine: two documents and tokens that match them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) ca_file: PathBuf,
    key: EcdsaKeyPair,
}

impl Issuer {
    /// Serves until the runtime ends.
    pub(crate) async fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = key.public_key().as_ref().get(1..).unwrap();
        let (x, y) = point.split_at(32);
        let jwk = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "first",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)});
        let jwks = json!({"keys": [jwk]}).to_string();
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/openid/v1/jwks")}).to_string();

        let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let ca_file = folder.join("ca.pem");
        std::fs::write(&ca_file, certificate.cert.pem()).unwrap();
        let private = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that refuses the certificate ends here.
                let Ok(stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                let body = if line.contains("/openid/v1/jwks") {
                    &jwks
                } else {
                    &discovery
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                while line != "\r\n" {
                    line.clear();
                    stream.read_line(&mut line).await.unwrap();
                }
                stream.write_all((head + body).as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { url, ca_file, key }
    }

    /// A file with a fresh token for an audience, and a line break as kubectl writes it.
    pub(crate) fn token_file(&self, name: &str, audience: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let header = json!({"alg": "ES256", "kid": "first"});
        let claims = json!({"iss": self.url, "sub": "system:serviceaccount:shop:checkout", "aud": [audience],
            "iat": now, "nbf": now, "exp": now + 600});
        let signed = [header, claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
            .join(".");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let file = self.ca_file.with_file_name(name);
        std::fs::write(&file, format!("{signed}.{}\n", URL_SAFE_NO_PAD.encode(signature))).unwrap();
        file.to_str().unwrap().to_owned()
    }
}
