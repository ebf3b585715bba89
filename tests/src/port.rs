//! Ports for servers.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Mutex;

/// Below the ports that Linux and macOS give to outgoing connections: a server that is down for a
/// moment must find its port free when it comes back.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// A port of 127.0.0.1 that nothing listens on now and that this process was not given before.
///
/// Another process may take it before the server does; the servers here then try another one.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap();
    loop {
        let port = fastrand::u16(RANGE);
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
}

/// Whether a server that ended says in its log that somebody else has its port.
pub(crate) fn taken(log: &str) -> bool {
    log.to_ascii_lowercase().contains("address already in use")
}
