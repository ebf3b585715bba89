//! What the relying parties said, in numbers and second by second.

use std::collections::VecDeque;

use super::Model;
use crate::event::Outcome;

/// How many seconds are remembered.
const SECONDS: usize = 300;

/// One relying party.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    pub(crate) name: &'static str,
    pub(crate) total: Second,
    /// One after the other; the last is the current one.
    pub(crate) seconds: VecDeque<Second>,
    now: u64,
}

/// The verdicts of a second, or of all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Second {
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) unreadable: u64,
}

impl Party {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            total: Second::default(),
            seconds: VecDeque::from([Second::default()]),
            now: 0,
        }
    }

    pub(super) fn advance(&mut self, now: u64) {
        let more = usize::try_from(now.saturating_sub(self.now)).unwrap_or(SECONDS);
        for _ in 0..more.min(SECONDS) {
            self.seconds.push_back(Second::default());
        }
        let old = self.seconds.len().saturating_sub(SECONDS);
        self.seconds.drain(..old);
        self.now = self.now.max(now);
    }

    pub(super) fn count(&mut self, now: u64, outcome: &Outcome) {
        self.advance(now);
        self.total.count(outcome);
        if let Some(second) = self.seconds.back_mut() {
            second.count(outcome);
        }
    }
}

impl Second {
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted => self.accepted += 1,
            Outcome::Rejected(_) => self.rejected += 1,
            Outcome::Unreadable => self.unreadable += 1,
        }
    }

    pub(crate) fn all(self) -> u64 {
        self.accepted + self.rejected + self.unreadable
    }
}

impl Model {
    /// All counters in a line.
    pub(crate) fn verdicts(&self) -> String {
        let parties = self.parties.iter().map(|party| {
            let Second {
                accepted,
                rejected,
                unreadable,
            } = party.total;
            format!(
                "{}: {accepted} accepted, {rejected} rejected, {unreadable} unreadable",
                party.name
            )
        });
        format!("verdicts: {}", parties.collect::<Vec<_>>().join("; "))
    }
}
