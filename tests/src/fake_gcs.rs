//! fake-gcs-server: Google Cloud Storage's JSON interface over TLS, with preconditions on uploads.
//!
//! It has no preconditions on deleting and no permissions. A [`FaultProxy`] in front of it adds the first from
//! Google's documentation and can play the second.

use serde_json::{Value, json};
use xtask::testbed::Server;

use crate::fault_proxy::Upstream;
use crate::recorder::pass_on;
use crate::{Answer, FaultProxy, Process, Recorded, Testbed, etcd, free_port, server};

/// A storage server on a port that it keeps; its objects live as long as it does.
#[derive(Debug)]
pub struct FakeGcs {
    process: Process,
    url: String,
    server: String,
    http: reqwest::Client,
    front: FaultProxy,
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
                    front: FaultProxy::start_with(bed, &upstream, pass).await,
                    server: upstream,
                    http: bed.http(),
                };
            }
        }
    }

    /// `https://localhost:<port>`, the server itself; with `/<bucket>/<prefix>` the issuer.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The proxy in front of it, which knows preconditions on deleting.
    pub fn front(&self) -> &FaultProxy {
        &self.front
    }

    /// Creates a bucket.
    pub async fn bucket(&self, name: &str) {
        let request = self.http.post(format!("{}/storage/v1/b", self.server));
        let answer = request
            .json(&json!({ "name": name }))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200, "a bucket");
    }

    /// An answer of the server itself: status and body.
    pub async fn ask(
        &self,
        method: reqwest::Method,
        target: &str,
    ) -> (u16, Value, reqwest::header::HeaderMap) {
        let request = self.http.request(method, format!("{}{target}", self.server));
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, answer.json().await.unwrap_or_default(), headers)
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }
}

/// As it came, but for a precondition on deleting.
fn pass(upstream: Upstream, request: Recorded) -> std::pin::Pin<Box<dyn Future<Output = Answer> + Send>> {
    Box::pin(async move {
        let Upstream { http, url } = &upstream;
        let Some(precondition) = delete_precondition(&request) else {
            return pass_on(http, url, &request).await;
        };
        // The server deletes a named generation only if it is the one that is there.
        let mut named = request.clone();
        named.target.push_str(&format!("&generation={precondition}"));
        let answer = pass_on(http, url, &named).await;
        if answer.status == 404 && !request.target.contains("?generation=") {
            let there = http.get(format!("{url}{}", request.path())).send().await;
            if there.is_ok_and(|there| there.status() == 200) {
                let message = "At least one of the pre-conditions you specified did not hold.";
                return google_refusal(412, "conditionNotMet", message);
            }
        }
        answer
    })
}

fn delete_precondition(request: &Recorded) -> Option<&str> {
    if request.method != "DELETE" {
        return None;
    }
    let mut parts = request.target.split(['?', '&']);
    parts.find_map(|part| part.strip_prefix("ifGenerationMatch="))
}

/// As Google's JSON interfaces say no.
pub fn google_refusal(status: u16, reason: &str, message: &str) -> Answer {
    let error = json!({ "error": { "code": status, "message": message, "errors": [{ "reason": reason }] } });
    Answer::json(status, &error)
}
