//! A vendor's own client in Python, through the `driver.py` beside its pinned packages.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use xtask::testbed::Server;

use crate::server;

/// Runs a command of `tests/testbed/servers/vendor-clients/driver.py`: JSON in, JSON out.
///
/// # Panics
///
/// Python or a client cannot be had, or the command fails; with what it said.
pub async fn vendor(command: &str, order: &Value, environment: &[(&str, &str)]) -> Value {
    driver(Server::VendorClients, command, order, environment).await
}

/// Runs a command of `tests/testbed/servers/oci-sdk/driver.py`: JSON in, JSON out.
///
/// # Panics
///
/// Python or the SDK cannot be had, or the command fails; with what it said.
pub async fn sdk(command: &str, order: &Value, environment: &[(&str, &str)]) -> Value {
    driver(Server::OciSdk, command, order, environment).await
}

async fn driver(packages: Server, command: &str, order: &Value, environment: &[(&str, &str)]) -> Value {
    let python = server(packages).await;
    let folder = xtask::repository()
        .join("tests/testbed/servers")
        .join(packages.name());
    let mut child = Command::new(python)
        .arg(folder.join("driver.py"))
        .arg(command)
        // Nothing of the machine's own configuration.
        .env("HOME", "/nonexistent")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python starts");
    let mut input = child.stdin.take().expect("its standard input");
    input
        .write_all(order.to_string().as_bytes())
        .await
        .expect("it reads its order");
    drop(input);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(
        output.status.success(),
        "{} failed at {command}:\n{}",
        packages.name(),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON from the driver")
}
