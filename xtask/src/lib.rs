//! What `cargo xtask` and the test harness share: where the testbed's [servers](testbed) come from, and which rows
//! the table of [conformance] must have.
//!
//! It builds pinned Go modules into a cache outside the clone and answers with paths. It starts no
//! server (the harness in `kubeassume-tests` does) and installs nothing on the machine. It uses the
//! standard library alone, so that `cargo xtask` compiles in seconds.
// Progress is for the person who waits.
#![allow(clippy::print_stderr)]

use std::path::{Path, PathBuf};

pub mod conformance;
pub mod testbed;

/// The repository's root folder.
#[must_use]
pub fn repository() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The cache that outlives clones: `$XDG_CACHE_HOME/kubeassume`, else `~/.cache/kubeassume`.
///
/// `None` if neither `XDG_CACHE_HOME` nor `HOME` is set.
#[must_use]
pub fn cache() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("kubeassume"))
}
