//! `guards`: what may be in a dependency tree.
//!
//! It reads `cargo tree -e normal,build`, never `Cargo.lock`: a lock file also names crates that no
//! feature of ours compiles (`ring` stands in it for ever).

use std::collections::BTreeSet;
use std::fs;

use crate::licence;
use crate::step::{Outcome, cargo, output};

/// A crate as it is compiled: name, version, licence expression.
type Crate = (String, String, String);

/// The largest tree that somebody who embeds `kubeassume-core` without features has to accept.
const CORE_LIMIT: usize = 45;

/// Nothing of these anywhere: other TLS stacks and crypto providers, and `rsa`, whose timing leak
/// (RUSTSEC-2023-0071) has no fixed release.
const BANNED: [&str; 11] = [
    "boring",
    "boring-sys",
    "mbedtls",
    "native-tls",
    "openssl",
    "openssl-sys",
    "ring",
    "rsa",
    "rustls-graviola",
    "rustls-rustcrypto",
    "schannel",
];

const TREES: [(&str, &[&str]); 4] = [
    (
        "the workspace with all features",
        &["--workspace", "--all-features"],
    ),
    (
        "kubeassume-controller as shipped",
        &["-p", "kubeassume-controller"],
    ),
    ("kubeassume-cli as shipped", &["-p", "kubeassume-cli"]),
    ("cargo demo", &DEMO),
];
const CORE: [&str; 3] = ["-p", "kubeassume-core", "--no-default-features"];
const DEMO: [&str; 5] = [
    "-p",
    "kubeassume-cli",
    "--no-default-features",
    "--features",
    "demo",
];

pub(crate) fn check() -> Outcome {
    let mut findings = Vec::new();
    let allowed = allowed_licences()?;
    for (what, selection) in TREES {
        let tree = tree(selection)?;
        println!("{what}: {} crates", tree.len());
        findings.extend(
            one_tls_stack(&tree)
                .into_iter()
                .map(|finding| format!("{what}: {finding}")),
        );
        findings.extend(
            licences(&tree, &allowed)
                .into_iter()
                .map(|finding| format!("{what}: {finding}")),
        );
    }

    let core = tree(&CORE)?;
    println!(
        "kubeassume-core without features: {} crates, at most {CORE_LIMIT}",
        core.len()
    );
    if core.len() > CORE_LIMIT {
        findings.push(format!(
            "kubeassume-core without features has {} crates, over {CORE_LIMIT}",
            core.len()
        ));
    }
    for name in present(&core, |name| {
        ["tokio", "rustls", "reqwest", "aws-lc-rs"].contains(&name)
    }) {
        findings.push(format!(
            "kubeassume-core without features has {name}: it must do no IO"
        ));
    }

    let heavy = |name: &str| {
        name == "kube"
            || name.starts_with("kube-")
            || name.starts_with("k8s-")
            || name.starts_with("aws-sdk-")
            || name.starts_with("azure_")
    };
    for name in present(&tree(&DEMO)?, heavy) {
        findings.push(format!(
            "cargo demo has {name}: it needs neither a cluster nor a cloud"
        ));
    }

    if findings.is_empty() {
        Ok(())
    } else {
        Err(format!("dependency guards:\n  {}", findings.join("\n  ")))
    }
}

fn one_tls_stack(tree: &BTreeSet<Crate>) -> Vec<String> {
    let mut findings: Vec<String> = present(tree, |name| BANNED.contains(&name))
        .into_iter()
        .map(|name| format!("{name} is banned; `cargo tree -i {name}` says who brings it"))
        .collect();
    for single in ["rustls", "aws-lc-rs"] {
        let versions = versions(tree, single);
        if versions.len() > 1 {
            findings.push(format!(
                "{single} is there more than once: {}",
                versions.join(", ")
            ));
        }
    }
    for (name, old) in [("hyper", "0."), ("h2", "0.3.")] {
        let ended = versions(tree, name)
            .into_iter()
            .filter(|version| version.starts_with(old));
        findings.extend(ended.map(|version| format!("{name} {version} is end of life")));
    }
    findings
}

fn licences(tree: &BTreeSet<Crate>, allowed: &BTreeSet<String>) -> Vec<String> {
    tree.iter()
        .filter(|(_, _, licence)| !licence::passes(licence, allowed))
        .map(|(name, version, licence)| {
            format!("{name} {version} is under `{licence}`, which deny.toml does not allow")
        })
        .collect()
}

/// The `allow` list of `deny.toml`'s `[licenses]`, so that there is one list.
fn allowed_licences() -> Result<BTreeSet<String>, String> {
    let path = xtask::repository().join("deny.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let list = text
        .split_once("[licenses]")
        .and_then(|(_, section)| section.split_once("allow = ["))
        .and_then(|(_, list)| list.split_once(']'))
        .ok_or_else(|| format!("{}: no list `allow` in [licenses]", path.display()))?
        .0;
    Ok(list.split('"').skip(1).step_by(2).map(String::from).collect())
}

/// The crates that the selection compiles, each once.
fn tree(selection: &[&str]) -> Result<BTreeSet<Crate>, String> {
    let shape = [
        "tree",
        "-e",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}|{l}",
    ];
    let text = output(&mut cargo(shape.iter().chain(selection)))?;
    // name v1.2.3 (folder or "proc-macro")|licence (*)
    let parse = |line: &str| {
        let (package, licence) = line.trim_end_matches(" (*)").split_once('|')?;
        let mut words = package.split(' ');
        let (name, version) = (words.next()?, words.next()?.trim_start_matches('v'));
        Some((name.to_owned(), version.to_owned(), licence.trim().to_owned()))
    };
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| parse(line).ok_or_else(|| format!("cargo tree printed `{line}`")))
        .collect()
}

fn present(tree: &BTreeSet<Crate>, wanted: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    tree.iter()
        .map(|(name, ..)| name.as_str())
        .filter(|name| wanted(name))
        .collect()
}

fn versions<'a>(tree: &'a BTreeSet<Crate>, name: &str) -> Vec<&'a str> {
    tree.iter()
        .filter(|(other, ..)| other == name)
        .map(|(_, version, _)| version.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crates(list: &[(&str, &str, &str)]) -> BTreeSet<Crate> {
        list.iter()
            .map(|&(name, version, licence)| (name.into(), version.into(), licence.into()))
            .collect()
    }

    #[test]
    fn a_second_tls_stack_or_provider_is_found() {
        let good = [
            ("rustls", "0.23.46", ""),
            ("aws-lc-rs", "1.19.0", ""),
            ("hyper", "1.12.0", ""),
        ];
        assert_eq!(one_tls_stack(&crates(&good)), Vec::<String>::new());
        for bad in [
            ("ring", "0.17.14", ""),
            ("rustls", "0.21.0", ""),
            ("hyper", "0.14.32", ""),
            ("rsa", "0.9.10", ""),
        ] {
            let with_bad = crates(&[good.as_slice(), &[bad]].concat());
            assert_eq!(one_tls_stack(&with_bad).len(), 1, "{bad:?}");
        }
        // Exact names: these are neither ring nor rsa.
        let similar = [("ring-buffer", "1.0.0", ""), ("rsa-der", "1.0.0", "")];
        assert_eq!(one_tls_stack(&crates(&similar)), Vec::<String>::new());
    }

    #[test]
    fn a_licence_that_deny_toml_does_not_list_is_found() {
        let allowed = allowed_licences().unwrap();
        let tree = crates(&[
            ("good", "1.0.0", "MIT OR Apache-2.0"),
            ("bad", "2.0.0", "AGPL-3.0"),
        ]);
        let found = licences(&tree, &allowed);
        assert!(found.len() == 1 && found[0].contains("bad 2.0.0"), "{found:?}");
    }
}
