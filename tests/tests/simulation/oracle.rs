//! The oracle: computes from the world's own history what may be public, and judges every write.
//!
//! It shares no code with the product and reads documents as plain JSON. Where the world's history leaves
//! room (an answer that was read but perhaps not used), it takes the reading that accuses nobody.

use std::collections::{BTreeMap, BTreeSet};

use super::keys;
use super::world::{Counts, DIGEST, DISCOVERY, GENERATION, ISSUER, JWKS, Life, Ms, OWNER, Object, jwks_kids};

/// An API server's `Date` has whole seconds.
const DATE_MS: Ms = 1000;

pub struct Oracle {
    pub violations: Vec<String>,
    pub retention: Ms,
    /// Two periods and one lease duration, and what requests take.
    pub window: Ms,
    pub period: Ms,
    pub renew: Ms,
    /// Since when nothing is broken; `None` while something is.
    pub calm_since: Option<Ms>,
    pub jwks_touched_by_hand: Option<Ms>,
    /// A-B-A is possible: versions are digests of contents.
    pub content_versions: bool,
    /// Whether all that was public was revoked.
    may_be_empty: bool,
    keys: Vec<Key>,
    /// What each replica saw last in its present term, and when.
    looking: BTreeMap<Life, (Ms, BTreeSet<usize>)>,
    generations: BTreeMap<&'static str, u64>,
    /// Documents whose highest generation perhaps only the sink still knows.
    generation_lost: BTreeSet<&'static str>,
    unconfirmed: BTreeSet<String>,
    /// Excused wrong writes, which must be put right within a period.
    to_heal: BTreeMap<&'static str, (Ms, String)>,
}

/// What the world's history says of one key.
#[derive(Debug, Clone, Default)]
struct Key {
    served_since: Option<Ms>,
    ever_served: bool,
    /// Since when it was observed absent everywhere, in cycles that read everything.
    absent_since: Option<Ms>,
    last_seen_absent: Ms,
    /// A stored state left it out when that was allowed.
    dropped: bool,
    /// Whether our last writes have it.
    published: bool,
    /// All who knew of it are gone: it may leave at any time.
    excused: bool,
    revoked_since: Option<Ms>,
    revocation_everywhere_since: Option<Ms>,
    revocation_saved: bool,
    revocation_public: bool,
}

/// What a replica saw in one cycle.
#[derive(Debug)]
pub struct Look {
    pub seen: BTreeSet<usize>,
    /// Whether every server answered.
    pub complete: bool,
    /// Whether one of the clocks that it was told is right.
    pub right_clock: bool,
    /// When the last answer was given.
    pub latest: Ms,
}

/// A write of ours, after its effect.
pub struct Write<'a> {
    pub life: Life,
    pub path: &'static str,
    pub object: &'a Object,
    pub jwks: Option<&'a Object>,
    /// What was there before.
    pub replaced: Option<&'a Object>,
    /// When the writer last looked at or wrote the key set, before this.
    pub looked_at_jwks: Ms,
    pub jwks_gone_at: Option<Ms>,
}

impl Oracle {
    pub fn new(retention: Ms, period: Ms, lease: Ms, renew: Ms, content_versions: bool) -> Self {
        Self {
            violations: Vec::new(),
            retention,
            window: 2 * period + lease + 3000,
            period,
            renew,
            calm_since: None,
            jwks_touched_by_hand: None,
            content_versions,
            may_be_empty: false,
            keys: vec![Key::default(); keys::OWN],
            looking: BTreeMap::new(),
            generations: BTreeMap::new(),
            generation_lost: BTreeSet::new(),
            unconfirmed: BTreeSet::new(),
            to_heal: BTreeMap::new(),
        }
    }

    fn accuse(&mut self, now: Ms, what: &str) {
        self.violations
            .push(format!("at {:.3} s: {what}", now as f64 / 1000.0));
    }

    // What the world tells.

    pub fn served(&mut self, now: Ms, served: &BTreeSet<usize>) {
        for (nth, key) in self.keys.iter_mut().enumerate() {
            match (served.contains(&nth), key.served_since) {
                (true, None) => {
                    key.served_since = Some(now);
                    key.ever_served = true;
                }
                (false, Some(_)) => key.served_since = None,
                _ => {}
            }
        }
    }

    /// A replica begins a cycle, or a term.
    pub fn looks(&mut self, life: Life) {
        self.looking.remove(&life);
    }

    /// A replica was handed an observation. `stored` is what the stored state says of each key now.
    pub fn observed(&mut self, now: Ms, life: Life, look: &Look, stored: &BTreeMap<usize, String>) {
        self.looking.insert(life, (now, look.seen.clone()));
        if !look.right_clock {
            // Nothing is promised for marks that such a cycle touches.
            for key in self.keys.iter_mut().filter(|key| key.absent_since.is_some()) {
                key.excused = true;
            }
        }
        for (nth, key) in self.keys.iter_mut().enumerate() {
            if look.seen.contains(&nth) {
                // If the state has it as live there is nothing to save: the absence is over.
                if stored.get(&nth).is_some_and(|state| state == "live") {
                    key.is_back();
                }
            } else if look.complete {
                key.absent_since
                    .get_or_insert(look.latest.saturating_sub(DATE_MS));
                key.last_seen_absent = now;
            }
        }
    }

    /// A state was stored by a replica: what it saw in its last cycle is known from now on, unless this is a
    /// repair, which says nothing of it.
    pub fn saved(&mut self, now: Ms, life: Life, kids: &[String], states: &BTreeMap<usize, String>) {
        // An older observation is thrown away: this is another save, a fence or a repair.
        if let Some((_, seen)) = self
            .looking
            .get(&life)
            .cloned()
            .filter(|(at, _)| at + self.renew >= now)
        {
            for nth in seen
                .into_iter()
                .filter(|nth| states.get(nth).is_some_and(|state| state == "live"))
            {
                self.keys[nth].is_back();
            }
        }
        let retention = self.retention;
        for (nth, key) in self.keys.iter_mut().enumerate() {
            if !kids.contains(&keys::kid(nth)) && key.may_leave(now, retention) {
                key.dropped = true;
            }
            if states.get(&nth).is_some_and(|state| state == "revoked") {
                key.revocation_saved = true;
            }
        }
    }

    pub fn revoked(&mut self, now: Ms, nth: usize, everywhere: bool) {
        let key = &mut self.keys[nth];
        key.revoked_since.get_or_insert(now);
        if everywhere {
            key.revocation_everywhere_since.get_or_insert(now);
        }
    }

    /// Nobody who can speak remembers some state any more. `policies`: what each living replica revokes.
    pub fn lost(&mut self, policies: &[BTreeSet<usize>]) {
        for (nth, key) in self.keys.iter_mut().enumerate() {
            key.excused = true;
            if !policies.iter().all(|revoked| revoked.contains(&nth)) {
                key.revocation_public = false;
                key.revocation_saved = false;
            }
        }
        self.generation_lost = [JWKS, DISCOVERY].into();
    }

    pub fn may_be_unconfirmed(&mut self, kids: &[String]) {
        self.unconfirmed.extend(kids.iter().cloned());
    }

    // Judging.

    pub fn written(&mut self, now: Ms, write: &Write<'_>, counts: &mut Counts) {
        let mut wrong = Vec::new();
        self.judge_generation(write, &mut wrong);
        if write.path == JWKS {
            self.judge_keys(now, write, counts, &mut wrong);
        }
        self.judge_torn(write);
        let excusable = self.content_versions || write.replaced.is_none();
        if wrong.is_empty() {
            self.to_heal.remove(write.path);
        } else if excusable {
            counts.excused += 1;
            self.to_heal.insert(write.path, (now, wrong.join("; ")));
        } else {
            self.accuse(
                now,
                &format!("{:?} wrote {}: {}", write.life, write.path, wrong.join("; ")),
            );
        }
    }

    /// I4.
    fn judge_generation(&mut self, write: &Write<'_>, wrong: &mut Vec<String>) {
        let metadata = &write.object.metadata;
        let generation = metadata.get(GENERATION).and_then(|text| text.parse::<u64>().ok());
        let Some(generation) =
            generation.filter(|_| metadata.contains_key(DIGEST) && metadata.contains_key(OWNER))
        else {
            wrong.push("no generation, digest or owner".to_owned());
            return;
        };
        let highest = self.generations.entry(write.path).or_default();
        let replaced = write
            .replaced
            .and_then(|object| object.metadata.get(GENERATION)?.parse().ok());
        let forgotten = self.generation_lost.remove(write.path) && replaced != Some(*highest);
        if generation < *highest && !forgotten {
            wrong.push(format!("I4: generation {generation} after {highest}"));
        } else {
            *highest = generation;
        }
    }

    /// I2, I3 and I8.
    fn judge_keys(&mut self, now: Ms, write: &Write<'_>, counts: &mut Counts, wrong: &mut Vec<String>) {
        let Some(kids) = jwks_kids(&write.object.bytes) else {
            wrong.push("I5: not a key set".to_owned());
            return;
        };
        if kids.iter().collect::<BTreeSet<_>>().len() != kids.len() {
            wrong.push(format!("two keys have one kid: {kids:?}"));
        }
        for kid in &kids {
            let ours = keys::by_kid(kid).and_then(|nth| self.keys.get(nth));
            if !ours.is_some_and(|key| key.ever_served) && !self.unconfirmed.contains(kid) {
                wrong.push(format!("I3: {kid} is foreign"));
            }
        }
        // Only a revocation may leave nothing: of all that was public.
        if kids.is_empty() {
            let mut public = self.keys.iter().filter(|key| key.published).peekable();
            self.may_be_empty |=
                public.peek().is_some() && public.all(|key| key.may_leave(now, self.retention));
            let mut served = self.keys.iter().filter(|key| key.served_since.is_some());
            self.may_be_empty |= served.all(|key| key.revoked_since.is_some());
            if !self.may_be_empty {
                wrong.push("I5: an empty key set".to_owned());
            }
        } else {
            self.may_be_empty = false;
        }
        let retention = self.retention;
        for (nth, key) in self.keys.iter_mut().enumerate() {
            let public = kids.contains(&keys::kid(nth));
            if public {
                if key.revocation_public {
                    wrong.push(format!("I8: {} was revoked and is back", keys::kid(nth)));
                }
                key.published = true;
                key.dropped = false;
                continue;
            }
            if key.published && !key.dropped && !key.may_leave(now, retention) {
                wrong.push(format!("I2: {} left early: {key:?}", keys::kid(nth)));
                continue;
            }
            counts.removals += u32::from(key.published);
            key.published = false;
            if key.revocation_saved {
                key.revocation_public = true;
            }
        }
    }

    /// I5.
    fn judge_torn(&mut self, write: &Write<'_>) {
        if write.path != DISCOVERY {
            return;
        }
        let now = write.object.at;
        let json: serde_json::Value = serde_json::from_slice(&write.object.bytes).unwrap_or_default();
        if json["issuer"] != ISSUER || json["jwks_uri"] != format!("{ISSUER}/{JWKS}") {
            self.accuse(
                now,
                &format!("I5: discovery names {} and {}", json["issuer"], json["jwks_uri"]),
            );
        }
        // A hand that came after the writer looked is not the writer's fault.
        if write
            .jwks_gone_at
            .is_some_and(|gone| gone >= write.looked_at_jwks)
        {
            return;
        }
        let kids = write.jwks.and_then(|jwks| jwks_kids(&jwks.bytes));
        match kids {
            Some(kids) if !kids.is_empty() || self.may_be_empty => {}
            other => self.accuse(
                now,
                &format!("I5: {:?} wrote discovery over key set {other:?}", write.life),
            ),
        }
    }

    /// I1, I8 and what was excused, while nothing is broken.
    pub fn sample(
        &mut self,
        now: Ms,
        sink: Option<&Object>,
        stored: Option<&BTreeMap<usize, String>>,
        counts: &mut Counts,
    ) {
        let Some(calm) = self.calm_since else { return };
        if let Some((path, (at, what))) = self
            .to_heal
            .iter()
            .find(|(_, (at, _))| (*at).max(calm) + self.period + 3000 <= now)
        {
            let what = format!("{path} was written wrongly at {at} ms and nobody put it right: {what}");
            self.accuse(now, &what);
        }
        let settled = |since: Ms| since.max(calm) + self.window <= now;
        if !settled(calm) {
            return;
        }
        counts.samples += 1;
        let kids = sink
            .and_then(|object| jwks_kids(&object.bytes))
            .unwrap_or_default();
        let mut wrong = Vec::new();
        for (nth, key) in self.keys.iter().enumerate() {
            let public = kids.contains(&keys::kid(nth));
            if !public && key.revoked_since.is_none() && key.served_since.is_some_and(settled) {
                wrong.push(format!(
                    "I1: {} is served and not public: {kids:?}",
                    keys::kid(nth)
                ));
            }
            let state = stored
                .and_then(|stored| stored.get(&nth))
                .map_or("", String::as_str);
            if key.served_since.is_some_and(settled) && state == "retiring" {
                wrong.push(format!("I2: {} is served and its retention runs", keys::kid(nth)));
            }
            if public && key.revocation_everywhere_since.is_some_and(settled) {
                wrong.push(format!("I8: {} is revoked and public", keys::kid(nth)));
            }
        }
        for what in wrong {
            self.accuse(now, &what);
        }
    }

    /// What must be public when all retentions are over.
    pub fn settled(&self) -> BTreeSet<String> {
        let stays = |(nth, key): (usize, &Key)| {
            (key.served_since.is_some() && key.revoked_since.is_none()).then(|| keys::kid(nth))
        };
        self.keys.iter().enumerate().filter_map(stays).collect()
    }
}

impl Key {
    fn is_back(&mut self) {
        self.absent_since = None;
        self.excused = false;
    }

    fn may_leave(&self, now: Ms, retention: Ms) -> bool {
        let over = |since: Ms| {
            let end = since + retention;
            end <= now && end <= self.last_seen_absent
        };
        self.excused || self.revoked_since.is_some() || self.absent_since.is_some_and(over)
    }
}
