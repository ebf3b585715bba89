//! How the demo ends: the figures, and whether they are good enough.

use std::time::Duration;

use serde::Serialize;

use super::pace::Pace;
use super::timeline::{History, Step, short};
use crate::failure::Failure;
use crate::output::{Paint, Report, columns};

/// Fewer verified tokens than this prove nothing.
const ENOUGH_TOKENS: u64 = 200;

/// The figures of a run.
#[derive(Serialize)]
pub(super) struct Outcome {
    /// Tokens that were used until they expired and never refused.
    tokens_verified: u64,
    /// Valid tokens that were refused at least once.
    tokens_rejected: u64,
    /// Uses of tokens that were accepted.
    verifications: u64,
    /// Keys that went all the way, from their first API server to their removal from the public copy.
    rotations: u64,
    /// Documents written.
    writes: u64,
    /// How often another replica took over.
    leader_changes: u64,
    /// How long the pods ran.
    seconds: f64,
    /// How long a key stayed public after its last API server.
    overlap_seconds: f64,
    #[serde(skip)]
    keys: Vec<Vec<String>>,
    #[serde(skip)]
    first_rejection: Option<String>,
}

impl Outcome {
    pub(super) fn new(history: &History, pace: Pace, ran: Duration) -> Self {
        let seconds = |at: Option<Duration>| match at {
            Some(at) => format!("{:.1} s", at.as_secs_f64()),
            None => "-".to_owned(),
        };
        let keys = history.lanes().into_iter().map(|lane| {
            let times = [
                lane.public,
                lane.signs.map(|(from, _)| from),
                lane.retiring,
                lane.removed,
            ];
            [
                short(&lane.kid).to_owned(),
                lane.kind.clone(),
                lane.state().to_owned(),
            ]
            .into_iter()
            .chain(times.map(seconds))
            .collect()
        });
        let first_rejection = history.steps.iter().find_map(|(at, step)| match step {
            Step::Rejected { .. } => Some(format!("at {:.1} s, {step}", at.as_secs_f64())),
            _ => None,
        });
        Self {
            tokens_verified: history.tokens_verified,
            tokens_rejected: history.tokens_rejected,
            verifications: history.verifications,
            rotations: history.rotations,
            writes: history.writes,
            leader_changes: history.leader_changes,
            seconds: (ran.as_secs_f64() * 10.0).round() / 10.0,
            overlap_seconds: pace.overlap.as_secs_f64(),
            keys: keys.collect(),
            first_rejection,
        }
    }

    /// Whether this is a run to be proud of.
    ///
    /// # Errors
    /// The first reason why it is not.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if self.tokens_rejected > 0 {
            let failure = Failure::new(format!("{} valid tokens were rejected", self.tokens_rejected));
            let failure = self.first_rejection.iter().fold(failure, Failure::cause);
            let needed = (Pace::TOKEN_LIFE + Pace::MAX_AGE).as_secs_f64();
            return Err(match self.overlap_seconds < needed {
                true => failure.next(format!(
                    "an overlap of {} s takes keys away from tokens that live {} s: give --overlap {needed}s or more",
                    self.overlap_seconds,
                    Pace::TOKEN_LIFE.as_secs()
                )),
                false => failure.next("this should never happen; please report it with the file that --report writes"),
            });
        }
        if self.rotations == 0 {
            return Err(Failure::new("no rotation was finished").next(format!(
                "a rotation takes about {} s and the overlap: give more --seconds, or a shorter --overlap",
                Pace::ROTATION.as_secs()
            )));
        }
        if self.tokens_verified < ENOUGH_TOKENS {
            return Err(Failure::new(format!(
                "only {} tokens were verified; fewer than {ENOUGH_TOKENS} prove nothing",
                self.tokens_verified
            ))
            .next("give more --seconds, or a machine that has less to do"));
        }
        Ok(())
    }

    /// All figures in a line.
    pub(super) fn line(&self) -> String {
        let count = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        format!(
            "{} verified in {}, {} rejected; {}, {}, {} in {} s",
            count(self.tokens_verified, "token"),
            count(self.verifications, "use"),
            self.tokens_rejected,
            count(self.rotations, "rotation"),
            count(self.leader_changes, "leader change"),
            count(self.writes, "write"),
            self.seconds
        )
    }
}

impl Report for Outcome {
    fn table(&self, paint: Paint) -> String {
        let header = ["KEY", "KIND", "STATE", "PUBLIC", "SIGNS", "RETIRING", "REMOVED"];
        let line = match self.verdict() {
            Ok(()) => paint.good(&format!("ok: {}", self.line())),
            Err(_) => paint.bad(&format!("failed: {}", self.line())),
        };
        format!("{}{line}\n", columns(&header, self.keys.iter().cloned()))
    }
}
