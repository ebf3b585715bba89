//! versitygw: an S3 server over TLS with real signatures, conditional writes and bucket policies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use serde_json::json;
use xtask::testbed::Server;

use crate::{Launch, Leaf, Process, Testbed, etcd, free_port, server};

/// The health endpoint's path, which takes the bucket name away.
const HEALTH: &str = "/testbed-health";
const WRITER: (&str, &str) = ("AKIAWRITER", "the-writers-own-secret-access-key");

/// An S3 server on a port that it keeps through restarts; its objects survive them too.
#[derive(Debug)]
pub struct Versitygw {
    process: Option<Process>,
    port: u16,
    program: PathBuf,
    name: String,
    folder: PathBuf,
    log: PathBuf,
    leaf: Leaf,
    secret_key: String,
    ca_pem: String,
    http: reqwest::Client,
    read_only: bool,
    /// It has a user who is no administrator, and keeps versions.
    shared: bool,
}

/// One request in the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// `GET`, `PUT`, ...
    pub method: String,
    /// `/<bucket>/<key>`, percent-decoded.
    pub path: String,
    /// The query, `-` apart.
    pub query: String,
    /// Status of the answer.
    pub status: u16,
}

impl Versitygw {
    /// What it is, as rows of the conformance table name it.
    pub const VERSION: &str = "versitygw 1.8.0";

    pub(crate) async fn start(bed: &Testbed, shared: bool) -> Self {
        let name = bed.name("versitygw");
        let folder = bed.path().join(&name);
        for part in ["objects", "metadata", "versions", "users"] {
            std::fs::create_dir(folder.join(part)).expect("a folder for the S3 server");
        }
        let users =
            json!({"accessAccounts": {WRITER.0: {"access": WRITER.0, "secret": WRITER.1, "role": "user"}}});
        std::fs::write(folder.join("users/users.json"), users.to_string()).expect("the S3 server's users");
        let mut gateway = Self {
            process: None,
            port: 0,
            program: server(Server::Versitygw).await,
            log: bed.path().join(format!("{name}.log")),
            leaf: bed.pki().leaf(&folder, "tls"),
            secret_key: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
            ca_pem: bed.pki().ca_pem().to_owned(),
            http: bed.http(),
            read_only: false,
            shared,
            folder,
            name,
        };
        loop {
            gateway.port = free_port();
            if gateway.run().await {
                return gateway;
            }
        }
    }

    /// `https://localhost:<port>`: the endpoint, and with `/<bucket>/<prefix>` the issuer.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The region it expects in signatures.
    pub fn region(&self) -> &'static str {
        "us-east-1"
    }

    /// Access key id of the administrator.
    pub fn access_key(&self) -> &'static str {
        "testbed"
    }

    /// Secret access key of the administrator.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// Access key id and secret of a user who may do what bucket policies grant; a
    /// [shared](Testbed::shared_versitygw) server has one.
    pub fn writer(&self) -> (&'static str, &'static str) {
        WRITER
    }

    /// What the SDK's own credential chain finds, for a program that writes here; nothing of the machine's.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ACCESS_KEY_ID", self.access_key().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key().to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// Its process.
    ///
    /// # Panics
    ///
    /// It was killed or stopped.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the S3 server runs")
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.process().kill().await;
        self.process = None;
    }

    /// SIGTERM, and waits until it is gone.
    pub async fn stop(&mut self) {
        self.process().stop(Duration::from_secs(60)).await;
        self.process = None;
    }

    /// Starts it again on the same port with the same objects.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "kill or stop {} first", self.name);
        assert!(
            self.run().await,
            "port {} was taken while {} was down",
            self.port,
            self.name
        );
    }

    /// As [`start_again`](Self::start_again), refusing every write from now on, or accepting them again.
    pub async fn start_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
        self.start_again().await;
    }

    /// An S3 client as its administrator, path style, one attempt a call.
    pub fn client(&self) -> Client {
        self.client_of(self.access_key(), self.secret_key())
    }

    /// As [`client`](Self::client), of somebody else.
    pub fn client_of(&self, access: &str, secret: &str) -> Client {
        let roots = TrustStore::empty().with_pem_certificate(self.ca_pem.as_bytes());
        let tls = TlsContext::builder()
            .with_trust_store(roots)
            .build()
            .expect("a TLS context");
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls)
            .build_https();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region()))
            .endpoint_url(self.url())
            .force_path_style(true)
            .credentials_provider(Credentials::new(access, secret, None, None, "testbed"))
            .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
            // Otherwise the objects keep a Content-Encoding of aws-chunked.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .http_client(http)
            .build();
        Client::from_conf(config)
    }

    /// Creates a bucket in which anybody may read exactly these keys, and nothing else.
    pub async fn public_bucket(&self, bucket: &str, keys: &[&str]) {
        self.client()
            .create_bucket()
            .bucket(bucket)
            .send()
            .await
            .expect("a bucket");
        let resources: Vec<String> = keys
            .iter()
            .map(|key| format!("arn:aws:s3:::{bucket}/{key}"))
            .collect();
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resources}],
        });
        let request = self
            .client()
            .put_bucket_policy()
            .bucket(bucket)
            .policy(policy.to_string());
        request.send().await.expect("a bucket policy");
    }

    /// The file that [`access_log`](Self::access_log) reads, for those who follow it.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Every request so far, in order, through all restarts.
    pub fn access_log(&self) -> Vec<Access> {
        let log = std::fs::read(&self.log).expect("the log of the S3 server");
        String::from_utf8_lossy(&log)
            .lines()
            .filter_map(Access::parse)
            .collect()
    }

    /// How many PUTs of this object (`<bucket>/<key>`) have succeeded.
    pub fn successful_puts(&self, object: &str) -> usize {
        let path = format!("/{object}");
        self.access_log()
            .iter()
            .filter(|access| access.is_put(&path) && access.status == 200)
            .count()
    }

    /// `false` if its port was taken.
    async fn run(&mut self) -> bool {
        let process = self.process.insert(self.launch().start());
        // By address: `localhost` may be ::1 first.
        let health = format!("https://127.0.0.1:{}{HEALTH}", self.port);
        let ready = etcd::ready(&self.http, process, &health).await;
        if !ready {
            self.process = None;
        }
        ready
    }

    fn launch(&self) -> Launch {
        Launch::new(&self.name, &self.program, &self.log)
            .env("ROOT_ACCESS_KEY", self.access_key())
            .env("ROOT_SECRET_KEY", self.secret_key())
            .args(["--port", &format!("127.0.0.1:{}", self.port), "--health", HEALTH])
            .args(self.read_only.then_some("--readonly"))
            .args(self.shared.then(|| format!("--iam-dir={}", self.folder.join("users").display())))
            .arg("--cert")
            .arg(&self.leaf.cert)
            .arg("--key")
            .arg(&self.leaf.key)
            // Absolute paths, as it changes directory; the sidecar's may not begin with the root's.
            .args(["posix", "--sidecar"])
            .arg(self.folder.join("metadata"))
            .args(self.shared.then(|| format!("--versioning-dir={}", self.folder.join("versions").display())))
            .arg(self.folder.join("objects"))
    }
}

impl Access {
    /// A PUT of the object at this path, not of one of its properties (`?acl`, `?tagging`).
    pub fn is_put(&self, path: &str) -> bool {
        self.method == "PUT" && self.path == path && matches!(self.query.as_str(), "" | "x-id=PutObject")
    }

    /// A line of the log: time | server | status | duration | client | method | path | error | query.
    /// `None` for any other line.
    pub fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [_, "vgw", status, _, _, method, path, _, query] = fields.as_slice() else {
            return None;
        };
        let status = status.parse().ok()?;
        Some(Self {
            method: (*method).into(),
            path: (*path).into(),
            query: (*query).into(),
            status,
        })
    }
}
