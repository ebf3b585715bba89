//! Azurite: Microsoft's emulator of the Blob service, over TLS, with tokens instead of keys.
//!
//! It checks a token's audience, issuer and times and not its signature, and whoever has a token may do
//! everything: roles are not to be had here.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use xtask::testbed::Server;

use crate::{Launch, Leaf, Process, Testbed, etcd, free_port, server};

/// A version of the service that the emulator knows.
const API_VERSION: &str = "2025-05-05";

/// A Blob service on a port that it keeps; its blobs are gone when it ends.
#[derive(Debug)]
pub struct Azurite {
    process: Option<Process>,
    port: u16,
    script: PathBuf,
    name: String,
    log: PathBuf,
    leaf: Leaf,
    key: String,
    http: reqwest::Client,
}

/// One request in the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRequest {
    /// `GET`, `PUT`, ...
    pub method: String,
    /// `/<account>/<container>/<blob>`, as sent, with the query.
    pub target: String,
    /// Status of the answer.
    pub status: u16,
}

impl Azurite {
    /// What it is, as rows of the conformance table name it.
    pub const VERSION: &str = "azurite 3.35.0";

    pub(crate) async fn start(bed: &Testbed) -> Self {
        let name = bed.name("azurite");
        let folder = bed.path().join(&name);
        let mut azurite = Self {
            process: None,
            port: 0,
            script: server(Server::Azurite).await,
            log: bed.path().join(format!("{name}.log")),
            leaf: bed.pki().leaf(&folder, "tls"),
            key: STANDARD.encode(fastrand::u128(..).to_be_bytes()),
            http: bed.http(),
            name,
        };
        loop {
            azurite.port = free_port();
            if azurite.run().await {
                return azurite;
            }
        }
    }

    /// The storage account.
    pub fn account(&self) -> &'static str {
        "kubeassume"
    }

    /// `https://localhost:<port>/<account>`: the endpoint, and with `/<container>/<prefix>` the issuer.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/{}", self.port, self.account())
    }

    /// A token that it takes, for an hour.
    pub fn token(&self) -> String {
        token("https://storage.azure.com", Duration::from_secs(3600))
    }

    /// A token that it refuses: for another service.
    pub fn foreign_token(&self) -> String {
        token("https://graph.microsoft.com", Duration::from_secs(3600))
    }

    /// A token that it refuses: its time is over.
    pub fn expired_token(&self) -> String {
        token("https://storage.azure.com", Duration::ZERO)
    }

    /// Creates a container of which anybody may read blobs by their names, and nothing else.
    pub async fn public_container(&self, container: &str) {
        self.create(container, Some("blob")).await;
    }

    /// Creates a container that is nobody's but ours.
    pub async fn private_container(&self, container: &str) {
        self.create(container, None).await;
    }

    /// Puts a blob there as a person with access would, whatever stands there.
    ///
    /// # Panics
    ///
    /// It is refused.
    pub async fn put(&self, container: &str, blob: &str, bytes: Vec<u8>) {
        let request = self.http.put(format!("{}/{container}/{blob}", self.url()));
        let request = request
            .header("x-ms-blob-type", "BlockBlob")
            .header("content-length", bytes.len())
            .body(bytes);
        self.send(request).await;
    }

    async fn create(&self, container: &str, access: Option<&str>) {
        let mut request = self
            .http
            .put(format!("{}/{container}?restype=container", self.url()))
            .body("");
        if let Some(access) = access {
            request = request.header("x-ms-blob-public-access", access);
        }
        self.send(request).await;
    }

    async fn send(&self, request: reqwest::RequestBuilder) {
        let request = request
            .bearer_auth(self.token())
            .header("x-ms-version", API_VERSION);
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let text = response.text().await.expect("a body");
        assert_eq!(status, 201, "{text}");
    }

    /// Every request so far, in order.
    pub fn access_log(&self) -> Vec<BlobRequest> {
        let log = std::fs::read(&self.log).expect("the log of the Blob service");
        String::from_utf8_lossy(&log)
            .lines()
            .filter_map(BlobRequest::parse)
            .collect()
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        let mut process = self.process.take().expect("the Blob service runs");
        process.kill().await;
    }

    /// `false` if its port was taken.
    async fn run(&mut self) -> bool {
        let process = self.process.insert(self.launch().start());
        // By address: `localhost` may be ::1 first. Without an account it is a bad request.
        let root = format!("https://127.0.0.1:{}/", self.port);
        let ready = etcd::answers(&self.http, process, &root, 400).await;
        if !ready {
            self.process = None;
        }
        ready
    }

    fn launch(&self) -> Launch {
        Launch::new(&self.name, "node", &self.log)
            .env("AZURITE_ACCOUNTS", format!("{}:{}", self.account(), self.key))
            .arg(&self.script)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &self.port.to_string()])
            // The account is in the path; the SDK's version of the service is newer than the emulator.
            .args(["--disableProductStyleUrl", "--skipApiVersionCheck"])
            .args(["--disableTelemetry", "--inMemoryPersistence", "--oauth", "basic"])
            .arg("--cert")
            .arg(&self.leaf.cert)
            .arg("--key")
            .arg(&self.leaf.key)
    }
}

impl BlobRequest {
    /// client - - [time] "METHOD target HTTP/1.1" status length
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once("] \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        let mut words = request.split(' ');
        Some(Self {
            method: words.next()?.into(),
            target: words.next()?.into(),
            status: rest.split(' ').next()?.parse().ok()?,
        })
    }
}

fn token(audience: &str, lasts: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let since = now.as_secs() - 3600;
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "typ": "JWT"}));
    let claims = part(json!({
        "aud": audience,
        "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
        "iat": since,
        "nbf": since,
        "exp": (now + lasts).as_secs() - u64::from(lasts.is_zero()),
    }));
    format!(
        "{header}.{claims}.{}",
        URL_SAFE_NO_PAD.encode("nobody-looks-at-the-signature")
    )
}
