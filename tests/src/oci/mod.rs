//! A stateful stand-in for Oracle Cloud: Object Storage, an instance's metadata service and the authentication
//! service. There is no emulator of OCI.
//!
//! Three things keep it honest. Every signature is verified with the public key, over the bytes that came. Every
//! request is checked against the operations and models of OCI's own Python SDK ([`Contract`]); one field that they
//! do not know is a violation, and violations that nobody [takes](OciFake::take_violations) end the test. And that SDK's
//! client drives the same server ([`sdk`](crate::sdk)), so that what it answers is what the client understands.
//!
//! What it cannot show: the order in which OCI checks permission and precondition, how fast it is consistent, and what
//! it answers to `if-match` on an absent object (here 412; `OciStore` takes 404 too).

mod bucket;
mod contract;
mod identity;
mod signature;

use std::collections::BTreeSet;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::task::AbortHandle;

use self::bucket::Bucket;
use self::contract::Contract;
use self::identity::Identity;
use self::signature::Keys;
pub use self::signature::OciKey;
use crate::Testbed;
use crate::recorder::{Answer, Recorded, listen, listen_tls};

/// The namespace of its only bucket.
pub const OCI_NAMESPACE: &str = "axaxnpcrorw5";
/// Its only bucket.
pub const OCI_BUCKET: &str = "keys";

/// The server: https on a port of its own, and http on another one for the instance's metadata.
pub struct OciFake {
    state: Arc<State>,
    port: u16,
    metadata_port: u16,
    key: OciKey,
    listeners: [AbortHandle; 2],
}

struct State {
    contract: Arc<Contract>,
    keys: Mutex<Keys>,
    bucket: Mutex<Bucket>,
    identity: Identity,
    log: Mutex<Vec<Recorded>>,
    violations: Mutex<Vec<String>>,
    /// How far the server's clock is behind ours.
    behind: Mutex<Duration>,
}

impl OciFake {
    /// What it is, as rows of the conformance table name it.
    pub const VERSION: &str = "stand-in (OCI SDK is the contract)";

    pub(crate) async fn start(bed: &Testbed) -> Self {
        let key = OciKey::new();
        let mut keys = Keys::default();
        keys.add(key.key_id(), &key);
        let state = Arc::new(State {
            contract: contract::of_sdk().await,
            keys: Mutex::new(keys),
            bucket: Mutex::new(Bucket::new()),
            identity: Identity::new(),
            log: Mutex::default(),
            violations: Mutex::default(),
            behind: Mutex::default(),
        });
        let (port, https) = listen_tls(bed, respond(&state)).await;
        let (metadata_port, http) = listen(respond(&state)).await;
        Self {
            state,
            port,
            metadata_port,
            key,
            listeners: [https, http],
        }
    }

    /// `https://localhost:<port>`: Object Storage.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// `OCI_METADATA_BASE_URL` of an instance.
    pub fn metadata_url(&self) -> String {
        format!("http://127.0.0.1:{}/opc/v2", self.metadata_port)
    }

    /// Where an instance's certificate is exchanged.
    pub fn federation_url(&self) -> String {
        format!("{}/v1/x509", self.url())
    }

    /// The API key of a user who may do everything that is granted.
    pub fn key(&self) -> &OciKey {
        &self.key
    }

    /// From now on exactly these permissions are granted, to everybody who signs.
    pub fn grant(&self, permissions: &[&str]) {
        let permissions: BTreeSet<String> = permissions.iter().map(|name| (*name).to_owned()).collect();
        self.state.bucket().granted = permissions;
    }

    /// Sets its clock back.
    pub fn set_clock_behind(&self, behind: Duration) {
        *self.state.behind.lock().unwrap() = behind;
    }

    /// The bucket is gone.
    pub fn remove_bucket(&self) {
        self.state.bucket().exists = false;
    }

    /// Sets a field of the bucket, as somebody else would.
    pub fn set_bucket(&self, field: &str, value: &str) {
        self.state.bucket().properties[field] = json!(value);
    }

    /// Everything that was asked so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.log.lock().unwrap().clone()
    }

    /// Forgets what was asked so far, and every object.
    pub fn clear(&self) {
        self.state.log.lock().unwrap().clear();
        self.state.bucket().objects.clear();
    }

    /// Somebody makes a pre-authenticated request with this name and access type.
    pub fn preauthenticate(&self, name: &str, access: &str) {
        let request = json!({"id": format!("par/{name}"), "name": name, "accessType": access,
            "timeCreated": "2026-11-22T10:00:00Z", "timeExpires": "2027-11-22T10:00:00Z"});
        self.state.bucket().preauthenticated.push(request);
    }

    /// Holds this against a model of the contract, as a request's body is.
    pub fn check(&self, model: &str, body: &serde_json::Value) {
        let violation = self
            .state
            .contract
            .check_body(model, body.to_string().as_bytes())
            .err();
        self.state.violations.lock().unwrap().extend(violation);
    }

    /// What went against the contract so far; whoever takes it answers for it.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.violations.lock().unwrap())
    }
}

/// A violation that nobody looked at fails the test.
impl Drop for OciFake {
    fn drop(&mut self) {
        self.listeners.iter().for_each(AbortHandle::abort);
        let violations = self.take_violations();
        if !std::thread::panicking() {
            assert!(violations.is_empty(), "against OCI's contract: {violations:#?}");
        }
    }
}

impl State {
    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap()
    }

    fn now(&self) -> SystemTime {
        SystemTime::now() - *self.behind.lock().unwrap()
    }

    fn answer(&self, request: &Recorded) -> Answer {
        let path = request.target.split('?').next().unwrap_or_default();
        if path.starts_with("/opc/") {
            return self.identity.metadata(request, path);
        }
        if path == "/v1/x509" {
            return self.identity.exchange(request, &mut self.keys.lock().unwrap());
        }
        let Some((operation, place)) = self.contract.operation(&request.method, path) else {
            return refusal(404, "NotFound", "there is no such operation");
        };
        if !request.headers.contains_key("authorization") {
            return self.bucket().public(operation, &place);
        }
        let violations = self.contract.check_request(operation, request);
        if !violations.is_empty() {
            self.violations.lock().unwrap().extend(violations);
            return refusal(400, "InvalidParameter", "the contract does not know this");
        }
        let signs_body = matches!(operation, "create_bucket" | "update_bucket");
        if let Err(why) = self.keys.lock().unwrap().verify(request, signs_body, self.now()) {
            return refusal(401, "NotAuthenticated", &why);
        }
        let answer = self.bucket().serve(operation, &place, request);
        if let Some(violation) = self.contract.check_answer(operation, answer.status, &answer.body) {
            self.violations.lock().unwrap().push(violation);
        }
        answer
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({"code": code, "message": message}))
}

fn respond(state: &Arc<State>) -> impl Fn(Recorded) -> Ready<Answer> + Clone + Send + Sync + 'static {
    let state = state.clone();
    move |mut request| {
        let mut answer = state.answer(&request);
        answer.set("date", &httpdate::fmt_http_date(state.now()));
        answer.set("opc-request-id", &format!("{:032X}", fastrand::u128(..)));
        request.status = answer.status;
        state.log.lock().unwrap().push(request);
        ready(answer)
    }
}
