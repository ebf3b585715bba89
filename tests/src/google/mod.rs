//! A stateful stand-in for Google Cloud: the administration of buckets, the exchange of credentials, and in front of
//! fake-gcs-server, which has neither, the objects.
//!
//! Every request is checked against Google's own discovery documents ([`Contract`]), and so is every answer of the
//! stand-in's own; violations that nobody [takes](GoogleFake::take_violations) end the test. Who may do what follows
//! from the bucket's IAM policy, so that a writer writes only once the policy says so.
//!
//! What it cannot show: whether the subject token's signature is right (issuer, audience and times are looked at), what
//! an organization's policies forbid, that changes of a policy take minutes, and the order in which Google checks
//! permission and precondition.

mod bucket;
mod exchange;

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::task::AbortHandle;

use self::bucket::{Buckets, permission};
use self::exchange::Exchange;
use crate::contract::{Call, Contract};
use crate::recorder::{Answer, Recorded, listen, listen_tls, pass_on};
use crate::{FakeGcs, Testbed};

/// The server: https and http on ports of their own, both for everything.
pub struct GoogleFake {
    state: Arc<State>,
    gcs: FakeGcs,
    https: u16,
    http: u16,
    listeners: [AbortHandle; 2],
}

struct State {
    /// Google Cloud Storage's, the exchange's, that of service accounts' tokens.
    contracts: [Contract; 3],
    buckets: Mutex<Buckets>,
    exchange: Mutex<Exchange>,
    log: Mutex<Vec<Recorded>>,
    violations: Mutex<Vec<String>>,
    /// Of fake-gcs-server, with preconditions on deleting.
    objects: String,
    client: reqwest::Client,
}

impl GoogleFake {
    /// What it is, as rows of the conformance table name it.
    pub const VERSION: &str = "stand-in (Google's discovery documents are the contract)";

    pub(crate) async fn start(bed: &Testbed) -> Self {
        let gcs = bed.fake_gcs().await;
        let state = Arc::new(State {
            contracts: [
                Contract::of_google("storage.v1").await,
                Contract::of_google("sts.v1").await,
                Contract::of_google("iamcredentials.v1").await,
            ],
            buckets: Mutex::default(),
            exchange: Mutex::default(),
            log: Mutex::default(),
            violations: Mutex::default(),
            objects: gcs.front().url(),
            client: bed.http(),
        });
        let serve = |state: &Arc<State>| {
            let state = state.clone();
            move |request| {
                let state = state.clone();
                async move { state.respond(request).await }
            }
        };
        let (https, first) = listen_tls(bed, serve(&state)).await;
        let (http, second) = listen(serve(&state)).await;
        Self {
            state,
            gcs,
            https,
            http,
            listeners: [first, second],
        }
    }

    /// `https://localhost:<port>`: Cloud Storage.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.https)
    }

    /// `http://127.0.0.1:<port>`: the same, for clients that trust nobody but the system's authorities.
    pub fn plain_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// An access token with which everything may be done.
    pub fn administrator(&self) -> &'static str {
        exchange::ADMINISTRATOR
    }

    /// A bucket of some project, with these bindings, role and member, beside those that every new bucket has.
    pub async fn create_bucket(&self, name: &str, bindings: &[(&str, &str)]) {
        let resource = json!({"name": name});
        self.state.create(&resource).await;
        self.state.buckets().create("project-1", &resource);
        for (role, member) in bindings {
            self.state.buckets().bind(name, role, member);
        }
    }

    /// Trusts tokens of this issuer for this audience from now on, as a provider of a workload identity pool does; who
    /// comes with one is this principal, and may act as this service account.
    pub fn trust(&self, issuer: &str, audience: &str, principal: &str, account: &str) {
        self.state
            .exchange
            .lock()
            .unwrap()
            .trust(issuer, audience, principal, account);
    }

    /// The IAM policy of a bucket.
    pub fn policy(&self, bucket: &str) -> Value {
        self.state.buckets().policy(bucket)
    }

    /// A bucket's description, `null` if there is none.
    pub fn bucket(&self, name: &str) -> Value {
        self.state.buckets().describe(name)
    }

    /// What somebody else does between two requests of ours: the bucket's policy gets this binding after it was read so
    /// many times more.
    pub fn bind_behind(&self, bucket: &str, role: &str, member: &str, readings: usize) {
        let binding = [bucket, role, member].map(str::to_owned);
        self.state.buckets().behind = Some((readings, binding));
    }

    /// An access token of this principal, however it came by it.
    pub fn token_of(&self, principal: &str) -> String {
        self.state.exchange.lock().unwrap().give(principal)
    }

    /// The server of objects that stands behind it.
    pub fn objects(&self) -> &FakeGcs {
        &self.gcs
    }

    /// What was asked since the last call, in order.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.state.log.lock().unwrap())
    }

    /// What went against the contracts so far; whoever takes it answers for it.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.violations.lock().unwrap())
    }
}

/// A violation that nobody looked at fails the test.
impl Drop for GoogleFake {
    fn drop(&mut self) {
        self.listeners.iter().for_each(AbortHandle::abort);
        let violations = self.take_violations();
        if !std::thread::panicking() {
            assert!(
                violations.is_empty(),
                "against Google's contract: {violations:#?}"
            );
        }
    }
}

impl State {
    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap()
    }

    async fn respond(&self, mut request: Recorded) -> Answer {
        let answer = self.answer(&request).await;
        request.status = answer.status;
        self.log.lock().unwrap().push(request);
        answer
    }

    async fn answer(&self, request: &Recorded) -> Answer {
        let path = request.path();
        // The XML interface, which the public reads by; it has no discovery document.
        let described = ["/storage/", "/upload/", "/download/", "/v1/"];
        if !described.iter().any(|interface| path.starts_with(interface)) {
            let bucket = path.trim_start_matches('/').split('/').next().unwrap_or_default();
            if !self.buckets().allows(bucket, "storage.objects.get", None) {
                return Answer::new(403, "<Error><Code>AccessDenied</Code></Error>");
            }
            return pass_on(&self.client, &self.objects, request).await;
        }
        let contract = match path {
            "/v1/token" => &self.contracts[1],
            _ if path.starts_with("/v1/") => &self.contracts[2],
            _ => &self.contracts[0],
        };
        let call = match contract.check_request(request) {
            Ok(call) => call,
            Err(violations) => {
                let message = violations.join("; ");
                self.violations.lock().unwrap().extend(violations);
                return refusal(400, "invalid", &message);
            }
        };
        if call.id.starts_with("storage.objects.") {
            return match self.permitted(request, &call) {
                Ok(()) => pass_on(&self.client, &self.objects, request).await,
                Err(refused) => refused,
            };
        }
        let answer = self.own(request, &call).await;
        let violations = contract.check_answer(&call, &answer);
        self.violations.lock().unwrap().extend(violations);
        answer
    }

    async fn own(&self, request: &Recorded, call: &Call) -> Answer {
        match call.id.as_str() {
            "sts.token" => return self.exchange.lock().unwrap().token(&call.body),
            "iamcredentials.projects.serviceAccounts.generateAccessToken" => {
                let bearer = bearer(request);
                return self.exchange.lock().unwrap().account_token(bearer, call);
            }
            _ => {}
        }
        if let Err(refused) = self.permitted(request, call) {
            return refused;
        }
        let answer = self.buckets().serve(call);
        if call.id == "storage.buckets.insert" && answer.status == 200 {
            self.create(&call.body).await;
        }
        answer
    }

    /// Where the objects are to be.
    async fn create(&self, bucket: &Value) {
        let url = format!("{}/storage/v1/b", self.objects);
        let request = self.client.post(url).json(&json!({"name": bucket["name"]}));
        let status = request.send().await.expect("an answer").status();
        assert_eq!(status, 200, "a bucket for the objects");
    }

    /// Whether who asks may do this; nobody is told what is there before that.
    fn permitted(&self, request: &Recorded, call: &Call) -> Result<(), Answer> {
        let principal = match bearer(request) {
            None => None,
            Some(token) => match self.exchange.lock().unwrap().principal(token) {
                Some(principal) => Some(principal),
                None => return Err(refusal(401, "authError", "Invalid Credentials")),
            },
        };
        let principal = principal.as_deref();
        if principal == Some(exchange::ADMINISTRATOR) {
            return Ok(());
        }
        let bucket = call.parameters.get("bucket").map_or("", String::as_str);
        let permission = permission(&call.id);
        if self.buckets().allows(bucket, permission, principal) {
            return Ok(());
        }
        let status = if principal.is_some() { 403 } else { 401 };
        let who = principal.unwrap_or("Anonymous caller");
        let message = format!(
            "{who} does not have {permission} access to the Google Cloud Storage bucket. Permission '{permission}' \
             denied on resource (or it may not exist)."
        );
        Err(refusal(status, "forbidden", &message))
    }
}

fn bearer(request: &Recorded) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

/// As Google's JSON interfaces say no.
fn refusal(status: u16, reason: &str, message: &str) -> Answer {
    let error =
        json!({"code": status, "message": message, "errors": [{"reason": reason, "message": message}]});
    Answer::json(status, &json!({"error": error}))
}
