//! A Service in front of the replicas: every connection goes to one that is ready, as kube-proxy does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Forwards connections until it is dropped.
pub(crate) struct Service(JoinHandle<()>);

/// Where a replica serves, and where it says whether it is ready.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) port: u16,
    pub(crate) readiness: String,
}

impl Service {
    /// A Service that has its port already; readiness is asked for at every connection, so that there is
    /// nothing to wait for.
    pub(crate) fn start(listener: TcpListener, backends: Vec<Backend>, http: reqwest::Client) -> Self {
        let backends = Arc::new(backends);
        let turn = AtomicUsize::new(0);
        Self(tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (backends, http) = (backends.clone(), http.clone());
                let first = turn.fetch_add(1, Ordering::Relaxed) % backends.len();
                tokio::spawn(async move {
                    for backend in backends.iter().cycle().skip(first).take(backends.len()) {
                        let ready = http.get(&backend.readiness).send().await;
                        if !ready.is_ok_and(|answer| answer.status().is_success()) {
                            continue;
                        }
                        if let Ok(mut server) = TcpStream::connect(("127.0.0.1", backend.port)).await {
                            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                            return;
                        }
                    }
                });
            }
        }))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.abort();
    }
}
