//! How a status reads.

use std::fmt::Write as _;
use std::time::Duration;

use kubeassume_core::rotation::KeyState;
use kubeassume_core::{Jwk, KeyEntry, Retention, Stored, Thumbprint, Timestamp};
use serde::Serialize;

use super::cluster::{Holder, Seen};
use crate::failure::Failure;
use crate::jwks::kind;
use crate::output::{Paint, Report, columns};

/// What the public sees.
pub(super) enum PublicState {
    /// Both documents, byte for byte.
    Verified,
    /// Usable documents, and not these; the first that differs.
    Different(String),
    /// Nothing that a relying party can use.
    Unusable(String),
}

/// Everything, as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Standing {
    namespace: String,
    controller: Controller,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// `ok`, or why there is none.
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<Generations>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    locations: Vec<String>,
    keys: Vec<Key>,
    endpoints: Vec<Endpoint>,
    public_copy: PublicCopy,
    last_errors: Vec<LastError>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Controller {
    leading: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    renewed_seconds_ago: Option<i64>,
}

#[derive(Serialize)]
struct Generations {
    jwks: u64,
    discovery: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    kid: String,
    thumbprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    state: &'static str,
    since: String,
    /// How long the key stays public, for one that no API server serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<i64>,
}

#[derive(Serialize)]
struct Endpoint {
    endpoint: String,
    keys: Vec<String>,
}

#[derive(Serialize)]
struct PublicCopy {
    verified: bool,
    detail: String,
}

#[derive(Serialize)]
struct LastError {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    reason: String,
    note: String,
}

impl Standing {
    pub(super) fn new(
        namespace: &str,
        seen: &Seen,
        public: Option<PublicState>,
        overlap: Duration,
        now: Timestamp,
    ) -> Self {
        let state = match &seen.stored {
            Stored::Snapshot(snapshot) => Some(&snapshot.state),
            _ => None,
        };
        let retention = Retention::new(overlap);
        Self {
            namespace: namespace.to_owned(),
            controller: Controller::new(seen.lease.as_ref(), now),
            issuer: seen.issuer.as_ref().map(ToString::to_string),
            state: match &seen.stored {
                Stored::Snapshot(_) => "ok".to_owned(),
                Stored::Newer(_) => "written by a newer version; its documents are published".to_owned(),
                Stored::Missing => "missing".to_owned(),
                Stored::Corrupt(why) => format!("corrupt: {why}"),
            },
            revision: state.map(|state| state.revision),
            generation: state.map(|state| Generations {
                jwks: state.documents.jwks.generation.0,
                discovery: state.documents.discovery.generation.0,
            }),
            owner: state.map(|state| state.owner.to_string()),
            locations: state
                .iter()
                .flat_map(|state| state.claims.keys().cloned())
                .collect(),
            keys: state
                .iter()
                .flat_map(|state| &state.keys)
                .map(|(thumbprint, entry)| Key::new(thumbprint, entry, retention, now))
                .collect(),
            endpoints: state
                .iter()
                .flat_map(|state| &state.endpoints)
                .map(|(endpoint, served)| Endpoint {
                    endpoint: endpoint.clone(),
                    keys: served.keys.iter().map(|key| key.kid.clone()).collect(),
                })
                .collect(),
            public_copy: PublicCopy::new(public),
            last_errors: seen
                .warnings
                .iter()
                .map(|warning| LastError {
                    at: warning.at.map(|at| format!("{at:.0}")),
                    reason: warning.reason.clone(),
                    note: warning.note.clone(),
                })
                .collect(),
        }
    }

    /// Exit code 0 only when what relying parties read is what the state says.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if self.state == "missing" {
            return Err(
                Failure::new(format!("there is no state in namespace {:?}", self.namespace))
                    .next("is the controller installed there? --namespace names another one"),
            );
        }
        if self.state.starts_with("corrupt") {
            return Err(Failure::new("the state cannot be read")
                .cause(&self.state)
                .next("the controller rewrites it from memory; see its log"));
        }
        if !self.public_copy.verified {
            return Err(Failure::new("the public copy is not what the state says")
                .cause(&self.public_copy.detail)
                .next("see the last errors above, and `kubeassume verify --issuer` for what a relying party sees"));
        }
        if !self.controller.leading {
            return Err(Failure::new("no controller leads: rotations are not followed")
                .next("look at the controller's pods and their log"));
        }
        Ok(())
    }
}

impl Controller {
    fn new(lease: Option<&Holder>, now: Timestamp) -> Self {
        let age = lease
            .and_then(|lease| lease.renewed)
            .map(|at| now.duration_since(at));
        let fresh = lease
            .zip(age)
            .is_some_and(|(lease, age)| age.unsigned_abs() <= lease.duration);
        let holder = lease.and_then(|lease| lease.name.clone());
        Self {
            leading: holder.is_some() && fresh,
            holder,
            renewed_seconds_ago: age.map(|age| age.as_secs()),
        }
    }
}

impl Key {
    fn new(thumbprint: &Thumbprint, entry: &KeyEntry, retention: Retention, now: Timestamp) -> Self {
        let left = match entry.state {
            KeyState::Retiring(since) | KeyState::Unconfirmed(since) => {
                Some(retention.ends(since).duration_since(now).as_secs().max(0))
            }
            _ => None,
        };
        Self {
            kid: entry.kid.clone(),
            thumbprint: thumbprint.to_string(),
            kind: entry.jwk.as_ref().map(|key: &Jwk| kind(key)),
            state: entry.state.name(),
            since: format!("{:.0}", entry.state.since()),
            seconds_left: left,
        }
    }
}

impl PublicCopy {
    fn new(public: Option<PublicState>) -> Self {
        let (verified, detail) = match public {
            Some(PublicState::Verified) => (true, "byte for byte what the state says".to_owned()),
            Some(PublicState::Different(url)) => (
                false,
                format!("{url} differs; a cache may still hold an older version"),
            ),
            Some(PublicState::Unusable(why)) => (false, why),
            None => (false, "not compared: there is no state".to_owned()),
        };
        Self { verified, detail }
    }
}

impl Report for Standing {
    fn table(&self, paint: Paint) -> String {
        let judged = |good: bool, text: &str| if good { paint.good(text) } else { paint.bad(text) };
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<12} {value}");
        };
        line("namespace", self.namespace.clone());
        line("issuer", self.issuer.clone().unwrap_or_else(|| "-".to_owned()));
        let holder = self.controller.holder.as_deref().unwrap_or("nobody");
        let renewed = match self.controller.renewed_seconds_ago {
            Some(ago) => format!("{holder}, renewed {ago} s ago"),
            None => holder.to_owned(),
        };
        line("leader", judged(self.controller.leading, &renewed));
        line("state", judged(self.state == "ok", &self.state));
        if let (Some(revision), Some(generation)) = (self.revision, &self.generation) {
            line("revision", revision.to_string());
            line(
                "generation",
                format!("jwks {}, discovery {}", generation.jwks, generation.discovery),
            );
        }
        for location in &self.locations {
            line("location", location.clone());
        }
        line(
            "public copy",
            judged(self.public_copy.verified, &self.public_copy.detail),
        );
        if !self.keys.is_empty() {
            let rows = self.keys.iter().map(|key| {
                let left = key.seconds_left.map_or("-".to_owned(), span);
                let kind = key.kind.clone().unwrap_or_else(|| "-".to_owned());
                vec![
                    key.kid.clone(),
                    kind,
                    key.since.clone(),
                    left,
                    key.state.to_owned(),
                ]
            });
            let _ = write!(
                text,
                "\n{}",
                columns(&["KID", "KIND", "SINCE", "LEFT", "STATE"], rows)
            );
        }
        if !self.endpoints.is_empty() {
            let rows = self
                .endpoints
                .iter()
                .map(|endpoint| vec![endpoint.endpoint.clone(), endpoint.keys.join(", ")]);
            let _ = write!(text, "\n{}", columns(&["ENDPOINT", "LAST SERVED"], rows));
        }
        if !self.last_errors.is_empty() {
            let rows = self.last_errors.iter().map(|error| {
                let at = error.at.clone().unwrap_or_else(|| "-".to_owned());
                vec![at, error.reason.clone(), error.note.clone()]
            });
            let _ = write!(text, "\n{}", columns(&["LAST ERRORS", "REASON", "NOTE"], rows));
        }
        text
    }
}

/// Seconds as people say them.
fn span(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}
