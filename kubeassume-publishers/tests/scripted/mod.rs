//! An HTTP server that says what a test wants, and remembers what it was asked.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// As it came; names of headers in lower case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Without `?`.
    pub(crate) query: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    /// 0: the connection is closed without an answer.
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// So many bytes fewer than announced are sent, and the connection is closed.
    pub(crate) withheld: usize,
}

impl Response {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    pub(crate) fn silence() -> Self {
        Self::default()
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server on a port of its own; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) url: String,
    /// Of a server over TLS.
    pub(crate) ca_pem: Option<String>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::listen(answer, None).await
    }

    /// Over TLS; [`ca_pem`](Self::ca_pem) is to be trusted.
    pub(crate) async fn start_tls(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::listen(answer, Some((acceptor, certificate.cert.pem()))).await
    }

    async fn listen(
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
        tls: Option<(TlsAcceptor, String)>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, ca_pem) = tls.unzip();
        let url = match &acceptor {
            None => format!("http://{address}"),
            Some(_) => format!("https://localhost:{}", address.port()),
        };
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), requests.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (answer, log, acceptor) = (answer.clone(), log.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => converse(connection, answer.as_ref(), &log).await,
                        Some(acceptor) => {
                            if let Ok(connection) = acceptor.accept(connection).await {
                                converse(connection, answer.as_ref(), &log).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            url,
            ca_pem,
            requests,
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn converse(
    connection: impl AsyncRead + AsyncWrite + Unpin,
    answer: &(impl Fn(&Request) -> Response + ?Sized),
    log: &Mutex<Vec<Request>>,
) {
    let mut connection = BufReader::new(connection);
    while let Some(request) = read(&mut connection).await {
        let response = answer(&request);
        log.lock().unwrap().push(request.clone());
        if response.status == 0 {
            return;
        }
        write(connection.get_mut(), &request, &response).await;
        if response.withheld > 0 {
            return;
        }
    }
}

async fn read(connection: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Request> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let method = words.next()?.to_owned();
    let target = words.next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        request
            .headers
            .insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = request
        .headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    connection.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

async fn write(connection: &mut (impl AsyncWrite + Unpin), request: &Request, response: &Response) {
    let mut head = format!(
        "HTTP/1.1 {} Said\r\ncontent-length: {}\r\n",
        response.status,
        response.body.len()
    );
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let _ = connection.write_all(head.as_bytes()).await;
    if request.method != "HEAD" {
        let sent = response.body.len() - response.withheld;
        let _ = connection.write_all(&response.body[..sent]).await;
    }
}
