//! [`Model`]: what is known of the world. Fed by events; it does nothing itself and reads no clock.

mod action;
mod log;
mod tally;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(crate) use self::log::{Entry, Level};
pub(crate) use self::tally::{Party, Second};

use crate::event::{About, Bucket, Event, KeyId, KeyState, Outcome, REPLICAS, SERVERS, Standing, Verdict};

/// Characters of a kid that tell keys apart.
pub(crate) const SHORT_KID: usize = 12;
/// How many writes are remembered.
const WRITES: usize = 100;

/// Everything that is shown.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) about: About,
    pub(crate) elapsed: Duration,
    pub(crate) servers: [Server; SERVERS],
    pub(crate) replicas: [Standing; REPLICAS],
    pub(crate) leader: Option<String>,
    pub(crate) bucket: Bucket,
    pub(crate) keys: Vec<Key>,
    pub(crate) writes: VecDeque<Write>,
    pub(crate) parties: Vec<Party>,
    pub(crate) log: VecDeque<Entry>,
    pub(crate) busy: Option<String>,
    pub(crate) selected: Option<KeyId>,
    pub(crate) help: bool,
    /// Lines for those who see no screen.
    news: Vec<String>,
}

/// An API server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    pub(crate) serving: bool,
    /// Of what it was started with last.
    pub(crate) signs: Option<KeyId>,
    pub(crate) serves: Vec<KeyId>,
}

/// A key and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: KeyId,
    pub(crate) kid: String,
    pub(crate) kind: &'static str,
    /// What the controllers say, with the end of its retention counted from the start.
    pub(crate) state: Option<KeyState>,
    pub(crate) public: bool,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
}

/// A PUT of one of the two documents.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) at: Duration,
    pub(crate) document: String,
    pub(crate) status: u16,
    /// Who did it, once a controller has said so.
    pub(crate) by: Option<usize>,
    /// How often the same was tried in a row.
    pub(crate) times: u32,
}

/// How the playground calls its processes.
pub(crate) fn server_name(nth: usize) -> String {
    format!("api-{nth}")
}
pub(crate) fn replica_name(nth: usize) -> String {
    format!("kubeassume-{nth}")
}

impl Model {
    pub(crate) fn new(about: About, parties: &[&'static str]) -> Self {
        Self {
            about,
            elapsed: Duration::ZERO,
            servers: Default::default(),
            replicas: [Standing::Gone; REPLICAS],
            leader: None,
            bucket: Bucket::Open,
            keys: Vec::new(),
            writes: VecDeque::new(),
            parties: parties.iter().map(|name| Party::new(name)).collect(),
            log: VecDeque::new(),
            busy: None,
            selected: None,
            help: false,
            news: Vec::new(),
        }
    }

    /// Takes note of what happened.
    pub(crate) fn apply(&mut self, event: Event) {
        match event {
            Event::Tick(elapsed) => self.tick(elapsed),
            Event::Made { key, kid, kind } => self.made(key, kid, kind),
            Event::Server {
                nth,
                serving,
                signs,
                serves,
            } => self.server(nth, serving, signs, serves),
            Event::State(states) => self.state(&states),
            Event::Leader(leader) => self.led_by(leader),
            Event::Replica { nth, standing } => self.replica(nth, standing),
            Event::Bucket(bucket) => self.bucket_is(bucket),
            Event::Public(kids) => self.public(kids.as_deref()),
            Event::Put { document, status } => self.put(document, status),
            Event::Wrote { nth, documents } => self.wrote(nth, &documents),
            Event::Told {
                nth,
                reason,
                text,
                warning,
            } => self.told(nth, &reason, &text, warning),
            Event::Verdict(verdict) => self.verdict(&verdict),
            Event::Busy(busy) => self.busy = busy,
            Event::Remark { text, warning } => {
                self.tell(if warning { Level::Warning } else { Level::Info }, text);
            }
        }
    }

    /// Who holds the Lease, if that controller runs.
    pub(crate) fn leads(&self, nth: usize) -> bool {
        self.leader.as_deref() == Some(&replica_name(nth)) && self.replicas.get(nth) != Some(&Standing::Gone)
    }

    pub(crate) fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.get(id.0)
    }

    /// The keys that some API server serves, oldest first.
    pub(crate) fn served(&self) -> Vec<KeyId> {
        let ids = self.keys.iter().map(|key| key.id);
        ids.filter(|id| self.servers.iter().any(|server| server.serves.contains(id)))
            .collect()
    }

    /// On how many API servers a key signs.
    pub(crate) fn signers(&self, id: KeyId) -> usize {
        self.servers
            .iter()
            .filter(|server| server.signs == Some(id))
            .count()
    }

    fn tick(&mut self, elapsed: Duration) {
        let before = self.elapsed.as_secs() / SUMMARY;
        self.elapsed = elapsed;
        for party in &mut self.parties {
            party.advance(elapsed.as_secs());
        }
        if elapsed.as_secs() / SUMMARY > before {
            let verdicts = self.verdicts();
            self.news.push(self.stamped(&verdicts));
        }
    }

    fn made(&mut self, id: KeyId, kid: String, kind: &'static str) {
        let short: String = kid.chars().take(SHORT_KID).collect();
        self.tell(Level::Info, format!("{id} is a new {kind} key, kid {short}…"));
        self.keys.push(Key {
            id,
            kid,
            kind,
            state: None,
            public: false,
            accepted: 0,
            rejected: 0,
        });
    }

    fn server(&mut self, nth: usize, serving: bool, signs: KeyId, serves: Vec<KeyId>) {
        let name = server_name(nth);
        let text = match serving {
            true => format!("{name} serves {}, signs with {signs}", list(&serves)),
            false => format!("{name} restarts"),
        };
        let Some(server) = self.servers.get_mut(nth) else {
            return;
        };
        *server = Server {
            serving,
            signs: Some(signs),
            serves,
        };
        self.tell(Level::Info, text);
    }

    fn state(&mut self, states: &BTreeMap<String, KeyState>) {
        let now = self.elapsed;
        let mut changes = Vec::new();
        for key in &mut self.keys {
            let state = states.get(&key.kid).map(|state| match *state {
                KeyState::Retiring(left) => KeyState::Retiring(now + left),
                KeyState::Unconfirmed(left) => KeyState::Unconfirmed(now + left),
                other => other,
            });
            let name = |state: Option<KeyState>| state.map(KeyState::name);
            if let Some(state) = state.filter(|_| name(key.state) != name(state)) {
                changes.push(format!("{} is {}", key.id, state.name()));
            }
            key.state = state;
        }
        changes.into_iter().for_each(|text| self.tell(Level::Info, text));
    }

    fn led_by(&mut self, leader: Option<String>) {
        if leader == self.leader {
            return;
        }
        match &leader {
            Some(name) => self.tell(Level::Good, format!("{name} leads")),
            None => self.tell(Level::Warning, "nobody leads".to_owned()),
        }
        self.leader = leader;
    }

    fn replica(&mut self, nth: usize, standing: Standing) {
        let Some(known) = self.replicas.get_mut(nth) else {
            return;
        };
        let before = std::mem::replace(known, standing);
        let name = replica_name(nth);
        match (before, standing) {
            (before, now) if before == now => {}
            (_, Standing::Gone) => self.tell(Level::Bad, format!("{name} is gone")),
            (Standing::Gone, _) => self.tell(Level::Info, format!("{name} runs")),
            (_, Standing::Verified) => self.tell(Level::Good, format!("{name} verifies the public copy")),
            (_, Standing::Unverified) => {
                self.tell(Level::Warning, format!("{name} cannot verify the public copy"));
            }
        }
    }

    fn bucket_is(&mut self, bucket: Bucket) {
        let level = match bucket {
            Bucket::Open => Level::Good,
            Bucket::ReadOnly => Level::Warning,
            Bucket::Down => Level::Bad,
        };
        if self.bucket != bucket {
            self.tell(level, format!("the bucket is {bucket}"));
        }
        self.bucket = bucket;
    }

    fn public(&mut self, kids: Option<&[String]>) {
        // Nothing is known of what the public would see behind a server that does not answer.
        let Some(kids) = kids else { return };
        let mut changed = false;
        for key in &mut self.keys {
            let public = kids.contains(&key.kid);
            changed |= public != key.public;
            key.public = public;
        }
        if changed {
            let public: Vec<KeyId> = self
                .keys
                .iter()
                .filter(|key| key.public)
                .map(|key| key.id)
                .collect();
            self.tell(Level::Good, format!("public: {}", list(&public)));
        }
    }

    fn put(&mut self, document: String, status: u16) {
        let at = self.elapsed;
        let same = |write: &&mut Write| write.status == status && write.document == document && status != 200;
        if let Some(write) = self.writes.iter_mut().rev().take(2).find(same) {
            (write.at, write.times) = (at, write.times + 1);
            return;
        }
        self.news.push(self.stamped(&format!("PUT {document} {status}")));
        self.writes.push_back(Write {
            at,
            document,
            status,
            by: None,
            times: 1,
        });
        if self.writes.len() > WRITES {
            self.writes.pop_front();
        }
    }

    /// The S3 server's log does not name the client, so the controllers' own word is put beside it.
    fn wrote(&mut self, nth: usize, documents: &[String]) {
        for document in documents {
            let open =
                |write: &&mut Write| write.by.is_none() && write.status == 200 && write.document == *document;
            if let Some(write) = self.writes.iter_mut().find(open) {
                write.by = Some(nth);
            }
        }
        let text = format!("{} wrote {}", replica_name(nth), documents.join(" and "));
        self.tell(Level::Info, text);
    }

    fn verdict(&mut self, verdict: &Verdict) {
        let key = self.keys.iter_mut().find(|key| key.kid == verdict.kid);
        let name = match key {
            Some(key) => {
                match verdict.outcome {
                    Outcome::Accepted => key.accepted += 1,
                    Outcome::Rejected(_) => key.rejected += 1,
                    Outcome::Unreadable => {}
                }
                key.id.to_string()
            }
            None => verdict.kid.clone(),
        };
        let Some(party) = self.parties.get_mut(verdict.party) else {
            return;
        };
        party.count(self.elapsed.as_secs(), &verdict.outcome);
        if let Outcome::Rejected(why) = &verdict.outcome {
            let age = match verdict.age {
                0..=2 => "a new token".to_owned(),
                age => format!("a token {age} s old"),
            };
            let said = format!(
                "{} rejects {age} of {name} from {}: ",
                party.name,
                server_name(verdict.server)
            );
            let (party, why) = (party.name, self.with_names(why));
            self.rejected(party, &name, said + &why);
        }
    }

    /// Our names instead of kids and addresses.
    fn with_names(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for key in &self.keys {
            let name = key.id.to_string();
            text = text
                .replace(&format!("\"{}\"", key.kid), &name)
                .replace(&key.kid, &name);
        }
        for (nth, url) in self.about.servers.iter().enumerate() {
            let address = url.trim_start_matches("https://");
            for form in [url.as_str(), address] {
                text = text.replace(form, &server_name(nth));
            }
            text = text.replace(&format!("API server {}", server_name(nth)), &server_name(nth));
        }
        text.replace(&self.about.issuer, "ISSUER")
    }
}

/// How often those who see no screen are told the verdicts, in seconds.
const SUMMARY: u64 = 5;

fn list(keys: &[KeyId]) -> String {
    if keys.is_empty() {
        return "nothing".to_owned();
    }
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(crate) mod tests;
