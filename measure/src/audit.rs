//! The API server's audit log: every request of the controller, with its moments.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world;

/// The log of one API server, through its restarts.
pub(crate) struct Audit {
    policy: PathBuf,
    log: PathBuf,
}

/// One request, once it was answered; a watch counts when it begins.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, ...
    pub(crate) verb: String,
    /// A resource such as `configmaps`, or the path of what is none.
    pub(crate) what: String,
    /// Which token asked: each replica has its own.
    pub(crate) credential: String,
    pub(crate) received: Timestamp,
    pub(crate) answered: Timestamp,
    pub(crate) status: u64,
}

impl Audit {
    pub(crate) fn new(folder: &Path) -> Self {
        let audit = Self {
            policy: folder.join("audit-policy.json"),
            log: folder.join("audit.log"),
        };
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "users": [world::user()]}, {"level": "None"}],
        });
        fs::write(&audit.policy, policy.to_string()).expect("the audit policy");
        audit
    }

    /// The API server's flags.
    pub(crate) fn flags(&self) -> Vec<String> {
        vec![
            format!("--audit-policy-file={}", self.policy.display()),
            format!("--audit-log-path={}", self.log.display()),
        ]
    }

    /// Every request so far, in the order of the answers.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        // The last line may not be complete yet.
        let complete = log.rfind('\n').map_or("", |end| &log[..end]);
        complete.lines().filter_map(Request::parse).collect()
    }
}

impl Request {
    /// A read of the key set: with one API server there is one in each poll.
    pub(crate) fn is_poll(&self) -> bool {
        self.verb == "get" && self.what == "/openid/v1/jwks" && self.status == 200
    }

    pub(crate) fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    fn parse(line: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(line).expect("a line of the audit log is JSON");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let verb = text(&event["verb"]);
        let stage = if verb == "watch" {
            "ResponseStarted"
        } else {
            "ResponseComplete"
        };
        if event["stage"] != stage {
            return None;
        }
        let moment = |name: &str| event[name].as_str().and_then(|text| text.parse().ok());
        let what = match event["objectRef"]["resource"].as_str() {
            Some(resource) => resource.to_owned(),
            None => text(&event["requestURI"]),
        };
        Some(Self {
            verb,
            what,
            credential: text(&event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0]),
            received: moment("requestReceivedTimestamp")?,
            answered: moment("stageTimestamp")?,
            status: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
        })
    }
}

/// How many of each kind: `get configmaps`.
pub(crate) fn by_kind<'a>(requests: impl IntoIterator<Item = &'a Request>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts
            .entry(format!("{} {}", request.verb, request.what))
            .or_default() += 1;
    }
    counts
}
