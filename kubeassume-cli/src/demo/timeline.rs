//! What happened when: the one account from which the live view, the result and the report are made.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kubeassume_controller::{Notice, Observer};
use kubeassume_core::{Event, Jwk};

use crate::jwks;

/// How finely uses of tokens are counted.
pub(super) const BUCKET: Duration = Duration::from_millis(250);

/// Everything that happened, in order.
pub(super) struct Timeline {
    began: Instant,
    inner: Mutex<History>,
}

/// A copy of all that happened so far.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// Every key, in the order in which it was made, with its kind.
    pub(super) keys: Vec<(String, String)>,
    /// What happened, in order.
    pub(super) steps: Vec<(Duration, Step)>,
    /// How many uses were accepted and refused, in each [`BUCKET`].
    pub(super) uses: BTreeMap<u32, (u32, u32)>,
    /// Tokens that were used and never refused.
    pub(super) tokens_verified: u64,
    /// Valid tokens that were refused at least once.
    pub(super) tokens_rejected: u64,
    /// Accepted uses.
    pub(super) verifications: u64,
    /// Documents written to the store.
    pub(super) writes: u64,
    /// Keys that went all the way: published, signed with, withdrawn, and gone from the public copy.
    pub(super) rotations: u64,
    /// How often another replica took the lease over.
    pub(super) leader_changes: u64,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// An API server serves a public key from now on.
    Served { server: String, kid: String },
    /// An API server signs with a key from now on.
    Signs { server: String, kid: String },
    /// An API server serves a public key no longer.
    Withdrawn { server: String, kid: String },
    /// The operator saw the key in the public copy, and every cache had the time to see it.
    Ready { kid: String },
    /// The controller changed a key's state.
    Rotation(Event),
    /// A replica wrote documents to the store.
    Wrote { replica: String, documents: usize },
    /// A replica took the lease.
    Leads { replica: String },
    /// A replica's process began.
    Started { replica: String },
    /// A replica's process died, without a word.
    Died { replica: String },
    /// A relying party refused a valid token.
    Rejected {
        kid: String,
        reason: String,
        left: Duration,
    },
    /// Something went wrong that should not.
    Trouble { replica: String, what: String },
}

impl Timeline {
    /// Time begins now.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            inner: Mutex::default(),
        }
    }

    /// How long ago it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// A key was made.
    pub(super) fn key(&self, jwk: &Jwk) {
        self.inner().keys.push((jwk.kid().to_owned(), jwks::kind(jwk)));
    }

    /// Something happened, now.
    pub(super) fn add(&self, step: Step) {
        let at = self.elapsed();
        let mut inner = self.inner();
        match &step {
            Step::Rotation(Event::Removed(_)) => inner.rotations += 1,
            Step::Wrote { documents, .. } => inner.writes += *documents as u64,
            Step::Leads { .. } => {
                let led_before = inner
                    .steps
                    .iter()
                    .any(|(_, step)| matches!(step, Step::Leads { .. }));
                inner.leader_changes += u64::from(led_before);
            }
            _ => {}
        }
        inner.steps.push((at, step));
    }

    /// A token was used.
    pub(super) fn used(&self, accepted: bool) {
        let bucket = u32::try_from(self.elapsed().as_millis() / BUCKET.as_millis()).unwrap_or(u32::MAX);
        let mut inner = self.inner();
        let count = inner.uses.entry(bucket).or_default();
        if accepted {
            count.0 += 1;
            inner.verifications += 1;
        } else {
            count.1 += 1;
        }
    }

    /// A token was used until it expired and never refused.
    pub(super) fn token_verified(&self) {
        self.inner().tokens_verified += 1;
    }

    /// A valid token was refused for the first time.
    pub(super) fn token_rejected(&self, kid: &str, reason: String, left: Duration) {
        self.inner().tokens_rejected += 1;
        self.add(Step::Rejected {
            kid: kid.to_owned(),
            reason,
            left,
        });
    }

    /// All that happened so far.
    pub(super) fn history(&self) -> History {
        self.inner().clone()
    }

    /// What happened since the caller last looked at `seen` steps.
    pub(super) fn news(&self, seen: usize) -> Vec<(Duration, Step)> {
        self.inner().steps.get(seen..).unwrap_or_default().to_vec()
    }

    fn inner(&self) -> MutexGuard<'_, History> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A replica's notices, as steps.
pub(super) struct Watch {
    pub(super) replica: String,
    pub(super) timeline: std::sync::Arc<Timeline>,
}

impl Observer for Watch {
    fn notice(&self, notice: &Notice<'_>) {
        let replica = self.replica.clone();
        let step = match notice {
            Notice::Rotation(event) => Step::Rotation((*event).clone()),
            Notice::Published { published, .. } if !published.written.is_empty() => Step::Wrote {
                replica,
                documents: published.written.len(),
            },
            Notice::Leading(true) => Step::Leads { replica },
            Notice::StateRepaired { reason } => Step::Trouble {
                replica,
                what: (*reason).to_owned(),
            },
            Notice::PublishFailed { error, .. } => Step::Trouble {
                replica,
                what: error.to_string(),
            },
            _ => return,
        };
        self.timeline.add(step);
    }
}

/// A key's life, as far as it went.
#[derive(Debug, Clone, Default)]
pub(super) struct Lane {
    pub(super) kid: String,
    pub(super) kind: String,
    /// First served by an API server.
    pub(super) served: Option<Duration>,
    /// Public from then on.
    pub(super) public: Option<Duration>,
    /// On no API server from then on.
    pub(super) retiring: Option<Duration>,
    /// When its retention ends, counted like all times here.
    pub(super) removed: Option<Duration>,
    /// From the first API server that signs with it to the last one that does not any more.
    pub(super) signs: Option<(Duration, Option<Duration>)>,
    /// How many API servers sign with it now.
    pub(super) signers: usize,
}

impl History {
    /// Every key's life.
    pub(super) fn lanes(&self) -> Vec<Lane> {
        self.keys.iter().map(|(kid, kind)| self.lane(kid, kind)).collect()
    }

    fn lane(&self, kid: &str, kind: &str) -> Lane {
        let mut lane = Lane {
            kid: kid.to_owned(),
            kind: kind.to_owned(),
            ..Lane::default()
        };
        let mut signers: BTreeMap<&str, &str> = BTreeMap::new();
        for (at, step) in &self.steps {
            match step {
                Step::Served { kid: served, .. } if served == kid => lane.served = lane.served.or(Some(*at)),
                Step::Signs { server, kid: signer } => {
                    signers.insert(server, signer);
                    lane.signers = signers.values().filter(|signer| **signer == kid).count();
                    lane.signs = match (lane.signs, lane.signers) {
                        (None, 0) => None,
                        (None, _) => Some((*at, None)),
                        (Some((from, None)), 0) => Some((from, Some(*at))),
                        (known, _) => known,
                    };
                }
                Step::Rotation(Event::NewKey(key)) if key.kid == kid => {
                    lane.public = lane.public.or(Some(*at));
                }
                Step::Rotation(Event::Retiring { key, .. }) if key.kid == kid => {
                    lane.retiring = lane.retiring.or(Some(*at));
                }
                Step::Rotation(Event::Removed(key)) if key.kid == kid => {
                    lane.removed = lane.removed.or(Some(*at));
                }
                _ => {}
            }
        }
        lane
    }
}

impl Lane {
    /// Where the key stands, in a word.
    pub(super) fn state(&self) -> &'static str {
        match (self.public, self.retiring, self.removed) {
            (_, _, Some(_)) => "removed",
            (_, Some(_), None) => "retiring",
            (Some(_), None, None) => "live",
            (None, None, None) => "new",
        }
    }
}

/// Enough of a kid to tell keys apart on a screen.
pub(super) fn short(kid: &str) -> &str {
    kid.get(..8).unwrap_or(kid)
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Served { server, kid } => write!(f, "{server} serves key {}", short(kid)),
            Self::Signs { server, kid } => write!(f, "{server} signs with key {}", short(kid)),
            Self::Withdrawn { server, kid } => write!(f, "{server} no longer serves key {}", short(kid)),
            Self::Ready { kid } => write!(f, "key {} is public and in every cache", short(kid)),
            Self::Rotation(Event::NewKey(key)) => write!(f, "key {} is live", short(&key.kid)),
            Self::Rotation(Event::Retiring { key, .. }) => {
                write!(
                    f,
                    "key {} is retiring: no API server serves it any more",
                    short(&key.kid)
                )
            }
            Self::Rotation(Event::Removed(key)) => {
                write!(f, "key {} is removed: its overlap is over", short(&key.kid))
            }
            Self::Rotation(event) => event.fmt(f),
            Self::Wrote {
                replica,
                documents: 1,
            } => write!(f, "{replica} wrote 1 document"),
            Self::Wrote { replica, documents } => write!(f, "{replica} wrote {documents} documents"),
            Self::Leads { replica } => write!(f, "{replica} leads"),
            Self::Started { replica } => write!(f, "{replica} started"),
            Self::Died { replica } => write!(f, "{replica} was killed while it led"),
            Self::Rejected { kid, reason, left } => write!(
                f,
                "a token signed with key {} was rejected {:.1} s before it expires: {reason}",
                short(kid),
                left.as_secs_f64()
            ),
            Self::Trouble { replica, what } => write!(f, "{replica}: {what}"),
        }
    }
}
