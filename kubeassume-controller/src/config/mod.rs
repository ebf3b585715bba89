//! The configuration file: one YAML document, parsed once into [`Config`] or refused with every reason.
//!
//! It says nothing of secrets: credentials come from the environment that the publisher's SDK reads. It
//! opens no connection and reads no other file; what only a server can know (whether the issuer is the API
//! server's, whether the bucket exists) shows when the controller runs.
//!
//! ```
//! use kubeassume_controller::config::Config;
//!
//! let config = Config::parse(
//!     "issuer: https://oidc.example.com/cluster1
//! publisher: {type: file, file: {path: /srv/oidc}}",
//! )?;
//! assert_eq!(config.sync_period.as_secs(), 60);
//!
//! let error = Config::parse("issuer: https://oidc.example.com/cluster1\npublsher: {}").unwrap_err();
//! assert!(error.to_string().contains("publsher is unknown; did you mean publisher?"));
//! # Ok::<(), kubeassume_controller::config::ConfigError>(())
//! ```

mod duration;
mod error;
mod nearest;
mod publisher;
mod reference;
mod section;
mod source;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kubeassume_core::{Headers, IssuerUrl, OnStateLoss, Policy, Retention, Thumbprint};
use serde_json::Value;

pub use error::{ConfigError, Problem};
pub use kubeassume_publishers::PublisherConfig;
pub use publisher::PublisherEntry;
pub use reference::reference;
pub use source::SourceConfig;

use section::{Findings, Section};

/// The largest configuration file, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 256 << 10;

/// How long a token may be in use after it was issued, as clusters are set up in practice: webhooks in the
/// style of EKS ask for 24 h, and the kubelet replaces a token when 80 % of its life is over.
const LONGEST_TOKEN: Duration = Duration::from_secs(24 * 3600 * 8 / 10);

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// What a controller is configured to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Whose keys are published.
    pub issuer: IssuerUrl,
    /// Where keys are read.
    pub source: SourceConfig,
    /// Where documents are published: exactly one below the issuer, and its mirrors.
    pub publishers: Vec<PublisherEntry>,
    /// How long relying parties may keep a document; whole seconds.
    pub cache_max_age: Duration,
    /// A PEM file with roots beside the system's, for the store and the public read-back.
    pub ca_file: Option<PathBuf>,
    /// How often endpoints are polled, sinks compared and the public copy read back.
    pub sync_period: Duration,
    /// How long a vanished key stays public.
    pub overlap_period: Duration,
    /// What becomes of keys that only the public copy has when the state is lost.
    pub on_state_loss: OnStateLoss,
    /// Keys that must not be public, by RFC 7638 thumbprint.
    pub revoked: BTreeSet<Thumbprint>,
    /// How the leader is elected.
    pub leader_election: LeaderElection,
}

/// How the leader is elected: a duration above the deadline above the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderElection {
    /// How long others wait for a leader that does not renew; whole seconds.
    pub lease_duration: Duration,
    /// How long a leader that cannot renew goes on.
    pub renew_deadline: Duration,
    /// How often it is tried.
    pub retry_period: Duration,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error: std::io::Error| ConfigError::Unreadable {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(MAX_CONFIG_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        Self::parse(&text)
    }

    /// Parses a configuration.
    ///
    /// # Errors
    /// [`ConfigError`]; [`ConfigError::Invalid`] has every field that breaks a rule.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if text.len() as u64 > MAX_CONFIG_BYTES {
            return Err(ConfigError::TooLarge);
        }
        let value = serde_saphyr::from_str(text).map_err(|e| ConfigError::Syntax(e.to_string()))?;
        let mut findings = Findings::default();
        match read(value, &mut findings) {
            Some(config) if findings.problems.is_empty() => Ok(config),
            _ => Err(ConfigError::Invalid(findings.problems)),
        }
    }

    /// What is allowed and may still be a mistake, each with what it puts at risk.
    pub fn warnings(&self) -> Vec<String> {
        let shortfall = Retention::new(self.overlap_period).shortfall(LONGEST_TOKEN, self.cache_max_age);
        shortfall
            .map(|gap| {
                format!(
                    "controller.rotation.overlapPeriod is {}: a token can be in use for {} (webhooks ask for \
                     24h, the kubelet renews at 80 %), so one signed shortly before its key vanished may be \
                     rejected for its last {}; {} covers it",
                    duration::text(self.overlap_period),
                    duration::text(LONGEST_TOKEN),
                    duration::text(gap),
                    duration::text(LONGEST_TOKEN + self.cache_max_age),
                )
            })
            .into_iter()
            .collect()
    }

    /// The rules by which keys come and go.
    pub fn policy(&self) -> Policy {
        Policy {
            retention: Retention::new(self.overlap_period),
            revoked: self.revoked.clone(),
            on_state_loss: self.on_state_loss,
        }
    }

    /// The headers to publish.
    pub fn headers(&self) -> Headers {
        Headers {
            max_age_seconds: self.cache_max_age.as_secs(),
        }
    }
}

fn read(document: Value, findings: &mut Findings) -> Option<Config> {
    let mut root = Section::root(document, "");
    let fix = "write the API server's --service-account-issuer";
    let issuer = root.required(
        "issuer",
        fix,
        "Whose keys are published: the API servers' `--service-account-issuer`, byte for byte. An https URL \
         without a slash at its end.",
    );
    let issuer: Option<IssuerUrl> = root.parsed("issuer", issuer, &format!("{fix}, byte for byte"));
    let mut source = root.section(
        "source",
        "Where keys are read. Left out: from the API server whose cluster this is.",
    );
    let publishing = publisher::read(&mut root, issuer.as_ref());
    let mut tls = root.section("tls", "Whom to trust.");
    let mut controller = root.section("controller", "How the controller works.");
    let mut rotation = controller.section("rotation", "How keys come and go.");
    let mut election = controller.section(
        "leaderElection",
        "How the replica that polls is elected: `leaseDuration` above `renewDeadline` above `retryPeriod`.",
    );

    let source_config = source::read(&mut source);
    let ca_file = tls.text(
        "caFile",
        "A PEM file with certificates to trust besides the system's, for the store and for reading back what is \
         public. API servers are checked against the cluster's own CA alone.",
    );
    let sync_period = controller.duration(
        "syncPeriod",
        SECOND * 60,
        SECOND..=HOUR,
        "How often the API servers are polled, what is published is compared, and the public copy is read back.",
    );
    let overlap_period = rotation.duration(
        "overlapPeriod",
        HOUR * 24,
        Duration::ZERO..=HOUR * 24 * 3650,
        "How long a key stays public after it was first seen to be gone from every API server. Below the longest \
         life of a token plus `cacheMaxAge`, valid tokens may be rejected; the controller warns.",
    );
    let on_state_loss = rotation.choice(
        "onStateLoss",
        &[("keep", OnStateLoss::Keep), ("drop", OnStateLoss::Drop)],
        "What becomes of keys that only the public copy has when the state is lost: `keep` them for one \
         `overlapPeriod`, or `drop` them at once.",
    );
    let revoked = read_revoked(&mut rotation);
    let leader_election = read_election(&mut election);

    let sections = [root, source].into_iter().chain(publishing.sections);
    for section in sections.chain([tls, controller, rotation, election]) {
        section.finish(findings);
    }
    Some(Config {
        issuer: issuer?,
        source: source_config?,
        publishers: publishing.entries?,
        cache_max_age: publishing.cache_max_age,
        ca_file: ca_file.map(PathBuf::from),
        sync_period,
        overlap_period,
        on_state_loss: on_state_loss?,
        revoked,
        leader_election,
    })
}

fn read_revoked(rotation: &mut Section) -> BTreeSet<Thumbprint> {
    let mut revoked = BTreeSet::new();
    let texts = rotation.texts(
        "revoked",
        "Keys that must not be public, by RFC 7638 thumbprint as `kubeassume jwks inspect` shows it. A key on \
         this list leaves with the next poll and does not come back, not even after a loss of the state.",
    );
    for text in texts {
        match text.parse() {
            Ok(thumbprint) => {
                revoked.insert(thumbprint);
            }
            Err(_) => rotation.problem(
                "revoked",
                &format!("holds {text:?}, which is no RFC 7638 thumbprint"),
                "write 43 characters of base64url as `kubeassume jwks inspect` shows them, not a kid",
            ),
        }
    }
    revoked
}

fn read_election(election: &mut Section) -> LeaderElection {
    let timing = LeaderElection {
        lease_duration: election.duration(
            "leaseDuration",
            SECOND * 15,
            SECOND..=HOUR,
            "How long other replicas wait for a leader that does not renew; whole seconds.",
        ),
        renew_deadline: election.duration(
            "renewDeadline",
            SECOND * 10,
            Duration::from_millis(100)..=HOUR,
            "How long a leader goes on that cannot renew.",
        ),
        retry_period: election.duration(
            "retryPeriod",
            SECOND * 2,
            Duration::from_millis(50)..=HOUR,
            "How often a replica tries to renew, or to become the leader.",
        ),
    };
    let LeaderElection {
        lease_duration,
        renew_deadline,
        retry_period,
    } = timing;
    if lease_duration.subsec_millis() != 0 {
        election.problem(
            "leaseDuration",
            "must be whole seconds, because a Lease counts in them",
            "write for example leaseDuration: 15s",
        );
    }
    if !(lease_duration > renew_deadline && renew_deadline > retry_period) {
        let rule = format!(
            "must be above renewDeadline, and that above retryPeriod; they are {}, {} and {}",
            duration::text(lease_duration),
            duration::text(renew_deadline),
            duration::text(retry_period)
        );
        election.problem(
            "leaseDuration",
            &rule,
            "Kubernetes' own components use 15s, 10s and 2s",
        );
    }
    timing
}

#[cfg(test)]
mod tests;
