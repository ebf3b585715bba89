//! The rotation merger inside your own operator: feed it what your API servers serve, publish what it says.
//!
//! It does no IO, reads no clock and keeps nothing that is not in its state: when to poll, where to save and
//! how to publish stay yours. Here a control plane of two API servers rolls its key, one after the other.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::time::Duration;

use kubeassume_core::{
    Addressing, Answer, Headers, IssuerUrl, KeyRing, KeySet, Observation, OnStateLoss, Owner, Policy,
    Retention, State, Timestamp,
};

const OLD: &str = r#"{"kty":"EC","crv":"P-256","kid":"old","alg":"ES256","use":"sig","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}"#;
const NEW: &str = r#"{"kty":"EC","crv":"P-256","kid":"new","alg":"ES256","use":"sig","x":"fPJ7GI0DT36KUjgDBLUaw8CJaeJ38hs1pgtI_EdmmXg","y":"B3dVENuO0EApPZrGn3Qw27p9reY86YIpngS3nSJ4c9E"}"#;

/// What one cycle of your operator read from both API servers: whole responses, as bytes.
fn look(first: &str, second: &str) -> Result<Observation, Box<dyn Error>> {
    let answer = |keys: &str| -> Result<Answer, Box<dyn Error>> {
        let parsed = KeySet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes())?;
        // With `date`, the server's clock guards against a wrong one of your own.
        Ok(Answer::Read { parsed, date: None })
    };
    Ok(Observation {
        addressing: Addressing::Each,
        answers: [
            ("10.0.0.1".to_owned(), answer(first)?),
            ("10.0.0.2".to_owned(), answer(second)?),
        ]
        .into(),
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let issuer: IssuerUrl = "https://oidc.example.com/cluster1".parse()?;
    let policy = Policy {
        retention: Retention::new(Duration::from_secs(24 * 3600)),
        revoked: [].into(),
        on_state_loss: OnStateLoss::Keep,
    };
    // Draw the owner from your random source, once; afterwards load the state that you saved.
    let mut saved = serde_json::to_string(&State::new(
        Owner::from_random(7),
        Headers { max_age_seconds: 300 },
    ))?;

    let both = format!("{OLD},{NEW}");
    let hours = |n: i64| Timestamp::from_second(1_800_000_000 + n * 3600);
    for (hour, first, second, expected) in [
        (0, OLD, OLD, ["old"].as_slice()),
        (1, &both, OLD, &["new", "old"]), // the first server was restarted with both keys
        (2, NEW, NEW, &["new", "old"]),   // both sign with the new one: old tokens are still about
        (25, NEW, NEW, &["new", "old"]),  // 23 hours later
        (26, NEW, NEW, &["new"]),         // 24 hours after the old key was first absent everywhere
    ] {
        let now = hours(hour)?;
        let mut ring = KeyRing::new(serde_json::from_str(&saved)?, policy.clone());
        for event in ring.observe(&look(first, second)?, now)? {
            println!("hour {hour:2}: {event}");
        }
        let publication = ring.publication(&issuer, now)?;
        println!(
            "hour {hour:2}: {} bytes to publish, generation {}",
            publication.jwks.bytes.len(),
            publication.jwks.generation
        );
        assert_eq!(
            ring.publishable()?
                .iter()
                .map(kubeassume_core::Jwk::kid)
                .collect::<Vec<_>>(),
            expected
        );
        // Save the state by compare-and-swap before you publish: a lost race means to start the cycle again.
        saved = serde_json::to_string(ring.state())?;
    }
    Ok(())
}
