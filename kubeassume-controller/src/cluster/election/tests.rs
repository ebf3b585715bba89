use super::*;

const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(15),
    renew_deadline: Duration::from_secs(10),
    retry_period: Duration::from_secs(2),
};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn record(holder: Option<&str>, version: u64) -> Record {
    Record {
        holder: holder.map(str::to_owned),
        lease_duration: TIMING.lease_duration,
        transitions: 3,
        version: version.to_string(),
    }
}

fn replace(version: u64, transitions: i32, renewal: bool) -> Attempt {
    Attempt::Replace {
        version: version.to_string(),
        transitions,
        renewal,
    }
}

#[test]
fn a_lease_that_is_not_there_is_created() {
    let mut a = Election::new("a", TIMING);
    assert_eq!(a.renewal(), None);
    assert_eq!(a.read(None, at(0)), Attempt::Create);
    assert!(!a.is_leading(at(0)));
    a.wrote(record(Some("a"), 1), at(0));
    assert!(a.is_leading(at(9)));
    assert_eq!(a.renewal(), Some(replace(1, 3, true)));
}

#[test]
fn a_lease_that_was_given_up_is_taken_at_once() {
    let mut b = Election::new("b", TIMING);
    assert_eq!(b.read(Some(record(None, 5)), at(0)), replace(5, 4, false));
}

#[test]
fn another_holder_is_waited_for_since_the_last_change_that_was_seen() {
    let mut b = Election::new("b", TIMING);
    assert_eq!(b.read(Some(record(Some("a"), 1)), at(100)), Attempt::Wait);
    assert_eq!(b.read(Some(record(Some("a"), 1)), at(114)), Attempt::Wait);
    // Renewed: the wait begins anew.
    assert_eq!(b.read(Some(record(Some("a"), 2)), at(114)), Attempt::Wait);
    assert_eq!(b.read(Some(record(Some("a"), 2)), at(128)), Attempt::Wait);
    assert_eq!(b.read(Some(record(Some("a"), 2)), at(129)), replace(2, 4, false));
}

#[test]
fn the_wait_is_as_long_as_the_holder_asked_for() {
    let mut b = Election::new("b", TIMING);
    let patient = Record {
        lease_duration: at(60),
        ..record(Some("a"), 1)
    };
    assert_eq!(b.read(Some(patient.clone()), at(0)), Attempt::Wait);
    assert_eq!(b.read(Some(patient.clone()), at(59)), Attempt::Wait);
    assert_eq!(b.read(Some(patient), at(60)), replace(1, 4, false));
}

#[test]
fn a_holder_that_cannot_renew_ceases_to_lead_before_others_begin() {
    let mut a = Election::new("a", TIMING);
    a.read(None, at(0));
    a.wrote(record(Some("a"), 1), at(0));
    for second in 1..10 {
        a.failed();
        assert!(a.is_leading(at(second)), "at {second} s");
        assert_eq!(
            a.renewal(),
            None,
            "an unknown outcome is read before it is written over"
        );
    }
    assert!(!a.is_leading(at(10)));
    // It still is the holder: when the API is back and nobody took over, it goes on.
    assert_eq!(a.read(Some(record(Some("a"), 1)), at(12)), replace(1, 3, true));
    assert!(!a.is_leading(at(12)), "reading is not renewing");
    a.wrote(record(Some("a"), 2), at(12));
    assert!(a.is_leading(at(13)));
}

#[test]
fn a_renewal_counts_from_its_beginning() {
    let mut a = Election::new("a", TIMING);
    a.read(None, at(0));
    a.wrote(record(Some("a"), 1), at(0));
    // Begun at 1 s, answered at 6 s.
    a.wrote(record(Some("a"), 2), at(1));
    assert!(a.is_leading(at(10)));
    assert!(!a.is_leading(at(11)));
}

#[test]
fn a_write_whose_answer_was_lost_is_found_by_reading() {
    let mut a = Election::new("a", TIMING);
    a.read(None, at(0));
    a.wrote(record(Some("a"), 1), at(0));
    a.failed();
    assert_eq!(a.read(Some(record(Some("a"), 2)), at(2)), replace(2, 3, true));
    assert!(
        a.is_leading(at(2)),
        "it is still the holder, by its earlier write"
    );
}

#[test]
fn a_holder_that_was_overtaken_ceases_to_lead_when_it_sees_that() {
    let mut a = Election::new("a", TIMING);
    a.read(None, at(0));
    a.wrote(record(Some("a"), 1), at(0));
    a.failed();
    assert_eq!(a.read(Some(record(Some("b"), 2)), at(2)), Attempt::Wait);
    assert!(!a.is_leading(at(2)));
    assert!(!a.is_holder());
}

#[test]
fn a_deleted_lease_ends_the_term_and_is_created_anew() {
    let mut a = Election::new("a", TIMING);
    a.read(None, at(0));
    a.wrote(record(Some("a"), 1), at(0));
    a.failed();
    assert_eq!(a.read(None, at(2)), Attempt::Create);
    assert!(!a.is_leading(at(2)));
}

#[test]
fn a_process_that_starts_again_under_its_name_goes_on() {
    let mut a = Election::new("a", TIMING);
    assert_eq!(a.read(Some(record(Some("a"), 7)), at(0)), replace(7, 3, true));
    assert!(!a.is_leading(at(0)), "not before it wrote");
}

/// An API server that sometimes does not answer, and two candidates whose clocks differ by an hour.
struct Bed {
    stored: Option<Record>,
    writes: u64,
    random: u64,
}

impl Bed {
    fn one_in(&mut self, n: u64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.is_multiple_of(n)
    }

    /// One try of a candidate, as the loop around it does it. Requests are lost on their way there or back.
    fn attempt(&mut self, who: &mut Election, now: Duration, reachable: bool) {
        let attempt = match who.renewal() {
            Some(attempt) => attempt,
            None if !reachable || self.one_in(10) => return who.failed(),
            None => who.read(self.stored.clone(), now),
        };
        if !reachable || self.one_in(10) {
            return who.failed();
        }
        let (expected, transitions) = match attempt {
            Attempt::Wait => return,
            Attempt::Create => (None, 0),
            Attempt::Replace {
                version, transitions, ..
            } => (Some(version), transitions),
        };
        if self.stored.as_ref().map(|stored| stored.version.clone()) != expected {
            return who.failed();
        }
        self.writes += 1;
        let record = Record {
            holder: Some(who.identity.clone()),
            lease_duration: TIMING.lease_duration,
            transitions,
            version: self.writes.to_string(),
        };
        self.stored = Some(record.clone());
        if self.one_in(10) {
            return who.failed();
        }
        who.wrote(record, now);
    }
}

#[test]
fn two_candidates_never_lead_at_once_and_one_leads_again_after_every_outage() {
    let mut all_changes = 0;
    for seed in 1..=200 {
        let mut bed = Bed {
            stored: None,
            writes: 0,
            random: seed,
        };
        let mut candidates = [Election::new("a", TIMING), Election::new("b", TIMING)];
        let skew = [Duration::ZERO, Duration::from_secs(3600)];
        let mut outage = [0u64; 2];
        let (mut led, mut changes, mut last) = (0, 0, None);
        for tenth in 0..6000u64 {
            let moment = Duration::from_millis(tenth * 100);
            for (nth, who) in candidates.iter_mut().enumerate() {
                outage[nth] = outage[nth].saturating_sub(1);
                if bed.one_in(500) {
                    outage[nth] = 400;
                }
                // Every two seconds, each at its own time.
                if (tenth + 7 * nth as u64).is_multiple_of(20) {
                    bed.attempt(who, moment + skew[nth], outage[nth] == 0);
                }
            }
            let leading: Vec<usize> = (0..2)
                .filter(|nth| candidates[*nth].is_leading(moment + skew[*nth]))
                .collect();
            assert!(leading.len() < 2, "seed {seed}: two leaders after {moment:?}");
            if let Some(leader) = leading.first() {
                led += 1;
                changes += usize::from(last.replace(*leader) != Some(*leader));
            }
        }
        assert!(
            led > 600,
            "seed {seed}: led only for {led} of 6000 tenths of a second"
        );
        all_changes += changes;
    }
    assert!(all_changes > 500, "it hardly ever changed hands: {all_changes}");
}
