//! What every page must keep: a command is run or says why not, a configuration parses, a link leads
//! somewhere.

use kubeassume_controller::config::Config;
use regex::Regex;

use crate::page::{Page, pages};

/// Run by `first_cluster.rs`.
pub(crate) const FIRST_CLUSTER: &str = "docs/first-cluster.md";
/// Run by `bucket.rs`.
pub(crate) const BUCKET: &str = "docs/bucket.md";
/// Run by `endpoint.rs`.
pub(crate) const ENDPOINT: &str = "docs/endpoint.md";

/// Commands that something else runs: page, commands, where.
const ELSEWHERE: [(&str, &[&str], &str); 4] = [
    ("README.md", &["cargo demo"], "kubeassume-cli/tests/demo.rs"),
    ("README.md", &["cargo xtask test"], ".ci/run"),
    (
        "deploy/README.md",
        &["kubectl apply -f deploy/"],
        "tests/src/installation.rs",
    ),
    (
        "docs/playground.md",
        &[
            "cargo xtask playground",
            ". /tmp/kubeassume-playground-XXXXXX/env",
            "kubectl get configmap -n kubeassume-system kube-iam-assume-oidc-metadata -o yaml",
            "kubeassume status --overlap 60s --cacert $CACERT",
            "kubectl create token app -n pods --audience sts.amazonaws.com | kubeassume verify --issuer $ISSUER \
             --cacert $CACERT --audience sts.amazonaws.com --token -",
            "curl --cacert $CACERT $ISSUER/openid/v1/jwks",
        ],
        "playground/tests/playground.rs",
    ),
];

/// What readers would take for commands, in languages that no test here runs.
const SHELLS: [&str; 6] = ["", "bash", "sh", "shell", "zsh", "terminal"];

#[test]
fn every_command_is_run_or_says_why_not() {
    let mut seen = Vec::new();
    for page in pages() {
        for block in page.blocks() {
            let place = format!("{}:{}", page.path, block.line);
            assert!(
                !SHELLS.contains(&block.language.as_str()),
                "{place}: commands belong into a ```console block, output into ```text"
            );
            if !block.is_run() {
                continue;
            }
            for (command, _) in block.commands() {
                seen.push((page.path.clone(), command.clone()));
                let elsewhere = ELSEWHERE
                    .iter()
                    .any(|(path, known, _)| *path == page.path && known.contains(&command.as_str()));
                assert!(
                    [BUCKET, FIRST_CLUSTER, ENDPOINT].contains(&page.path.as_str()) || elsewhere,
                    "{place}: nothing runs `{command}`. Run it in a test and list it in tests/tests/docs/blocks.rs, or \
                     write a line above that begins with \"Not run by the tests\" and says why"
                );
            }
        }
        for (line, text) in page.prose() {
            assert!(
                !text.starts_with("    "),
                "{}:{line}: an indented block may be a command; fence it",
                page.path
            );
        }
    }
    for (page, commands, place) in ELSEWHERE {
        for command in commands {
            assert!(
                seen.contains(&(page.into(), (*command).into())),
                "{page} has no `{command}`"
            );
        }
        assert!(xtask::repository().join(place).exists(), "there is no {place}");
    }
}

#[test]
fn every_configuration_parses() {
    let mut parsed = 0;
    for page in pages() {
        for block in page.blocks() {
            if block.language == "yaml" && block.lines.iter().any(|line| line.starts_with("issuer:")) {
                parsed += 1;
                if let Err(error) = Config::parse(&block.lines.join("\n")) {
                    panic!("{}:{}: {error}", page.path, block.line);
                }
            }
        }
    }
    assert!(parsed > 0, "no page has a configuration");
}

#[test]
fn every_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)#:]+)(?:#([^)]*))?\)").unwrap();
    let own = Regex::new(r"\]\(#([^)]+)\)").unwrap();
    let mut followed = 0;
    for page in pages() {
        let folder = xtask::repository().join(&page.path).parent().unwrap().to_owned();
        for (line, text) in page.prose() {
            let place = format!("{}:{line}", page.path);
            for found in link.captures_iter(text) {
                let target = folder.join(&found[1]);
                assert!(target.exists(), "{place}: there is no {}", &found[1]);
                followed += 1;
                if let Some(anchor) = found.get(2) {
                    let target = target.canonicalize().unwrap();
                    let target = target
                        .strip_prefix(xtask::repository().canonicalize().unwrap())
                        .unwrap();
                    has_anchor(&Page::of(&target.display().to_string()), anchor.as_str(), &place);
                }
            }
            for found in own.captures_iter(text) {
                has_anchor(&page, &found[1], &place);
            }
        }
    }
    assert!(followed > 10, "the links were not found: {followed}");
}

/// An anchor is a heading in lower case, with hyphens for spaces and without other marks.
fn has_anchor(page: &Page, anchor: &str, place: &str) {
    let anchors = page.prose().into_iter().filter_map(|(_, line)| {
        let heading = line.strip_prefix('#')?.trim_start_matches('#').trim();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
    });
    let anchors: Vec<String> = anchors.collect();
    assert!(
        anchors.iter().any(|known| known == anchor),
        "{place}: {} has no heading for #{anchor}, only {anchors:?}",
        page.path
    );
}
