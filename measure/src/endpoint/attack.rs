//! 10,000 connections that do nothing, or next to nothing, while a legitimate client goes on asking.
//!
//! Whoever is cut off or refused comes back, but all together at most 200 times a second: this is about what
//! connections cost, not about how many handshakes a machine can do.

use std::error::Error;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use kubeassume_tests::Testbed;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Interval, interval, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::Target;
use crate::report::Report;

pub(super) const CONNECTIONS: usize = 10_000;

/// How long they stay once all of them have come.
const HOLD: Duration = Duration::from_secs(20);
/// How many come at the same time.
const AT_ONCE: usize = 256;
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
const EVERY_BYTE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
pub(super) enum Attack {
    /// Not even TLS.
    IdleTcp,
    /// Silent after the handshake.
    IdleTls,
    /// A request whose headers never end: one byte every five seconds.
    SlowHeaders,
}

impl Attack {
    pub(super) const ALL: [Self; 3] = [Self::IdleTcp, Self::IdleTls, Self::SlowHeaders];

    fn name(self) -> &'static str {
        match self {
            Self::IdleTcp => "idle TCP connections",
            Self::IdleTls => "idle TLS connections",
            Self::SlowHeaders => "slow-loris connections",
        }
    }

    pub(super) async fn measure(self, bed: &Testbed, target: &Target, report: &mut Report) {
        let before = target.memory();
        let crowd = Arc::new(Crowd::new(self, bed, target));
        let mut attackers = JoinSet::new();
        for nth in 0..CONNECTIONS {
            attackers.spawn(crowd.clone().attacker(nth));
        }
        let http = bed.http();
        let mut peak = before;
        let mut most_open = 0;
        // While they come, then while they stay.
        let mut client = [Client::default(), Client::default()];
        let mut came = None;
        while came.is_none_or(|came: Instant| came.elapsed() < HOLD) {
            client[usize::from(came.is_some())].ask(&http, target).await;
            peak = target.memory().max(peak);
            most_open = most_open.max(crowd.open.load(Relaxed));
            if came.is_none() && crowd.tried.load(Relaxed) == CONNECTIONS {
                came = Some(Instant::now());
            }
            sleep(Duration::from_millis(250)).await;
        }
        let open = crowd.open.load(Relaxed);
        attackers.shutdown().await;
        let [coming, staying] = client;
        report.add(
            &format!("{}: memory under {CONNECTIONS} {}", target.name, self.name()),
            peak,
            "MiB",
            format!(
                "{before:.1} before; {most_open} open at most, {open} in the end, {} cut off or refused; a legitimate \
                 client, on new connections, was answered {coming} while they came, {staying} afterwards",
                crowd.lost.load(Relaxed)
            ),
        );
    }
}

/// How a legitimate client fared.
#[derive(Default)]
struct Client {
    asked: u32,
    answered: u32,
    slowest: Duration,
    failure: String,
}

impl Client {
    async fn ask(&mut self, http: &reqwest::Client, target: &Target) {
        let begun = Instant::now();
        self.asked += 1;
        match answers(http, target).await {
            Ok(()) => self.answered += 1,
            Err(error) => self.failure = format!(" (the last failure: {error})"),
        }
        self.slowest = self.slowest.max(begun.elapsed());
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (asked, slowest) = (self.asked, self.slowest.as_secs_f64());
        write!(
            f,
            "{} of {asked} times within {slowest:.2} s{}",
            self.answered, self.failure
        )
    }
}

/// Whether both documents are served as they should be, each over a new connection.
pub(super) async fn answers(http: &reqwest::Client, target: &Target) -> Result<(), String> {
    for document in &target.documents {
        let url = target.url(&document.path);
        let answer = http.get(&url).send().await.map_err(|error| cause(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| cause(&error))?;
        if status != 200 || body != document.body {
            return Err(format!("{url}: {status}, {} bytes", body.len()));
        }
    }
    Ok(())
}

fn cause(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => cause(source),
        None => error.to_string(),
    }
}

/// The attackers, and what became of them.
struct Crowd {
    attack: Attack,
    port: u16,
    path: String,
    tls: TlsConnector,
    door: Semaphore,
    again: Mutex<Interval>,
    /// Attackers that opened a connection, or failed to.
    tried: AtomicUsize,
    open: AtomicUsize,
    lost: AtomicUsize,
}

impl Crowd {
    fn new(attack: Attack, bed: &Testbed, target: &Target) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(bed.pki().ca_der().to_vec()))
            .expect("the CA");
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Self {
            attack,
            port: target.port,
            path: target.documents[0].path.clone(),
            tls: TlsConnector::from(Arc::new(config)),
            door: Semaphore::new(AT_ONCE),
            again: Mutex::new(interval(Duration::from_millis(5))),
            tried: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
        }
    }

    async fn attacker(self: Arc<Self>, nth: usize) {
        let mut first = true;
        loop {
            let opened = {
                let _inside = self.door.acquire().await.expect("nobody closes it");
                timeout(OPEN_TIMEOUT, self.open(nth)).await
            };
            if std::mem::take(&mut first) {
                self.tried.fetch_add(1, Relaxed);
            }
            if let Ok(Ok(stream)) = opened {
                self.open.fetch_add(1, Relaxed);
                let open = Open(&self.open);
                self.stay(stream, nth).await;
                drop(open);
            }
            self.lost.fetch_add(1, Relaxed);
            self.again.lock().await.tick().await;
        }
    }

    /// From one of many addresses: each has a limited number of ports.
    async fn open(&self, nth: usize) -> std::io::Result<Box<dyn Stream>> {
        let number = self.attack as u8 + 1;
        let host = u8::try_from(nth % 64).expect("small") + 2;
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::new(127, 0, number, host), 0).into())?;
        let tcp: TcpStream = socket.connect((Ipv4Addr::LOCALHOST, self.port).into()).await?;
        if matches!(self.attack, Attack::IdleTcp) {
            return Ok(Box::new(tcp));
        }
        let name = ServerName::try_from("localhost").expect("a name");
        Ok(Box::new(self.tls.connect(name, tcp).await?))
    }

    /// Returns when the server ends it.
    async fn stay(&self, stream: Box<dyn Stream>, nth: usize) {
        let (mut read, mut write) = tokio::io::split(stream);
        let ended = async {
            let mut byte = [0];
            // TLS brings session tickets, which are no data here.
            while matches!(read.read(&mut byte).await, Ok(1)) {}
        };
        tokio::select! {
            () = ended => {}
            _sent = self.drip(&mut write, nth) => {}
        }
    }

    /// Returns when sending fails.
    async fn drip(&self, write: &mut (impl AsyncWrite + Unpin), nth: usize) -> std::io::Result<()> {
        if !matches!(self.attack, Attack::SlowHeaders) {
            return std::future::pending().await;
        }
        let begin = format!("GET {} HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", self.path);
        write.write_all(begin.as_bytes()).await?;
        write.flush().await?;
        // Not all of them at the same moment.
        sleep(EVERY_BYTE * u32::try_from(nth % 1000).expect("small") / 1000).await;
        loop {
            write.write_all(b"a").await?;
            write.flush().await?;
            sleep(EVERY_BYTE).await;
        }
    }
}

/// Counted while it lives.
struct Open<'a>(&'a AtomicUsize);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}
