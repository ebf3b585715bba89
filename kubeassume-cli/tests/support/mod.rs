//! What the command's tests share: running it, an HTTPS server, a signing key.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test support: each test uses a part of it, and a broken promise ends the test"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// The command, in an environment without a cluster and without colour.
pub fn kubeassume(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubeassume"));
    command
        .args(arguments)
        .env("HOME", "/nonexistent")
        .env("NO_COLOR", "1")
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("POD_NAMESPACE");
    command
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Ended {
    Ended::from(kubeassume(arguments).output().unwrap())
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// What the server answers at a path: status, extra header lines, body.
pub type Answer = (u16, String, Vec<u8>);

/// An HTTPS server on 127.0.0.1 with a certificate authority of its own.
pub struct Site {
    pub url: String,
    pub ca_file: PathBuf,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    directory: tempfile::TempDir,
}

impl Site {
    pub fn start() -> Self {
        Self::serve(None)
    }

    /// Serves the files below a directory too.
    pub fn of(directory: &Path) -> Self {
        Self::serve(Some(directory.to_owned()))
    }

    fn serve(files: Option<PathBuf>) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &ca)
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("ca.pem");
        std::fs::write(&ca_file, ca.pem()).unwrap();
        let answers: Arc<Mutex<BTreeMap<String, Answer>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (answers, stop, config) = (answers.clone(), stop.clone(), Arc::new(config));
            move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::Acquire) {
                        return;
                    }
                    let answer = |path: &str| match &files {
                        Some(root) => std::fs::read(root.join(path.trim_start_matches('/')))
                            .map_or((404, String::new(), Vec::new()), |body| {
                                (200, headers(path), body)
                            }),
                        None => answers.lock().unwrap().get(path).cloned().unwrap_or((
                            404,
                            String::new(),
                            Vec::new(),
                        )),
                    };
                    // A client that does not trust the certificate goes away in the middle.
                    let _ = answer_one(stream.unwrap(), config.clone(), answer);
                }
            }
        });
        Self {
            url,
            ca_file,
            answers,
            stop,
            thread: Some(thread),
            directory,
        }
    }

    pub fn answer(&self, path: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.answers
            .lock()
            .unwrap()
            .insert(path.to_owned(), (status, headers(path), body.into()));
    }

    pub fn redirect(&self, path: &str, to: &str) {
        let answer = (302, format!("Location: {to}\r\n"), Vec::new());
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Both documents, as they should be.
    pub fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.answer("/openid/v1/jwks", 200, json!({ "keys": keys }).to_string());
        self.answer(
            DISCOVERY,
            200,
            self.discovery(&self.url, &format!("{}/openid/v1/jwks", self.url)),
        );
    }

    pub fn discovery(&self, issuer: &str, jwks_uri: &str) -> String {
        json!({
            "issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
        })
        .to_string()
    }

    /// A place for files of the test.
    pub fn file(&self, name: &str, contents: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn ca(&self) -> &str {
        self.ca_file.to_str().unwrap()
    }
}

pub const DISCOVERY: &str = "/.well-known/openid-configuration";

fn headers(path: &str) -> String {
    let kind = if path == DISCOVERY {
        "application/json"
    } else {
        "application/jwk-set+json"
    };
    format!("Content-Type: {kind}\r\nCache-Control: public, max-age=60\r\n")
}

fn answer_one(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    answer: impl Fn(&str) -> Answer,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut request = String::new();
    stream.read_line(&mut request)?;
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, headers, body) = answer(path);
    let mut stream = stream.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status} .\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    )?;
    stream.write_all(&body)?;
    stream.conn.send_close_notify();
    stream.flush()
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.url.trim_start_matches("https://"));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A P-256 key.
pub struct SigningKey {
    pub kid: String,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    pub fn new(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self {
            kid: kid.to_owned(),
            pair,
        }
    }

    pub fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "x": b64(&point[1..33]), "y": b64(&point[33..])})
    }

    /// A key set document with this key alone.
    pub fn document(&self) -> String {
        json!({ "keys": [self.jwk()] }).to_string()
    }

    pub fn token(&self, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!(
            "{}.{}",
            part(&json!({"alg": "ES256", "kid": self.kid})),
            part(claims)
        );
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// A token of an issuer for audience `sts`, valid for an hour from now.
    pub fn token_of(&self, issuer: &str) -> String {
        let now = kubeassume_core::Timestamp::now().as_second();
        self.token(&json!({
            "iss": issuer, "sub": "system:serviceaccount:demo:pod", "aud": ["sts"], "iat": now, "exp": now + 3600,
        }))
    }
}
