//! Pods that get a token every second from each API server and use it for a while, and the relying parties
//! that judge the tokens: go-oidc with and without memory, and our own verification.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use kubeassume_core::clock::SystemClock;
use kubeassume_core::http::HttpReader;
use kubeassume_core::verify::{CachePolicy, DiscoveryFailure, JwksFailure, Verifier, VerifyError};
use kubeassume_tests::{ApiServer, RelyingParty, Testbed, token_kid};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use super::{AUDIENCE, Tell};
use crate::event::{Event, Outcome, Verdict};

/// The names of the relying parties, in their order.
pub(crate) const PARTIES: [&str; 3] = ["go-oidc", "go-oidc, no memory", "kubeassume verify"];
/// The pods' namespace and ServiceAccount.
pub(super) const POD: (&str, &str) = ("pods", "app");

/// How often each API server is asked for a token.
const EVERY: Duration = Duration::from_secs(1);
/// A request that the server's end cut off must not be waited for when it is back.
const PATIENCE: Duration = Duration::from_secs(1);
/// Tokens that a party may fall behind; it then goes on with the newest.
const QUEUE: usize = 16;
/// The library's default is made for years of service; here a staged key signs seconds later.
const REFETCH: Duration = Duration::from_secs(1);

struct Token {
    text: String,
    kid: String,
    server: usize,
    minted: Instant,
}

pub(super) enum Party {
    Library(RelyingParty),
    Ours(Verifier),
}

/// Creates the pods' ServiceAccount.
pub(super) async fn create(server: &ApiServer) {
    server.service_account(POD.0, POD.1).await;
}

/// Starts the relying parties; the documents must be public.
pub(super) async fn parties(bed: &Testbed, issuer: &str) -> [Party; PARTIES.len()] {
    let (remembering, fresh) = tokio::join!(
        bed.relying_party(issuer, AUDIENCE),
        bed.fresh_relying_party(issuer, AUDIENCE)
    );
    let reader = HttpReader::new(Some(bed.pki().ca_pem().as_bytes())).expect("an HTTPS client");
    let issuer = issuer.parse().expect("our own issuer is valid");
    let policy = CachePolicy {
        min_refetch: REFETCH,
        ..CachePolicy::default()
    };
    let verifier = Verifier::new(issuer, AUDIENCE, Arc::new(reader), Arc::new(SystemClock::new()));
    [
        Party::Library(remembering),
        Party::Library(fresh),
        Party::Ours(verifier.with_cache_policy(policy)),
    ]
}

/// Spawns everybody.
pub(super) fn run(
    tasks: &mut JoinSet<()>,
    servers: &[ApiServer],
    parties: [Party; PARTIES.len()],
    hold: Duration,
    readable: &watch::Receiver<bool>,
    tell: &Tell,
) {
    let (tokens, _) = broadcast::channel(QUEUE);
    for (nth, party) in parties.into_iter().enumerate() {
        tasks.spawn_local(judge(
            nth,
            party,
            tokens.subscribe(),
            readable.clone(),
            tell.clone(),
        ));
    }
    for (nth, server) in servers.iter().enumerate() {
        tasks.spawn_local(mint(nth, server.client(), hold, tokens.clone()));
    }
}

/// A new token each time, and the oldest that a pod still uses.
async fn mint(server: usize, client: Client, hold: Duration, tokens: broadcast::Sender<Arc<Token>>) {
    let mut clock = tokio::time::interval(EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut held: VecDeque<Arc<Token>> = VecDeque::new();
    loop {
        clock.tick().await;
        held.retain(|token| token.minted.elapsed() < hold);
        // Nobody listens when all judges are gone, which ends the playground anyhow.
        if let Some(oldest) = held.front() {
            let _ = tokens.send(oldest.clone());
        }
        let minted = Instant::now();
        // A server that restarts gives no token.
        if let Ok(Ok(text)) = tokio::time::timeout(PATIENCE, token(&client)).await {
            let token = Arc::new(Token {
                kid: token_kid(&text),
                text,
                server,
                minted,
            });
            held.push_back(token.clone());
            let _ = tokens.send(token);
        }
    }
}

async fn token(client: &Client) -> Result<String, kube::Error> {
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: Some(vec![AUDIENCE.to_owned()]),
            expiration_seconds: Some(600),
            ..TokenRequestSpec::default()
        }
        .into(),
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), POD.0);
    let answer = accounts
        .create_token_request(POD.1, &PostParams::default(), &request)
        .await?;
    Ok(answer
        .status
        .and_then(|status| status.token)
        .expect("a TokenRequest is answered with a token"))
}

async fn judge(
    nth: usize,
    mut party: Party,
    mut tokens: broadcast::Receiver<Arc<Token>>,
    readable: watch::Receiver<bool>,
    tell: Tell,
) {
    loop {
        let token = match tokens.recv().await {
            Ok(token) => token,
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        let mut bucket = readable.clone();
        let before = *bucket.borrow_and_update();
        let outcome = party.verify(&token.text).await;
        // Broken before, or at any moment since.
        let broken = !before || bucket.has_changed().unwrap_or(true) || !*bucket.borrow();
        let outcome = match outcome {
            Outcome::Rejected(_) if broken => Outcome::Unreadable,
            outcome => outcome,
        };
        tell.event(Event::Verdict(Verdict {
            party: nth,
            server: token.server,
            kid: token.kid.clone(),
            age: token.minted.elapsed().as_secs(),
            outcome,
        }));
    }
}

impl Party {
    async fn verify(&mut self, token: &str) -> Outcome {
        match self {
            Self::Library(library) => match library.verify(token).await {
                verdict if verdict.ok => Outcome::Accepted,
                verdict => Outcome::Rejected(verdict.error),
            },
            Self::Ours(verifier) => match verifier.verify(token).await {
                Ok(_) => Outcome::Accepted,
                // It remembers a failure for a second, which may be after the bucket is back.
                Err(
                    VerifyError::Discovery {
                        reason: DiscoveryFailure::Unreadable(_),
                        ..
                    }
                    | VerifyError::Jwks {
                        reason: JwksFailure::Unreadable(_),
                        ..
                    },
                ) => Outcome::Unreadable,
                Err(error) => Outcome::Rejected(error.to_string()),
            },
        }
    }
}
