//! What happens, and what a person may order: the language between the world, the model and the screen.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How many API servers and controllers there are.
pub(crate) const SERVERS: usize = 2;
pub(crate) const REPLICAS: usize = 2;

/// A signing key, by the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyId(pub(crate) usize);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "K{}", self.0 + 1)
    }
}

/// What a person orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Make a key that every API server serves and none signs with.
    Stage,
    /// Let every API server sign with this key.
    Switch(KeyId),
    /// Take this key from every API server.
    Drop(KeyId),
    /// `kill -9` of the controller that leads.
    KillLeader,
    /// Put the S3 server into this state.
    Bucket(Bucket),
}

/// What the S3 server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// Everything.
    Open,
    /// It answers every write with an error.
    ReadOnly,
    /// Nothing: its process is gone.
    Down,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::ReadOnly => "read-only",
            Self::Down => "down",
        })
    }
}

/// What never changes while it runs, with the commands to try.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) issuer: String,
    pub(crate) bucket: String,
    pub(crate) overlap: Duration,
    pub(crate) hold: Duration,
    pub(crate) ca_file: PathBuf,
    pub(crate) kubeconfigs: [PathBuf; SERVERS],
    pub(crate) servers: [String; SERVERS],
    /// The file that has all of this, too.
    pub(crate) guide: PathBuf,
    /// To be typed first in another terminal, then one after the other.
    pub(crate) commands: Vec<String>,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// So long has it been running.
    Tick(Duration),
    /// A key was made.
    Made {
        key: KeyId,
        kid: String,
        kind: &'static str,
    },
    /// An API server restarts with these keys, or is back with them.
    Server {
        nth: usize,
        serving: bool,
        signs: KeyId,
        serves: Vec<KeyId>,
    },
    /// What the controllers' ConfigMap says of each kid.
    State(BTreeMap<String, KeyState>),
    /// Whom the Lease names.
    Leader(Option<String>),
    /// Whether a controller runs, and whether it saw a right public copy lately.
    Replica { nth: usize, standing: Standing },
    /// The S3 server changed.
    Bucket(Bucket),
    /// The kids that the public sees; `None` if it sees nothing.
    Public(Option<Vec<String>>),
    /// Somebody asked to write a document.
    Put { document: String, status: u16 },
    /// A controller says in its log that it wrote these documents.
    Wrote { nth: usize, documents: Vec<String> },
    /// A line of a controller's log.
    Told {
        nth: usize,
        reason: String,
        text: String,
        warning: bool,
    },
    /// A relying party decided on a token.
    Verdict(Verdict),
    /// What is being done for the person, or nothing.
    Busy(Option<String>),
    /// A remark of the playground itself.
    Remark { text: String, warning: bool },
}

/// Where a key stands for the controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    Live,
    /// No API server serves it; it goes when this time is over, counted from now.
    Retiring(Duration),
    Unconfirmed(Duration),
    Removed,
    Revoked,
}

impl KeyState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Retiring(_) => "retiring",
            Self::Unconfirmed(_) => "unconfirmed",
            Self::Removed => "removed",
            Self::Revoked => "revoked",
        }
    }
}

/// How a controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No process.
    Gone,
    /// It runs and has not seen a right public copy lately.
    Unverified,
    /// What it read from the public copy lately was right.
    Verified,
}

/// A relying party's word on one token.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// Index of the relying party.
    pub(crate) party: usize,
    /// The API server that minted the token.
    pub(crate) server: usize,
    /// The key that signed it.
    pub(crate) kid: String,
    /// Seconds since it was minted.
    pub(crate) age: u64,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    /// The documents could be read, and the token was refused.
    Rejected(String),
    /// Refused while the bucket could not be read at all.
    Unreadable,
}
