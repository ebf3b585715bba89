//! etcd: the store behind the API servers.

use std::time::Duration;

use xtask::testbed::Server;

use crate::{Process, Testbed, free_port, port, server, until};

/// A running etcd, on 127.0.0.1 without TLS.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    url: String,
}

impl Etcd {
    pub(crate) async fn start(bed: &Testbed) -> Self {
        let program = server(Server::Etcd).await;
        let name = bed.name("etcd");
        let data = bed.path().join(&name);
        loop {
            let (url, peer) = (local(free_port()), local(free_port()));
            let mut process = bed
                .launch(&name, &program)
                .arg("--data-dir")
                .arg(&data)
                .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
                .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
                .args(["--initial-cluster", &format!("default={peer}")])
                // No data here needs to survive a power cut.
                .args(["--unsafe-no-fsync", "--log-level", "warn"])
                .start();
            if ready(&bed.http(), &mut process, &format!("{url}/readyz")).await {
                return Self { process, url };
            }
        }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Waits until the URL answers 200. `false` if the process ended because its port was taken.
///
/// # Panics
///
/// The process ended for another reason, or is not ready within two minutes.
pub(crate) async fn ready(http: &reqwest::Client, process: &mut Process, url: &str) -> bool {
    answers(http, process, url, 200).await
}

/// As [`ready`], with the status of the answer.
pub(crate) async fn answers(http: &reqwest::Client, process: &mut Process, url: &str, status: u16) -> bool {
    let name = process.name().to_owned();
    let answer = until(&format!("{name} to be ready"), LIMIT, async || {
        if process.ended().is_some() {
            return Ok(false);
        }
        match http.get(url).send().await {
            Ok(response) if response.status() == status => Ok(true),
            Ok(response) => Err(format!("{url} answers {}", response.status())),
            Err(error) => Err(format!("{url}: {error}")),
        }
    })
    .await;
    assert!(
        answer || port::taken(&process.log()),
        "{name} ended while starting; {}",
        process.log_tail()
    );
    answer
}

/// Generous: a machine may be busy, and a server that fails ends early.
const LIMIT: Duration = Duration::from_secs(120);
