//! The demo's pace: a day of a cluster in seconds. Every ratio that matters is kept.

use std::time::Duration;

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long the pods run; starting up comes before that.
    pub(super) run: Duration,
    /// How long a key stays public after it left every API server: `overlapPeriod`.
    pub(super) overlap: Duration,
}

impl Pace {
    /// How long a token is valid. 24 hours in a cluster.
    pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(5);
    /// How long relying parties may keep a document: `publisher.cacheMaxAge`. 5 minutes in a cluster.
    pub(super) const MAX_AGE: Duration = Duration::from_secs(1);
    /// How often a controller polls, compares and reads back: `controller.syncPeriod`. A minute in a cluster.
    pub(super) const SYNC: Duration = Duration::from_millis(300);
    /// How long a silent leader keeps the lease. 15 s in a cluster.
    pub(super) const LEASE: Duration = Duration::from_millis(1200);
    /// How often the leader renews the lease. 2 s in a cluster.
    pub(super) const RENEW: Duration = Duration::from_millis(200);
    /// How long a cluster takes to replace a dead replica.
    pub(super) const REPLACEMENT: Duration = Duration::from_secs(2);
    /// How long an API server is away while it restarts with other key files.
    pub(super) const RESTART: Duration = Duration::from_millis(120);
    /// The operator's pause between two API servers.
    pub(super) const STEP: Duration = Duration::from_millis(130);
    /// The operator's pause between two rotations.
    pub(super) const REST: Duration = Duration::from_millis(700);
    /// How often a pod uses its token.
    pub(super) const USE: Duration = Duration::from_millis(250);
    /// How many pods there are.
    pub(super) const PODS: usize = 150;
    /// How many API servers there are.
    pub(super) const API_SERVERS: usize = 3;
    /// How long a rotation takes from its beginning to the old key's last API server, about.
    pub(super) const ROTATION: Duration = Duration::from_secs(5);

    /// When the leader's replica dies: in the middle.
    pub(super) fn crash(self) -> Duration {
        self.run / 2
    }

    /// Whether a rotation that begins now leaves the API servers with the new key alone before the run is over.
    pub(super) fn fits(self, now: Duration) -> bool {
        now + Self::ROTATION <= self.run
    }
}
