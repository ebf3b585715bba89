//! Paths of the programs that tests start: the testbed's servers, and KubeAssume's own binaries.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use xtask::testbed::{self, Server};

/// The path of a server of the testbed; built first if it is in no cache.
///
/// # Panics
///
/// It cannot be had; the message says what to install.
pub async fn server(server: Server) -> PathBuf {
    let path = tokio::task::spawn_blocking(move || testbed::ensure(server))
        .await
        .expect("the build ran");
    path.unwrap_or_else(|error| panic!("{error}"))
}

/// A program that KubeAssume ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `kubeassume-controller`.
    Controller,
    /// `kubeassume`.
    Cli,
}

/// The path of a KubeAssume binary with its default features, as shipped.
///
/// `cargo xtask test` has built it and says where in `KUBEASSUME_BIN_DIR`. Without that variable, as
/// under a plain `cargo test`, cargo builds it here, so that a test never runs a stale one.
///
/// # Panics
///
/// It does not compile.
pub fn binary(binary: Binary) -> PathBuf {
    let name = match binary {
        Binary::Controller => "kubeassume-controller",
        Binary::Cli => "kubeassume",
    };
    folder().join(name)
}

fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| match std::env::var_os("KUBEASSUME_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => build(),
    })
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "-p", "kubeassume-controller", "-p", "kubeassume-cli"])
        .current_dir(xtask::repository())
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "cargo build failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // This test is target/debug/deps/<name>-<hash>.
    let test = std::env::current_exe().expect("the test's own path");
    test.ancestors().nth(2).expect("the target folder").to_owned()
}
