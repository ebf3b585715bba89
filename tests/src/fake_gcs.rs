//! fake-gcs-server: Google Cloud Storage's JSON interface over TLS, with preconditions on uploads.
//!
//! It has no preconditions on deleting and no permissions. A front on a port of its own, over plain http, adds
//! the first from Google's documentation and plays the second; it also counts, refuses and tears on order.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use xtask::testbed::Server;

use crate::{Process, Testbed, etcd, free_port, server};

/// A storage server on a port that it keeps; its objects live as long as it does.
#[derive(Debug)]
pub struct FakeGcs {
    process: Process,
    url: String,
    front: Front,
}

/// A request as the front saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Percent-encoded as it came, with the query.
    pub target: String,
    /// Status of the answer.
    pub status: u16,
}

/// What the front does instead of passing a request on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Requests with this method are refused for lack of this permission.
    Denied(&'static str, &'static str),
    /// Downloads end this many bytes too early.
    Torn(usize),
    /// Uploads happen and their answer is lost.
    Lost,
}

#[derive(Clone, Debug)]
struct Front {
    url: String,
    upstream: String,
    http: reqwest::Client,
    log: Arc<Mutex<Vec<Request>>>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl FakeGcs {
    /// What it is, as rows of the conformance table name it.
    pub const VERSION: &str = "fake-gcs-server 1.56.1";

    pub(crate) async fn start(bed: &Testbed) -> Self {
        let program = server(Server::FakeGcsServer).await;
        let name = bed.name("fake-gcs-server");
        let leaf = bed.pki().leaf(&bed.path().join(&name), "tls");
        loop {
            let port = free_port().to_string();
            let mut process = bed
                .launch(&name, &program)
                .args([
                    "-scheme",
                    "https",
                    "-host",
                    "127.0.0.1",
                    "-port",
                    &port,
                    "-backend",
                    "memory",
                ])
                .args(["-public-host", &format!("localhost:{port}"), "-log-level", "warn"])
                .arg("-cert-location")
                .arg(&leaf.cert)
                .arg("-private-key-location")
                .arg(&leaf.key)
                .start();
            // By address: `localhost` may be ::1 first.
            let upstream = format!("https://127.0.0.1:{port}");
            let health = format!("{upstream}/_internal/healthcheck");
            if etcd::ready(&bed.http(), &mut process, &health).await {
                return Self {
                    process,
                    url: format!("https://localhost:{port}"),
                    front: Front::start(upstream, bed.http()).await,
                };
            }
        }
    }

    /// `https://localhost:<port>`, the server itself; with `/<bucket>/<prefix>` the issuer.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `http://127.0.0.1:<port>`, the front.
    pub fn front(&self) -> &str {
        &self.front.url
    }

    /// Creates a bucket.
    pub async fn bucket(&self, name: &str) {
        let request = self
            .front
            .http
            .post(format!("{}/storage/v1/b", self.front.upstream));
        let answer = request
            .json(&json!({ "name": name }))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200, "a bucket");
    }

    /// From now on; `None`: no more.
    pub fn fault(&self, fault: Option<Fault>) {
        *self.front.fault.lock().unwrap() = fault;
    }

    /// What the front was asked so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.front.log.lock().unwrap().clone()
    }

    /// An answer of the server itself: status and body.
    pub async fn ask(
        &self,
        method: reqwest::Method,
        target: &str,
    ) -> (u16, Value, reqwest::header::HeaderMap) {
        let request = self
            .front
            .http
            .request(method, format!("{}{target}", self.front.upstream));
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, answer.json().await.unwrap_or_default(), headers)
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }
}

/// A request with its body.
struct Incoming {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer; `withheld` bytes of it are announced and not sent.
struct Outgoing {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    withheld: usize,
}

impl Front {
    async fn start(upstream: String, http: reqwest::Client) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let front = Self {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            upstream,
            http,
            log: Arc::default(),
            fault: Arc::default(),
        };
        let own = front.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let front = own.clone();
                tokio::spawn(async move { front.serve(connection).await });
            }
        });
        front
    }

    async fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut connection = BufReader::new(connection);
        loop {
            let request = Incoming::read(&mut connection).await?;
            let mut answer = self.answer(&request).await?;
            self.log.lock().unwrap().push(Request {
                method: request.method.clone(),
                target: request.target.clone(),
                status: answer.status,
            });
            match (self.fault.lock().unwrap().clone(), request.method.as_str()) {
                (Some(Fault::Lost), "POST") => return None,
                (Some(Fault::Torn(bytes)), "GET") if request.target.contains("alt=media") => {
                    answer.withheld = bytes;
                }
                _ => {}
            }
            answer.write(connection.get_mut()).await?;
            if answer.withheld > 0 {
                return None;
            }
        }
    }

    async fn answer(&self, request: &Incoming) -> Option<Outgoing> {
        if let Some(Fault::Denied(method, permission)) = self.fault.lock().unwrap().clone()
            && method == request.method
        {
            let message = format!("test@example.com does not have {permission} access to the object.");
            return Some(Outgoing::refusal(403, "forbidden", &message));
        }
        let Some(precondition) = request.delete_precondition() else {
            return self.pass(request, &request.target).await;
        };
        // The server deletes a named generation only if it is the one that is there.
        let named = format!("{}&generation={precondition}", request.target);
        let answer = self.pass(request, &named).await?;
        let object = request.target.split('?').next().unwrap_or_default();
        if answer.status == 404 && !request.target.contains("?generation=") {
            let there = self
                .http
                .get(format!("{}{object}", self.upstream))
                .send()
                .await
                .ok()?;
            if there.status() == 200 {
                let message = "At least one of the pre-conditions you specified did not hold.";
                return Some(Outgoing::refusal(412, "conditionNotMet", message));
            }
        }
        Some(answer)
    }

    async fn pass(&self, request: &Incoming, target: &str) -> Option<Outgoing> {
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).ok()?;
        let mut passed = self.http.request(method, format!("{}{target}", self.upstream));
        for (name, value) in &request.headers {
            if !matches!(name.as_str(), "host" | "content-length" | "connection") {
                passed = passed.header(name, value);
            }
        }
        let answer = passed.body(request.body.clone()).send().await.ok()?;
        let headers = answer.headers().iter();
        Some(Outgoing {
            status: answer.status().as_u16(),
            headers: headers
                .filter(|(name, _)| {
                    !matches!(
                        name.as_str(),
                        "content-length" | "transfer-encoding" | "connection"
                    )
                })
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect(),
            body: answer.bytes().await.ok()?.to_vec(),
            withheld: 0,
        })
    }
}

impl Incoming {
    async fn read(connection: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let mut words = line.split_whitespace();
        let mut request = Self {
            method: words.next()?.to_owned(),
            target: words.next()?.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let mut length = 0;
        loop {
            let mut line = String::new();
            connection.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            let name = name.to_ascii_lowercase();
            if name == "content-length" {
                length = value.parse().ok()?;
            }
            request.headers.push((name, value.to_owned()));
        }
        request.body = vec![0; length];
        connection.read_exact(&mut request.body).await.ok()?;
        Some(request)
    }

    fn delete_precondition(&self) -> Option<&str> {
        if self.method != "DELETE" {
            return None;
        }
        self.target
            .split(['?', '&'])
            .find_map(|part| part.strip_prefix("ifGenerationMatch="))
    }
}

impl Outgoing {
    /// As Google's JSON interfaces say no.
    fn refusal(status: u16, reason: &str, message: &str) -> Self {
        let error =
            json!({ "error": { "code": status, "message": message, "errors": [{ "reason": reason }] } });
        Self {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: error.to_string().into_bytes(),
            withheld: 0,
        }
    }

    async fn write(&self, connection: &mut TcpStream) -> Option<()> {
        let mut head = format!(
            "HTTP/1.1 {} Said\r\ncontent-length: {}\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        connection.write_all(head.as_bytes()).await.ok()?;
        let sent = self.body.len().saturating_sub(self.withheld);
        connection.write_all(&self.body[..sent]).await.ok()
    }
}
