//! moto: a second S3 server, in Python, with Amazon's STS beside it. Plain http.
//!
//! It takes any token for a role and any signature, and whoever asks may do everything.

use xtask::testbed::Server;

use crate::{Process, Testbed, etcd, free_port, server};

/// An AWS of its own; what it holds is gone when it ends.
#[derive(Debug)]
pub struct Moto {
    _process: Process,
    url: String,
}

impl Moto {
    /// What it is, as rows of the conformance table name it.
    pub const VERSION: &str = "moto 5.2.5";

    pub(crate) async fn start(bed: &Testbed) -> Self {
        let python = server(Server::Moto).await;
        let name = bed.name("moto");
        loop {
            let port = free_port();
            let mut process = bed
                .launch(&name, &python)
                .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
                // Nothing is compiled into the environment, which tests share.
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .start();
            let url = format!("http://127.0.0.1:{port}");
            let health = format!("{url}/moto-api/data.json");
            if etcd::answers(&bed.http(), &mut process, &health, 200).await {
                return Self {
                    _process: process,
                    url,
                };
            }
        }
    }

    /// `http://127.0.0.1:<port>`: the endpoint of S3 and of STS.
    pub fn url(&self) -> &str {
        &self.url
    }
}
