//! A reader that goes away ends nothing with a panic.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::{Ended, kubeassume};

#[test]
fn a_closed_pipe_is_no_failure() {
    let sets = tempfile::tempdir().unwrap();
    let set = sets.path().join("set.json");
    std::fs::write(&set, support::SigningKey::new("a").document()).unwrap();
    let set = set.to_str().unwrap();
    for arguments in [
        ["completions", "bash"].as_slice(),
        &["jwks", "inspect", set],
        &["jwks", "merge", set],
        &["--help"],
        &["--version"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = Ended::from(kubeassume(arguments).stdout(writer).output().unwrap());
        assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{arguments:?}: {ended:?}");
    }
}
