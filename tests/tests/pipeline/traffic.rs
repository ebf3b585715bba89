//! Pods that get a token every 100 ms and use their tokens for as long as these live, against relying
//! parties that share no code with the product.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use kubeassume_tests::{ApiServer, RelyingParty, Verdict, token_kid};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use crate::book::Book;

/// The audience of the pods' tokens.
pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";
/// The pods' namespace and ServiceAccount.
pub(crate) const POD: (&str, &str) = ("pods", "app");
/// How the token names them.
pub(crate) const SUBJECT: &str = "system:serviceaccount:pods:app";

/// How often a token is minted, by all API servers together.
const EVERY: Duration = Duration::from_millis(100);
/// Tokens that a party may fall behind; it then goes on with the newest.
const QUEUE: usize = 64;

/// Somebody who accepts or refuses tokens.
pub(crate) enum Party {
    /// go-oidc, which either remembers keys or discovers for every token.
    Library(Box<RelyingParty>),
    /// Another cluster's API server.
    Cluster(Box<ApiServer>),
}

impl Party {
    /// What it makes of a token.
    pub(crate) async fn verify(&mut self, token: &str) -> Verdict {
        match self {
            Self::Library(library) => library.verify(token).await,
            Self::Cluster(cluster) => {
                let (ok, sub, error) = match cluster.who_is(token).await {
                    Ok(user) => (true, user.trim_start_matches("remote:").to_owned(), String::new()),
                    Err(status) => (false, String::new(), format!("HTTP {status}")),
                };
                Verdict { ok, sub, error }
            }
        }
    }
}

/// Pods and relying parties in the background.
pub(crate) struct Traffic {
    stop: watch::Sender<bool>,
    mints: Vec<JoinHandle<()>>,
    parties: Vec<JoinHandle<Tally>>,
    tokens: Tokens,
}

/// Every token so far, with its kid.
type Tokens = Arc<Mutex<Vec<Arc<Token>>>>;

struct Token {
    text: String,
    kid: String,
}

/// What one relying party did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) name: &'static str,
    /// Accepted tokens.
    pub(crate) accepted: usize,
    /// Refused before the key was public, or after its retention: not held against anybody.
    pub(crate) excused: usize,
    /// Refused although valid and public: of which key, why, and how often.
    pub(crate) rejected: BTreeMap<String, usize>,
    /// The kids of accepted tokens.
    pub(crate) kids: BTreeSet<String>,
}

impl Traffic {
    /// Starts minting at these API servers, each on its own: one that is down holds up no other's pods.
    pub(crate) fn start(issuers: Vec<Client>, parties: Vec<(&'static str, Party)>, book: &Book) -> Self {
        let tokens = Tokens::default();
        let (news, _) = broadcast::channel(QUEUE);
        let (stop, stopped) = watch::channel(false);
        let parties = parties.into_iter().map(|(name, party)| {
            let user = User {
                party,
                book: book.clone(),
                tokens: tokens.clone(),
                tally: Tally {
                    name,
                    ..Tally::default()
                },
            };
            tokio::spawn(user.run(news.subscribe()))
        });
        let parties = parties.collect();
        let every = EVERY * u32::try_from(issuers.len()).unwrap();
        let mints = issuers.into_iter().map(|issuer| {
            let mint = mint(issuer, every, tokens.clone(), news.clone(), stopped.clone());
            tokio::spawn(mint)
        });
        Self {
            mints: mints.collect(),
            parties,
            tokens,
            stop,
        }
    }

    /// Waits for so many more tokens to be minted: time that is counted in tokens.
    pub(crate) async fn minted(&self, more: usize) {
        let count = || self.tokens.lock().unwrap().len();
        let goal = count() + more;
        kubeassume_tests::until("tokens to be minted", crate::LIMIT, async || match count() {
            now if now >= goal => Ok(()),
            now => Err(format!("{now} of {goal}")),
        })
        .await;
    }

    /// One of the tokens of a key.
    pub(crate) fn token_of(&self, kid: &str) -> Option<String> {
        let tokens = self.tokens.lock().unwrap();
        tokens
            .iter()
            .find(|token| token.kid == kid)
            .map(|token| token.text.clone())
    }

    /// Ends it; the tally of each party.
    ///
    /// # Panics
    ///
    /// A valid token was rejected, or a party accepted none.
    pub(crate) async fn end(self) -> Vec<Tally> {
        self.stop.send_replace(true);
        for mint in self.mints {
            mint.await.expect("the mint ends");
        }
        let mut tallies = Vec::new();
        for party in self.parties {
            tallies.push(party.await.expect("the relying party ends"));
        }
        for tally in &tallies {
            println!(
                "{}: {} tokens accepted, {} excused, {} rejected",
                tally.name,
                tally.accepted,
                tally.excused,
                tally.rejected.values().sum::<usize>()
            );
        }
        for tally in &tallies {
            assert!(tally.rejected.is_empty(), "{}: {:#?}", tally.name, tally.rejected);
            assert!(tally.accepted > 0, "{} accepted nothing", tally.name);
        }
        tallies
    }
}

async fn mint(
    issuer: Client,
    every: Duration,
    tokens: Tokens,
    news: broadcast::Sender<Arc<Token>>,
    stopped: watch::Receiver<bool>,
) {
    let mut clock = tokio::time::interval(every);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !*stopped.borrow() {
        clock.tick().await;
        // A request that the server's end cut off must not be waited for when it is back.
        let Ok(Ok(text)) = tokio::time::timeout(Duration::from_secs(1), pod_token(&issuer)).await else {
            continue;
        };
        let token = Arc::new(Token {
            kid: token_kid(&text),
            text,
        });
        tokens.lock().unwrap().push(token.clone());
        let _ = news.send(token);
    }
}

/// A token for the pod, for ten minutes.
pub(crate) async fn pod_token(issuer: &Client) -> Result<String, kube::Error> {
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: Some(vec![AUDIENCE.to_owned()]),
            expiration_seconds: Some(600),
            ..TokenRequestSpec::default()
        }
        .into(),
        ..TokenRequest::default()
    };
    let (namespace, name) = POD;
    let accounts: Api<ServiceAccount> = Api::namespaced(issuer.clone(), namespace);
    let answer = accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await?;
    Ok(answer.status.and_then(|status| status.token).expect("a token"))
}

/// A relying party that sees every new token and, with each, an old one again.
struct User {
    party: Party,
    book: Book,
    tokens: Tokens,
    tally: Tally,
}

impl User {
    async fn run(mut self, mut news: broadcast::Receiver<Arc<Token>>) -> Tally {
        loop {
            match news.recv().await {
                Ok(token) => self.uses(&token).await,
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return self.tally,
            }
            let old = {
                let tokens = self.tokens.lock().unwrap();
                tokens[fastrand::usize(..tokens.len())].clone()
            };
            self.uses(&old).await;
        }
    }

    async fn uses(&mut self, token: &Token) {
        let began = Instant::now();
        let verdict = self.party.verify(&token.text).await;
        let ended = Instant::now();
        if verdict.ok {
            assert_eq!(verdict.sub, SUBJECT);
            self.tally.accepted += 1;
            self.tally.kids.insert(token.kid.clone());
        } else if self.book.owed(&token.kid, began, ended) {
            let what = format!("a token of {}: {}", token.kid, verdict.error);
            *self.tally.rejected.entry(what).or_default() += 1;
        } else {
            self.tally.excused += 1;
        }
    }
}
