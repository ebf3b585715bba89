//! Configurations that are refused, each with its whole message: the field, the rule with its source, and the fix.
//!
//! The table is `tests/refused.txt`: a title after `##`, the file, and after `=>` what is printed, exit code 2.
//! `--check-config` reads nothing but the file and opens no connection, so that nothing can have been written.
//! `KUBEASSUME_BLESS=1` writes the table anew; look at what changed.
#![cfg(feature = "kube")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say plainly what they expect"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/refused.txt");

#[test]
fn each_is_refused_with_the_field_the_rule_and_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let table = fs::read_to_string(TABLE).unwrap();
    let mut told = String::new();
    let mut count = 0;
    for case in table.split("## ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let (config, _) = rest
            .split_once("=>\n")
            .unwrap_or_else(|| panic!("{title}: no =>"));
        let _ = write!(
            told,
            "## {title}\n{config}=>\n{}\n",
            refusal(title, config, &file)
        );
        count += 1;
    }
    if std::env::var_os("KUBEASSUME_BLESS").is_some() {
        fs::write(TABLE, &told).unwrap();
    }
    assert!(count >= 60, "the table has {count} cases");
    for (expected, told) in table.split("## ").zip(told.split("## ")) {
        assert_eq!(told, expected);
    }
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "nothing but the file itself");
}

fn refusal(title: &str, config: &str, file: &Path) -> String {
    fs::write(file, config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kubeassume-controller"))
        .args(["run", "--check-config", "--config"])
        .arg(file)
        .env_clear()
        .current_dir(file.parent().unwrap())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{title}: {stderr}");
    assert_eq!(output.stdout, b"", "{title}");
    stderr
}
