//! The relying party on go-oidc, as a process that answers token by token.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use xtask::testbed::Server;

use crate::{Testbed, server};

/// What the relying party makes of a token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Verdict {
    /// Accepted.
    pub ok: bool,
    /// The subject of an accepted token.
    #[serde(default)]
    pub sub: String,
    /// Why it was refused.
    #[serde(default)]
    pub error: String,
}

/// A running relying party. It ends when its standard input does, so it needs no supervisor.
#[derive(Debug)]
pub struct RelyingParty {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    log: std::path::PathBuf,
}

impl RelyingParty {
    pub(crate) async fn start(bed: &Testbed, issuer: &str, audience: &str, fresh: bool) -> Self {
        let log = bed.path().join(format!("{}.log", bed.name("relying-party")));
        let mut command = Command::new(server(Server::RelyingParty).await);
        command
            .args(["-issuer", issuer, "-audience", audience, "-ca"])
            .arg(bed.pki().ca_file())
            .arg(format!("-fresh={fresh}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log"))
            .process_group(0)
            .kill_on_drop(true);
        let mut process = command.spawn().expect("the relying party starts");
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            _process: process,
            input,
            output,
            log,
        }
    }

    /// Verifies one token, as a service would that got it in a request.
    ///
    /// # Panics
    ///
    /// The relying party has ended (it could not discover the issuer when it started), or does not
    /// answer within a minute.
    pub async fn verify(&mut self, token: &str) -> Verdict {
        let answer = tokio::time::timeout(Duration::from_secs(60), async {
            self.input.write_all(format!("{token}\n").as_bytes()).await.ok()?;
            self.output.next_line().await.ok()?
        });
        let line = answer.await.expect("the relying party answers within a minute");
        let line = line.unwrap_or_else(|| panic!("the relying party ended: {}", self.log()));
        serde_json::from_str(&line).expect("a verdict")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}
