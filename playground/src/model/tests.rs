//! The model, by what it says and offers after events.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::event::Command;

const K1: KeyId = KeyId(0);
const K2: KeyId = KeyId(1);

/// A playground that has just begun: K1 is served, signs and is public.
pub(crate) fn begun() -> Model {
    let about = About {
        issuer: "https://localhost:20000/oidc/playground".to_owned(),
        bucket: "https://localhost:20000/oidc".to_owned(),
        overlap: Duration::from_secs(60),
        hold: Duration::from_secs(45),
        ca_file: PathBuf::from("/tmp/p/ca.pem"),
        kubeconfigs: ["/tmp/p/0", "/tmp/p/1"].map(PathBuf::from),
        servers: ["https://127.0.0.1:20001", "https://127.0.0.1:20002"].map(String::from),
        guide: PathBuf::from("/tmp/p/README"),
        commands: vec![". /tmp/p/env".to_owned(), "kubeassume status".to_owned()],
    };
    let mut model = Model::new(about, &["go-oidc", "go-oidc, no memory", "kubeassume verify"]);
    made(&mut model, K1, "RSA 2048");
    serve(&mut model, K1, &[K1]);
    public(&mut model, &[(K1, KeyState::Live)]);
    for nth in 0..REPLICAS {
        let standing = Standing::Verified;
        model.apply(Event::Replica { nth, standing });
    }
    model.apply(Event::Leader(Some(replica_name(0))));
    model
}

pub(crate) fn made(model: &mut Model, key: KeyId, kind: &'static str) {
    let kid = kid(key);
    model.apply(Event::Made { key, kid, kind });
}

pub(crate) fn kid(key: KeyId) -> String {
    format!(
        "{}-of-forty-three-characters-and-no-fewer",
        ["alpha", "bravo", "charlie"][key.0]
    )
}

pub(crate) fn serve(model: &mut Model, signs: KeyId, serves: &[KeyId]) {
    for nth in 0..SERVERS {
        let serves = serves.to_vec();
        model.apply(Event::Server {
            nth,
            serving: true,
            signs,
            serves,
        });
    }
}

/// These keys are in the state, and those that may be are public.
pub(crate) fn public(model: &mut Model, keys: &[(KeyId, KeyState)]) {
    let states: BTreeMap<_, _> = keys.iter().map(|(key, state)| (kid(*key), *state)).collect();
    let kids = keys.iter().filter(|(_, state)| *state != KeyState::Removed);
    let kids = kids.map(|(key, _)| kid(*key)).collect();
    model.apply(Event::State(states));
    model.apply(Event::Public(Some(kids)));
}

pub(crate) fn verdict(model: &mut Model, party: usize, key: KeyId, outcome: Outcome) {
    model.apply(Event::Verdict(Verdict {
        party,
        server: 1,
        kid: kid(key),
        age: 44,
        outcome,
    }));
}

#[test]
fn a_rotation_is_offered_step_by_step() {
    let mut model = begun();
    assert_eq!(model.command('s', None), Ok(Command::Stage));
    assert!(model.command('w', None).is_err(), "nothing waits to sign");
    assert!(model.command('d', None).is_err(), "nothing is replaced");
    assert!(model.hint().starts_with("s stages"), "{}", model.hint());

    made(&mut model, K2, "EC P-256");
    serve(&mut model, K1, &[K1, K2]);
    assert!(model.hint().contains("not public yet"), "{}", model.hint());
    public(&mut model, &[(K1, KeyState::Live), (K2, KeyState::Live)]);
    assert_eq!(model.command('w', None), Ok(Command::Switch(K2)));
    assert!(model.hint().contains("w lets it sign"), "{}", model.hint());
    assert!(model.command('d', None).is_err(), "the staged key is not offered");

    serve(&mut model, K2, &[K1, K2]);
    assert_eq!(model.command('d', None), Ok(Command::Drop(K1)));
    assert!(model.command('w', None).is_err(), "back to K1 only on demand");
    assert_eq!(model.command('w', Some(K1)), Ok(Command::Switch(K1)));

    serve(&mut model, K2, &[K2]);
    let retiring = KeyState::Retiring(Duration::from_secs(60));
    public(&mut model, &[(K1, retiring), (K2, KeyState::Live)]);
    assert!(model.hint().contains("still public"), "{}", model.hint());
    assert!(model.command('d', Some(K2)).is_err(), "the last key cannot go");
    assert!(model.command('w', Some(K1)).is_err(), "nobody serves it");
}

#[test]
fn a_mistake_is_allowed_and_named() {
    let mut model = begun();
    made(&mut model, K2, "EC P-256");
    serve(&mut model, K1, &[K1, K2]);
    model.choose(true);
    assert_eq!(model.command('d', None), Ok(Command::Drop(K1)));
    assert_eq!(model.offer('d')[0], "drop K1, which signs!");
    model.selected = None;
    serve(&mut model, K1, &[K2]);
    assert!(
        model.hint().contains("no API server serves it"),
        "{}",
        model.hint()
    );
    public(&mut model, &[(K1, KeyState::Removed), (K2, KeyState::Live)]);
    assert!(
        model.hint().contains("every new token is rejected"),
        "{}",
        model.hint()
    );
    assert_eq!(
        model.command('w', None),
        Ok(Command::Switch(K2)),
        "which mends it"
    );
}

#[test]
fn without_a_newer_key_the_served_one_mends_a_lost_signer() {
    let mut model = begun();
    made(&mut model, K2, "EC P-256");
    serve(&mut model, K2, &[K1]);
    assert_eq!(model.command('w', None), Ok(Command::Switch(K1)));
}

#[test]
fn the_time_left_counts_down_from_what_the_state_said() {
    let mut model = begun();
    model.apply(Event::Tick(Duration::from_secs(10)));
    public(&mut model, &[(K1, KeyState::Retiring(Duration::from_secs(60)))]);
    let ends = Duration::from_secs(70);
    assert_eq!(model.keys[0].state, Some(KeyState::Retiring(ends)));
}

#[test]
fn verdicts_are_counted_by_party_key_and_second() {
    let mut model = begun();
    verdict(&mut model, 0, K1, Outcome::Accepted);
    model.apply(Event::Tick(Duration::from_secs(2)));
    let _ = model.take_news();
    for _ in 0..3 {
        verdict(
            &mut model,
            0,
            K1,
            Outcome::Rejected(format!("no key {:?}", kid(K1))),
        );
    }
    verdict(&mut model, 1, K1, Outcome::Unreadable);

    let total = model.parties[0].total;
    assert_eq!((total.accepted, total.rejected, total.unreadable), (1, 3, 0));
    let seconds: Vec<u64> = model.parties[0]
        .seconds
        .iter()
        .map(|second| second.rejected)
        .collect();
    assert_eq!(seconds, [0, 0, 3]);
    assert_eq!((model.keys[0].accepted, model.keys[0].rejected), (1, 3));
    let entry = model.log.back().unwrap();
    assert_eq!((entry.level, entry.times), (Level::Bad, 3), "told once, counted");
    assert_eq!(
        entry.text,
        "go-oidc rejects a token 44 s old of K1 from api-1: no key K1"
    );
    assert_eq!(model.take_news().len(), 1);
    let line = model.verdicts();
    assert!(
        line.contains("go-oidc: 1 accepted, 3 rejected, 0 unreadable;"),
        "{line}"
    );
    assert!(
        line.contains("no memory: 0 accepted, 0 rejected, 1 unreadable;"),
        "{line}"
    );
}

#[test]
fn a_write_bears_the_name_of_the_controller_that_says_so() {
    let mut model = begun();
    let put = |status| Event::Put {
        document: "openid/v1/jwks".to_owned(),
        status,
    };
    model.apply(put(412));
    model.apply(put(412));
    model.apply(put(200));
    model.apply(Event::Wrote {
        nth: 1,
        documents: vec!["openid/v1/jwks".to_owned()],
    });
    let writes: Vec<_> = model
        .writes
        .iter()
        .map(|write| (write.status, write.times, write.by))
        .collect();
    assert_eq!(writes, [(412, 2, None), (200, 1, Some(1))]);
}

#[test]
fn what_controllers_say_names_keys_and_servers_as_the_screen_does() {
    let mut model = begun();
    let told = |text: String| Event::Told {
        nth: 0,
        reason: "EndpointFailed".to_owned(),
        text,
        warning: true,
    };
    model.apply(told("API server 127.0.0.1:20002 cannot be reached".to_owned()));
    model.apply(told(format!(
        "API server https://127.0.0.1:20001 serves {:?}",
        kid(K1)
    )));
    let entry = model.log.back().unwrap();
    assert_eq!(entry.text, "kubeassume-0: EndpointFailed: api-0 serves K1");
    assert_eq!(entry.times, 2, "the same warning, whatever its details");
}

#[test]
fn the_bucket_is_broken_and_mended_by_one_letter() {
    let mut model = begun();
    assert_eq!(model.command('b', None), Ok(Command::Bucket(Bucket::Down)));
    model.apply(Event::Bucket(Bucket::Down));
    assert_eq!(model.command('b', None), Ok(Command::Bucket(Bucket::Open)));
    assert_eq!(model.offer('b')[0], "mend bucket");
    model.apply(Event::Bucket(Bucket::ReadOnly));
    assert_eq!(model.command('r', None), Ok(Command::Bucket(Bucket::Open)));
}

#[test]
fn only_a_running_leader_can_be_killed() {
    let mut model = begun();
    assert_eq!(model.command('l', None), Ok(Command::KillLeader));
    let standing = Standing::Gone;
    model.apply(Event::Replica { nth: 0, standing });
    assert!(model.command('l', None).is_err(), "the Lease still names it");
    model.apply(Event::Leader(Some(replica_name(1))));
    assert_eq!(model.command('l', None), Ok(Command::KillLeader));
}
