//! A reverse proxy on loopback that fails on order: between a store and a real server, with TLS of the testbed's CA.
//!
//! A [`Fault`] strikes every request that it is meant for until it is [healed](FaultProxy::heal), so that a client
//! that asks again meets it again. What somebody else does at the worst moment is done at the first strike, when the
//! effect has, or has not, happened and the client does not know yet ([`FaultProxy::meanwhile`]).
//!
//! Each connection carries one request: what was kept from before would not meet a new fault.

mod http1;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::http1::{head, read};
use crate::recorder::pass_on;
use crate::{Answer, Pki, Recorded, Testbed};

/// Between two bytes of [`Fault::Drip`]: any answer takes longer than the clients of the tests wait.
const DRIP: Duration = Duration::from_millis(50);

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection is reset and the server knows of nothing.
    ResetBefore,
    /// The server has done what it was asked; then the connection is reset.
    ResetAfter,
    /// This is answered and the server knows of nothing.
    Answer(Answer),
    /// The server's answer comes a byte at a time: its body or, where it has none, its head.
    Drip,
    /// The server's answer ends in the middle: of its body or, where it has none, of its head.
    Truncated,
    /// The proxy has another certificate. It strikes every connection.
    Tls(Certificate),
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Nobody knows the CA.
    UnknownCa,
    /// It is for `elsewhere.example.com`.
    OtherName,
    /// Its time was over in 2020.
    Expired,
}

/// A proxy on a port that it keeps until it is dropped.
pub struct FaultProxy {
    state: Arc<State>,
    port: u16,
    accepting: AbortHandle,
}

struct State {
    upstream: Upstream,
    pass: Pass,
    right: TlsAcceptor,
    wrong: [(Certificate, TlsAcceptor); 3],
    strike: Mutex<Option<Strike>>,
    meanwhile: Mutex<Option<BoxFuture<()>>>,
    connections: Mutex<usize>,
    log: Mutex<Vec<Recorded>>,
}

/// The server behind.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// How a request gets to the server.
type Pass = fn(Upstream, Recorded) -> BoxFuture<Answer>;

#[derive(Clone)]
struct Strike {
    fault: Fault,
    meant_for: Arc<dyn Fn(&Recorded) -> bool + Send + Sync>,
}

impl FaultProxy {
    /// In front of the server at `upstream`, `https://HOST:PORT`; without a fault yet.
    ///
    /// # Panics
    ///
    /// There is no port.
    pub async fn start(bed: &Testbed, upstream: &str) -> Self {
        let pass: Pass = |upstream, request| {
            Box::pin(async move { pass_on(&upstream.http, &upstream.url, &request).await })
        };
        Self::start_with(bed, upstream, pass).await
    }

    /// As [`start`](Self::start), in front of a server that needs some of its requests said in another way.
    pub(crate) async fn start_with(bed: &Testbed, upstream: &str, pass: Pass) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let folder = bed.path().join(bed.name("fault-proxy"));
        let stranger = bed.path().join(bed.name("stranger"));
        let pki = bed.pki();
        let acceptor = |leaf: crate::Leaf| TlsAcceptor::from(Arc::new(leaf.server_config()));
        let here = ["localhost", "127.0.0.1"];
        let elsewhere = pki.leaf_for(&folder, "elsewhere", &["elsewhere.example.com"], None);
        let expired = pki.leaf_for(&folder, "expired", &here, Some(2020));
        let state = Arc::new(State {
            // By address: `localhost` may be ::1 first.
            upstream: Upstream {
                url: upstream.replace("//localhost:", "//127.0.0.1:"),
                http: bed.http(),
            },
            pass,
            right: acceptor(pki.leaf(&folder, "tls")),
            wrong: [
                (
                    Certificate::UnknownCa,
                    acceptor(Pki::named(&stranger, "somebody's CA").leaf(&stranger, "tls")),
                ),
                (Certificate::OtherName, acceptor(elsewhere)),
                (Certificate::Expired, acceptor(expired)),
            ],
            strike: Mutex::default(),
            meanwhile: Mutex::default(),
            connections: Mutex::default(),
            log: Mutex::default(),
        });
        let own = state.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                *own.connections.lock().unwrap() += 1;
                let state = own.clone();
                tokio::spawn(async move { state.serve(connection).await });
            }
        });
        Self {
            state,
            port,
            accepting: accepting.abort_handle(),
        }
    }

    /// `https://localhost:<port>`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// From now on this fault strikes each request for which it is meant, in the place of the one before.
    pub fn strike(&self, fault: Fault, meant_for: impl Fn(&Recorded) -> bool + Send + Sync + 'static) {
        let meant_for = Arc::new(meant_for);
        *self.state.strike.lock().unwrap() = Some(Strike { fault, meant_for });
    }

    /// What happens at the next strike, before the client knows of it; once.
    pub fn meanwhile(&self, happens: impl Future<Output = ()> + Send + 'static) {
        *self.state.meanwhile.lock().unwrap() = Some(Box::pin(happens));
    }

    /// No fault any more.
    pub fn heal(&self) {
        *self.state.strike.lock().unwrap() = None;
        *self.state.meanwhile.lock().unwrap() = None;
    }

    /// How often a client has connected, which is how often it tried.
    pub fn connections(&self) -> usize {
        *self.state.connections.lock().unwrap()
    }

    /// What it was asked so far, in order, with the status of the server's answer or of the one in its place; 0: there
    /// was none.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.log.lock().unwrap().clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl std::fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultProxy")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl State {
    async fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut connection = BufReader::new(self.tls(connection).await?);
        let mut request = read(&mut connection).await?;
        let strike = self.strike.lock().unwrap().clone();
        let fault = strike
            .filter(|strike| (strike.meant_for)(&request))
            .map(|strike| strike.fault);
        let answer = match &fault {
            Some(Fault::ResetBefore) => None,
            Some(Fault::Answer(answer)) => Some(answer.clone()),
            _ => Some((self.pass)(self.upstream.clone(), request.clone()).await),
        };
        if fault.is_some() {
            self.let_others().await;
        }
        request.status = answer.as_ref().map_or(0, |answer| answer.status);
        self.log.lock().unwrap().push(request);
        let connection = connection.get_mut();
        match (fault, answer) {
            (Some(Fault::ResetBefore | Fault::ResetAfter), _) | (_, None) => {
                connection.get_ref().0.set_zero_linger().ok()
            }
            (Some(Fault::Drip), Some(answer)) => drip(connection, &answer).await,
            (Some(Fault::Truncated), Some(answer)) => {
                let (sent, rest) = halves(&answer);
                send(connection, &[&sent, &rest[..rest.len() / 2]].concat()).await
            }
            (_, Some(answer)) => {
                let (sent, rest) = halves(&answer);
                send(connection, &[sent, rest].concat()).await
            }
        }
    }

    async fn tls(&self, connection: TcpStream) -> Option<TlsStream<TcpStream>> {
        let strike = self.strike.lock().unwrap().clone();
        let Some(Fault::Tls(certificate)) = strike.map(|strike| strike.fault) else {
            return self.right.accept(connection).await.ok();
        };
        self.let_others().await;
        let (_, acceptor) = self.wrong.iter().find(|(wrong, _)| *wrong == certificate)?;
        acceptor.accept(connection).await.ok()
    }

    async fn let_others(&self) {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(happens) = meanwhile {
            happens.await;
        }
    }
}

/// What arrives, and what of it a fault keeps back: the body or, where there is none, the head.
fn halves(answer: &Answer) -> (Vec<u8>, Vec<u8>) {
    let head = head(answer).into_bytes();
    match answer.body.is_empty() {
        true => (Vec::new(), head),
        false => (head, answer.body.to_vec()),
    }
}

async fn send(connection: &mut TlsStream<TcpStream>, bytes: &[u8]) -> Option<()> {
    connection.write_all(bytes).await.ok()?;
    connection.shutdown().await.ok()
}

/// Until the client has gone, or has it all.
async fn drip(connection: &mut TlsStream<TcpStream>, answer: &Answer) -> Option<()> {
    let (sent, rest) = halves(answer);
    connection.write_all(&sent).await.ok()?;
    for byte in rest {
        connection.write_all(&[byte]).await.ok()?;
        connection.flush().await.ok()?;
        tokio::time::sleep(DRIP).await;
    }
    connection.shutdown().await.ok()
}
