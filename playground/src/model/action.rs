//! What a person can do now, and what would be worth doing.

use super::Model;
use crate::event::{Bucket, Command, KeyId, KeyState, Standing};

/// More keys than this would teach nothing and fill the screen.
const MAX_SERVED: usize = 5;

impl Model {
    /// What a letter orders now, for a key if one is named; else why it does nothing.
    pub(crate) fn command(&self, letter: char, target: Option<KeyId>) -> Result<Command, String> {
        match letter {
            's' => self.stage(),
            'w' => self.switch(target),
            'd' => self.drop_key(target),
            'l' => self.kill_leader(),
            'b' => Ok(Command::Bucket(match self.bucket {
                Bucket::Open | Bucket::ReadOnly => Bucket::Down,
                Bucket::Down => Bucket::Open,
            })),
            'r' => Ok(Command::Bucket(match self.bucket {
                Bucket::Open | Bucket::Down => Bucket::ReadOnly,
                Bucket::ReadOnly => Bucket::Open,
            })),
            other => Err(format!("{other:?} is no key of the playground: s w d l b r ? q")),
        }
    }

    /// What a letter would do now, in a few words, and in fewer.
    pub(crate) fn offer(&self, letter: char) -> [String; 2] {
        let [long, short] = match (letter, self.command(letter, None)) {
            ('s', _) => return ["stage ", "stage "].map(|word| format!("{word}K{}", self.keys.len() + 1)),
            ('w', Ok(Command::Switch(key))) => {
                return ["sign with ", "sign "].map(|word| format!("{word}{key}"));
            }
            ('d', Ok(Command::Drop(key))) if self.signers(key) > 0 => {
                return [format!("drop {key}, which signs!"), format!("drop {key}!")];
            }
            ('d', Ok(Command::Drop(key))) => return ["drop ", "drop "].map(|word| format!("{word}{key}")),
            ('w', _) => ["switch signer", "sign"],
            ('d', _) => ["drop a key", "drop"],
            ('l', _) => ["kill leader", "kill"],
            ('b', _) if self.bucket == Bucket::Down => ["mend bucket", "mend"],
            ('b', _) => ["break bucket", "break"],
            ('r', _) if self.bucket == Bucket::ReadOnly => ["allow writes", "allow"],
            ('r', _) => ["refuse writes", "refuse"],
            _ => ["", ""],
        };
        [long.to_owned(), short.to_owned()]
    }

    /// What to look at, or to do next.
    pub(crate) fn hint(&self) -> String {
        if let Some(busy) = &self.busy {
            return busy.clone();
        }
        match self.bucket {
            Bucket::Down => {
                return "the bucket is down: relying parties that remember keys go on; b mends it".to_owned();
            }
            Bucket::ReadOnly => {
                return "the bucket refuses writes: a key staged now cannot become public; r allows them"
                    .to_owned();
            }
            Bucket::Open => {}
        }
        let served = self.served();
        let lost = |key: &&super::Key| self.signers(key.id) > 0 && !served.contains(&key.id);
        if let Some(key) = self.keys.iter().find(lost) {
            return match key.state {
                Some(KeyState::Removed) => format!(
                    "{0} signs and is gone from the public: every new token is rejected; w lets another key sign",
                    key.id
                ),
                _ => format!(
                    "{0} signs and no API server serves it: once its time is over, all is rejected; w saves it",
                    key.id
                ),
            };
        }
        if let Ok(Command::Drop(key)) = self.drop_key(None) {
            return format!(
                "{key} signs nothing any more: d drops it, and it stays public for {} s",
                self.about.overlap.as_secs()
            );
        }
        if let Ok(Command::Switch(key)) = self.switch(None) {
            let public = self.key(key).is_some_and(|key| key.public);
            return match public {
                true => format!("{key} is public and signs nothing yet: w lets it sign"),
                false => format!("{key} is served, and not public yet: wait, or press w and see rejections"),
            };
        }
        if let Some(key) = self
            .keys
            .iter()
            .find(|key| matches!(key.state, Some(KeyState::Retiring(_))))
        {
            return format!(
                "{} is served nowhere and still public: tokens that it signed are accepted",
                key.id
            );
        }
        "s stages a new key: served by both API servers, signing nothing yet".to_owned()
    }

    fn stage(&self) -> Result<Command, String> {
        match self.served().len() {
            0..MAX_SERVED => Ok(Command::Stage),
            many => Err(format!("{many} keys are served: drop one first")),
        }
    }

    fn switch(&self, target: Option<KeyId>) -> Result<Command, String> {
        let served = self.served();
        let idle = |key: &KeyId| self.signers(*key) < self.servers.len();
        let newest = || {
            let signing = self.servers.iter().filter_map(|server| server.signs).max();
            let after = |key: &KeyId| signing.is_none_or(|signing| *key > signing) && idle(key);
            served.iter().copied().rfind(after)
        };
        // A signer that no API server serves must be replaced by any that is.
        let rescue = || {
            let lost = self
                .servers
                .iter()
                .any(|server| server.signs.is_some_and(|key| !served.contains(&key)));
            served.last().copied().filter(|_| lost)
        };
        match target.or(self.selected).or_else(newest).or_else(rescue) {
            None => Err("no served key waits to sign: stage one first (s)".to_owned()),
            Some(key) if !served.contains(&key) => Err(format!("no API server serves {key}")),
            Some(key) if !idle(&key) => Err(format!("{key} signs already")),
            Some(key) => Ok(Command::Switch(key)),
        }
    }

    fn drop_key(&self, target: Option<KeyId>) -> Result<Command, String> {
        let served = self.served();
        let replaced = || {
            let signing = self.servers.iter().filter_map(|server| server.signs).min()?;
            served
                .iter()
                .copied()
                .find(|key| *key < signing && self.signers(*key) == 0)
        };
        match target.or(self.selected).or_else(replaced) {
            None => Err("no key is replaced: choose one (↑ ↓, or `d K1`) to drop it all the same".to_owned()),
            Some(key) if !served.contains(&key) => Err(format!("no API server serves {key}")),
            Some(key) if served.len() == 1 => {
                Err(format!("{key} is the only key: an API server needs one to start"))
            }
            Some(key) => Ok(Command::Drop(key)),
        }
    }

    fn kill_leader(&self) -> Result<Command, String> {
        match (0..self.replicas.len()).any(|nth| self.leads(nth)) {
            true => Ok(Command::KillLeader),
            false if self.replicas.iter().all(|replica| *replica == Standing::Gone) => {
                Err("no controller runs; one comes back in a few seconds".to_owned())
            }
            false => Err("nobody leads at the moment".to_owned()),
        }
    }

    /// Chooses the next key, or the one before.
    pub(crate) fn choose(&mut self, down: bool) {
        let last = self.keys.len().saturating_sub(1);
        let next = match (self.selected, down) {
            (None, true) => 0,
            (None, false) => last,
            (Some(KeyId(at)), true) => (at + 1).min(last),
            (Some(KeyId(at)), false) => at.saturating_sub(1),
        };
        self.selected = (!self.keys.is_empty()).then_some(KeyId(next));
    }
}
