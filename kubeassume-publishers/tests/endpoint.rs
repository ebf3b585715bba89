//! The built-in server: what every store must keep, HTTP as RFC 9110 has it, certificates that change, and
//! clients that mean no good.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kubeassume_core::clock::SystemClock;
use kubeassume_core::store::{DocumentPath, DocumentStore, NewDocument, Precondition, Version};
use kubeassume_core::testing::publisher::Place;
use kubeassume_core::testing::{Fault, FaultStore, MemoryStore, Operation, VirtualClock, publisher, store};
use kubeassume_core::{IssuerUrl, digest};
use kubeassume_publishers::endpoint::{
    Answer, Certificate, CertificateError, EndpointConfig, EndpointStore, Limits, Server, Site,
};
use kubeassume_publishers::{OpenError, PublisherConfig};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const JWKS: &str = r#"{"keys":[]}"#;
/// Longer than any test may take; only a broken server lets a test wait for it.
const FOREVER: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(50);

fn issuer() -> IssuerUrl {
    "https://oidc.example.com/cluster1".parse().unwrap()
}

fn document(body: &str) -> NewDocument {
    NewDocument {
        bytes: body.to_owned().into(),
        content_type: "application/jwk-set+json".to_owned(),
        cache_control: "public, max-age=300".to_owned(),
        metadata: [("kubeassume-generation".to_owned(), "1".to_owned())].into(),
    }
}

async fn create(store: &impl DocumentStore, path: &DocumentPath, body: &str) -> Version {
    let created = store.put(path, &document(body), &Precondition::Absent).await;
    created.unwrap()
}

/// Patient enough for every test that is not about patience.
fn patient() -> Limits {
    Limits {
        connections: 64,
        handshake: FOREVER,
        head: FOREVER,
        lifetime: FOREVER,
    }
}

/// A server without TLS, which has nothing to do with what these tests ask.
async fn plain(answer: impl Answer, limits: Limits) -> (SocketAddr, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, Server::start(listener, None, Arc::new(answer), limits))
}

/// An answer, taken apart.
struct Answered {
    status: u16,
    head: String,
    body: String,
}

impl Answered {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// One request, on a connection that the server closes afterwards.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answered {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A TLS server that closes without saying so is as good.
    let _ = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    Answered {
        status: head[9..12].parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

async fn get(address: SocketAddr, path: &str, headers: &str) -> Answered {
    request(address, "GET", path, headers).await
}

async fn request(address: SocketAddr, method: &str, path: &str, headers: &str) -> Answered {
    let stream = TcpStream::connect(address).await.unwrap();
    let text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    ask(stream, &text).await
}

/// Until the other side closes; what came before that.
async fn closed(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn store_conformance() {
    store::conformance(|| EndpointStore::new(issuer())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publisher_conformance() {
    publisher::conformance(|| Place::behind(Arc::new(EndpointStore::new(issuer())), issuer())).await;
}

#[tokio::test]
async fn each_replica_has_a_place_of_its_own() {
    assert!(!EndpointStore::new(issuer()).is_shared());
    assert!(!FaultStore::new(EndpointStore::new(issuer())).is_shared());
    assert!(MemoryStore::new().is_shared());
}

#[tokio::test]
async fn exactly_two_paths_are_answered() {
    let store = EndpointStore::new(issuer());
    let (address, _server) = plain(Site::new(store.clone(), &issuer()), patient()).await;
    create(&store, &DocumentPath::JWKS, JWKS).await;
    create(&store, &DocumentPath::DISCOVERY, "{}").await;
    for (path, body) in [
        ("/cluster1/openid/v1/jwks", JWKS),
        ("/cluster1/openid/v1/jwks?nobody=asked", JWKS),
        ("/cluster1/.well-known/openid-configuration", "{}"),
    ] {
        let answer = get(address, path, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
        let digest = format!("\"{}\"", digest(body.as_bytes()));
        assert_eq!(answer.header("etag"), Some(digest.as_str()));
        assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            answer.header("strict-transport-security"),
            Some("max-age=31536000")
        );
        assert!(answer.header("server").is_none(), "nobody's business");

        let head = request(address, "HEAD", path, "").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(
            head.header("content-length"),
            Some(body.len().to_string().as_str())
        );
        assert_eq!(head.header("etag"), Some(digest.as_str()));
    }
    for path in [
        "/",
        "/openid/v1/jwks",
        "/cluster1",
        "/cluster1/openid/v1/jwks/",
        "/cluster1//openid/v1/jwks",
        "/cluster1/openid/v1/../v1/jwks",
        "/cluster1/openid%2Fv1%2Fjwks",
        "/CLUSTER1/openid/v1/jwks",
        "/cluster1/.well-known/oauth-authorization-server",
        "/healthz",
    ] {
        let answer = get(address, path, "").await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
}

#[tokio::test]
async fn nothing_but_reading() {
    let store = EndpointStore::new(issuer());
    create(&store, &DocumentPath::JWKS, JWKS).await;
    let (address, _server) = plain(Site::new(store.clone(), &issuer()), patient()).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer = request(
            address,
            method,
            "/cluster1/openid/v1/jwks",
            "content-length: 2\r\n\r\n{}",
        )
        .await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
    }
    let answer = get(address, "/cluster1/openid/v1/jwks", "").await;
    assert_eq!(answer.body, JWKS);
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again() {
    let store = EndpointStore::new(issuer());
    let (address, _server) = plain(Site::new(store.clone(), &issuer()), patient()).await;
    let version = create(&store, &DocumentPath::JWKS, JWKS).await;
    let path = "/cluster1/openid/v1/jwks";
    let etag = get(address, path, "").await.header("etag").unwrap().to_owned();
    for (header, status) in [
        (format!("If-None-Match: {etag}\r\n"), 304),
        (format!("if-none-match: W/{etag}\r\n"), 304),
        (format!("if-none-match: \"a\", {etag} ,\"b\"\r\n"), 304),
        (format!("if-none-match: \"a\"\r\nif-none-match: {etag}\r\n"), 304),
        ("if-none-match: *\r\n".to_owned(), 304),
        ("if-none-match: \"a\"\r\n".to_owned(), 200),
        (format!("if-none-match: {}\r\n", etag.trim_matches('"')), 200),
        ("if-none-match: \u{fc}\r\n".to_owned(), 200),
        (format!("if-match: {etag}\r\nrange: bytes=0-1\r\n"), 200),
    ] {
        let answer = get(address, path, &header).await;
        assert_eq!(answer.status, status, "{header}");
        assert_eq!(answer.body, if status == 200 { JWKS } else { "" }, "{header}");
        // RFC 9110 section 15.4.5.
        assert_eq!(answer.header("etag"), Some(etag.as_str()), "{header}");
        assert_eq!(
            answer.header("cache-control"),
            Some("public, max-age=300"),
            "{header}"
        );
    }
    let changed = document(r#"{"keys":[{}]}"#);
    let matches = Precondition::Matches(version);
    store.put(&DocumentPath::JWKS, &changed, &matches).await.unwrap();
    let answer = get(address, path, &format!("if-none-match: {etag}\r\n")).await;
    assert_eq!((answer.status, answer.body.as_bytes()), (200, &*changed.bytes));
    assert_ne!(answer.header("etag"), Some(etag.as_str()));
}

#[tokio::test]
async fn without_documents_come_back_later() {
    let memory = FaultStore::new(MemoryStore::new());
    let memory = Arc::new(memory);
    let (address, _server) = plain(Site::new(memory.clone(), &issuer()), patient()).await;
    let path = "/cluster1/.well-known/openid-configuration";
    let answer = get(address, path, "").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    // If-None-Match: * is about what exists.
    assert_eq!(get(address, path, "if-none-match: *\r\n").await.status, 503);

    create(&*memory, &DocumentPath::DISCOVERY, "{}").await;
    assert_eq!(get(address, path, "").await.status, 200);
    memory.next(Operation::Get, Fault::ServerError);
    assert_eq!(
        get(address, path, "").await.status,
        503,
        "a store that cannot be read"
    );
    assert_eq!(get(address, path, "").await.status, 200);
}

#[tokio::test]
async fn a_head_too_large_is_not_read() {
    let store = EndpointStore::new(issuer());
    create(&store, &DocumentPath::JWKS, JWKS).await;
    let (address, _server) = plain(Site::new(store, &issuer()), patient()).await;
    let path = "/cluster1/openid/v1/jwks";
    let many = "a: b\r\n".repeat(40);
    let long = format!("a: {}\r\n", "b".repeat(16 << 10));
    for headers in [many, long] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = closed(&mut stream).await;
        assert!(
            !answer.starts_with(b"HTTP/1.1 2"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..],
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(garbage).await;
        stream.shutdown().await.unwrap();
        assert!(!closed(&mut stream).await.starts_with(b"HTTP/1.1 2"));
    }
    assert_eq!(get(address, path, "").await.status, 200);
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let store = EndpointStore::new(issuer());
    create(&store, &DocumentPath::JWKS, JWKS).await;
    let request = b"GET /cluster1/openid/v1/jwks HTTP/1.1\r\nhost: x\r\n\r\n";

    // Half a request, and nothing.
    let limits = Limits {
        head: SHORT,
        ..patient()
    };
    let (address, _server) = plain(Site::new(store.clone(), &issuer()), limits).await;
    for begin in [&request[..20], b""] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begin).await.unwrap();
        closed(&mut stream).await;
    }
    // A whole request, and then nothing more.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    assert!(closed(&mut stream).await.starts_with(b"HTTP/1.1 200"));

    // One who always asks again.
    let limits = Limits {
        lifetime: SHORT,
        ..patient()
    };
    let (address, _server) = plain(Site::new(store, &issuer()), limits).await;
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let asking = tokio::spawn(async move { while writer.write_all(request).await.is_ok() {} });
    closed(&mut reader).await;
    drop(reader);
    asking.await.unwrap();

    // One who asks for more than fits into any buffer, and does not listen.
    let large = EndpointStore::new(issuer());
    create(&large, &DocumentPath::JWKS, &"x".repeat(1 << 20)).await;
    let (address, _server) = plain(Site::new(large, &issuer()), limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    while stream.write_all(request).await.is_ok() {}
}

#[tokio::test]
async fn one_more_connection_costs_the_one_idle_for_longest() {
    let store = EndpointStore::new(issuer());
    create(&store, &DocumentPath::JWKS, JWKS).await;
    let limits = Limits {
        connections: 4,
        ..patient()
    };
    let (address, _server) = plain(Site::new(store, &issuer()), limits).await;
    let request = b"GET /cluster1/openid/v1/jwks HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut kept = TcpStream::connect(address).await.unwrap();
    let mut asks = async || {
        kept.write_all(request).await.unwrap();
        let mut answer = vec![0; 512];
        let read = kept.read(&mut answer).await.unwrap();
        assert!(
            answer[..read].starts_with(b"HTTP/1.1 200"),
            "the one who asks is kept"
        );
    };
    asks().await;
    // Thirty who come and say nothing, three of them at once: each of the others had to go.
    let mut idle = Vec::new();
    for nth in 0..30 {
        idle.push(TcpStream::connect(address).await.unwrap());
        if nth >= 3 {
            closed(&mut idle[nth - 3]).await;
        }
        asks().await;
    }
}

/// A private CA with certificates for 127.0.0.1.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Certificate and key, PEM.
    fn issue(&self) -> (String, String, CertificateDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem(), certificate.der().clone())
    }

    async fn connect(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap()
    }

    async fn shown(&self, address: SocketAddr) -> CertificateDer<'static> {
        let stream = self.connect(address).await;
        stream.get_ref().1.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    }
}

fn write(folder: &Path, cert: &str, key: &str) {
    std::fs::write(folder.join("tls.crt"), cert).unwrap();
    std::fs::write(folder.join("tls.key"), key).unwrap();
}

fn config(folder: &Path) -> EndpointConfig {
    EndpointConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        cert_file: folder.join("tls.crt"),
        key_file: folder.join("tls.key"),
        public_url: issuer(),
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_over_while_connections_stay() {
    let (ca, folder) = (Ca::new(), tempfile::tempdir().unwrap());
    let (cert, key, first) = ca.issue();
    write(folder.path(), &cert, &key);
    let clock = Arc::new(VirtualClock::new());
    let store = EndpointStore::serve(&config(folder.path()), clock.clone())
        .await
        .unwrap();
    create(&store, &DocumentPath::JWKS, JWKS).await;
    let address = store.address().unwrap();
    assert_eq!(ca.shown(address).await, first);
    let before = ca.connect(address).await;

    // Half of a renewal: the old pair stays in use.
    let (cert, key, second) = ca.issue();
    std::fs::write(folder.path().join("tls.crt"), &cert).unwrap();
    clock.advance(Duration::from_secs(11));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ca.shown(address).await, first);

    std::fs::write(folder.path().join("tls.key"), &key).unwrap();
    while ca.shown(address).await != second {
        clock.advance(Duration::from_secs(11));
        tokio::task::yield_now().await;
    }
    let request = "GET /cluster1/openid/v1/jwks HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_eq!(
        ask(before, request).await.body,
        JWKS,
        "a connection from before goes on"
    );

    // Nobody listens once the store is gone.
    drop(store);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off() {
    let ca = Ca::new();
    let (cert, key, _) = ca.issue();
    let certificate = Certificate::from_pem(cert.as_bytes(), key.as_bytes()).unwrap();
    let tls = Arc::new(certificate).server_config().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits {
        handshake: SHORT,
        ..patient()
    };
    let site = Site::new(EndpointStore::new(issuer()), &issuer());
    let _server = Server::start(listener, Some(tls), Arc::new(site), limits);
    for begin in [&b""[..], b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begin).await.unwrap();
        let answer = closed(&mut stream).await;
        assert!(!answer.starts_with(b"HTTP"), "nothing is said without TLS");
    }
    let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_eq!(ask(ca.connect(address).await, request).await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_served_is_said_at_once() {
    let (ca, folder) = (Ca::new(), tempfile::tempdir().unwrap());
    let (cert, key, _) = ca.issue();
    let (_, other_key, _) = ca.issue();
    let clock = Arc::new(SystemClock::new());
    let open = async || match EndpointStore::serve(&config(folder.path()), clock.clone()).await {
        Ok(_) => panic!("it serves"),
        Err(error) => error.to_string(),
    };
    let error = open().await;
    assert!(
        error.starts_with("endpoint.certFile, endpoint.keyFile: "),
        "{error}"
    );
    assert!(error.contains("tls.crt: No such file"), "{error}");
    for (cert, key, expected) in [
        (key.as_str(), key.as_str(), "no usable PEM certificate"),
        ("", key.as_str(), "no usable PEM certificate"),
        (cert.as_str(), "", "no usable PEM private key"),
        (cert.as_str(), cert.as_str(), "no usable PEM private key"),
        (
            cert.as_str(),
            other_key.as_str(),
            "certificate and key do not fit",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            key.as_str(),
            "certificate and key do not fit",
        ),
    ] {
        write(folder.path(), cert, key);
        let error = open().await;
        assert!(error.contains(expected), "{error}");
        let secret: Vec<&str> = key.lines().filter(|line| line.len() > 40).collect();
        assert!(secret.iter().all(|line| !error.contains(line)), "{error}");
    }
    write(folder.path(), &cert, &key);
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = EndpointConfig {
        listen: taken.local_addr().unwrap(),
        ..config(folder.path())
    };
    let error = EndpointStore::serve(&config, clock).await.unwrap_err();
    assert!(
        matches!(&error, OpenError::Listen { address, .. } if *address == config.listen),
        "{error}"
    );
    assert!(error.to_string().starts_with("endpoint.listen: "), "{error}");
}

#[test]
fn a_certificate_hides_its_key() {
    let (cert, key, _) = Ca::new().issue();
    let certificate = Certificate::from_pem(cert.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(format!("{certificate:?}"), "Certificate { files: None, .. }");
    let unfit = Certificate::from_pem(cert.as_bytes(), b"nothing").unwrap_err();
    assert_eq!(unfit, CertificateError::NoKey("the key's text".to_owned()));
}

#[test]
fn the_configuration_reads_as_documented() {
    let config: PublisherConfig = serde_json::from_value(serde_json::json!({
        "type": "endpoint", "listen": "0.0.0.0:8443", "certFile": "/tls/tls.crt", "keyFile": "/tls/tls.key",
        "publicURL": "https://oidc.example.com/cluster1",
    }))
    .unwrap();
    let expected = EndpointConfig {
        listen: "0.0.0.0:8443".parse().unwrap(),
        cert_file: "/tls/tls.crt".into(),
        key_file: "/tls/tls.key".into(),
        public_url: issuer(),
    };
    assert_eq!(config, PublisherConfig::Endpoint(expected));
}
