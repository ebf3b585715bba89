//! What is owed to whoever holds a token: the oracle's own book of keys, kept by the test that rolls
//! them. It knows nothing of what the product believes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Shared by the test, the traffic and the watch.
#[derive(Clone)]
pub(crate) struct Book {
    overlap: Duration,
    keys: Arc<Mutex<BTreeMap<String, Times>>>,
}

#[derive(Clone, Copy, Default)]
struct Times {
    /// When the operator saw it public, and so was free to sign with it.
    public: Option<Instant>,
    /// From when on no API server served it.
    withdrawn: Option<Instant>,
}

impl Book {
    pub(crate) fn new(overlap: Duration) -> Self {
        Self {
            overlap,
            keys: Arc::default(),
        }
    }

    /// An API server may serve this key from now on, so it may be public.
    pub(crate) fn served(&self, kid: &str) {
        self.change(kid, |times| times.withdrawn = None);
    }

    /// The key is public: from now on every token of it must be accepted.
    pub(crate) fn public(&self, kid: &str) {
        self.change(kid, |times| times.public = times.public.or(Some(Instant::now())));
    }

    /// From now on the last API server that served the key may be without it.
    pub(crate) fn withdrawn(&self, kid: &str) {
        self.change(kid, |times| times.withdrawn = Some(Instant::now()));
    }

    /// Whether a verification between these moments had to accept a token of this key.
    pub(crate) fn owed(&self, kid: &str, began: Instant, ended: Instant) -> bool {
        let times = self.times(kid);
        let public = times.public.is_some_and(|public| public <= began);
        public && self.may_leave(kid).is_none_or(|end| ended < end)
    }

    /// Whether some API server of this cluster ever served the key.
    pub(crate) fn knows(&self, kid: &str) -> bool {
        self.keys.lock().unwrap().contains_key(kid)
    }

    /// The earliest moment at which the key may leave, once it is withdrawn.
    pub(crate) fn may_leave(&self, kid: &str) -> Option<Instant> {
        self.times(kid).withdrawn.map(|at| at + self.overlap)
    }

    fn times(&self, kid: &str) -> Times {
        self.keys.lock().unwrap().get(kid).copied().unwrap_or_default()
    }

    fn change(&self, kid: &str, change: impl FnOnce(&mut Times)) {
        change(self.keys.lock().unwrap().entry(kid.to_owned()).or_default());
    }
}
