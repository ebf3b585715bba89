//! Oracle's own Python SDK, through `driver.py`.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use xtask::testbed::Server;

use crate::server;

/// Runs a command of `tests/testbed/servers/oci-sdk/driver.py`: JSON in, JSON out.
///
/// # Panics
///
/// Python or the SDK cannot be had, or the command fails; with what it said.
pub async fn sdk(command: &str, order: &Value, environment: &[(&str, &str)]) -> Value {
    let python = server(Server::OciSdk).await;
    let driver = xtask::repository().join("tests/testbed/servers/oci-sdk/driver.py");
    let mut child = Command::new(python)
        .arg(driver)
        .arg(command)
        // Nothing of the machine's own configuration.
        .env("HOME", "/nonexistent")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the SDK's Python starts");
    let mut input = child.stdin.take().expect("its standard input");
    input
        .write_all(order.to_string().as_bytes())
        .await
        .expect("it reads its order");
    drop(input);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(
        output.status.success(),
        "OCI's SDK failed at {command}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON from the SDK")
}
