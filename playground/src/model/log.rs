//! What is told in words: the log of events.

use std::time::Duration;

use super::{Model, replica_name};

/// How many entries are remembered.
const ENTRIES: usize = 200;
/// What is bad and comes again within this time is counted instead of told again.
const QUIET: Duration = Duration::from_secs(30);

/// How an entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Good,
    Warning,
    Bad,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Duration,
    pub(crate) level: Level,
    pub(crate) text: String,
    /// How often.
    pub(crate) times: u32,
    /// What makes it the same as another one.
    kind: String,
}

impl Model {
    pub(super) fn tell(&mut self, level: Level, text: String) {
        let kind = text.clone();
        self.enter(level, kind, text);
    }

    /// A controller's own words. A warning that comes again is counted, whatever its details.
    pub(super) fn told(&mut self, nth: usize, reason: &str, text: &str, warning: bool) {
        let who = format!("{}: {reason}", replica_name(nth));
        let text = format!("{who}: {}", self.with_names(text));
        match warning {
            true => self.enter(Level::Warning, who, text),
            false => self.tell(Level::Info, text),
        }
    }

    /// A party's rejection of a key says what hundreds would say; the counters have the number.
    pub(super) fn rejected(&mut self, party: &str, key: &str, text: String) {
        self.enter(Level::Bad, format!("{party} rejects {key}"), text);
    }

    /// The lines since it was asked last.
    pub(crate) fn take_news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }

    pub(crate) fn stamped(&self, text: &str) -> String {
        format!("[{:7.1} s] {text}", self.elapsed.as_secs_f64())
    }

    fn enter(&mut self, level: Level, kind: String, text: String) {
        let at = self.elapsed;
        let bad = matches!(level, Level::Warning | Level::Bad);
        let same = |entry: &&mut Entry| entry.kind == kind && at.saturating_sub(entry.at) < QUIET;
        if bad && let Some(entry) = self.log.iter_mut().rev().find(same) {
            (entry.at, entry.times, entry.text) = (at, entry.times + 1, text);
            return;
        }
        let mark = match level {
            Level::Info | Level::Good => "",
            Level::Warning => "warning: ",
            Level::Bad => "alarm: ",
        };
        self.news.push(self.stamped(&format!("{mark}{text}")));
        self.log.push_back(Entry {
            at,
            level,
            text,
            times: 1,
            kind,
        });
        if self.log.len() > ENTRIES {
            self.log.pop_front();
        }
    }
}
