//! `jwks merge`: several key sets into one, refusing rather than losing a key.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};

use kubeassume_core::store::MAX_DOCUMENT_BYTES;
use kubeassume_core::{KeySet, Refusal, Thumbprint};

use crate::failure::Failure;
use crate::input::{self, shown};
use crate::output::{remark, write_stdout};

pub(super) fn run(files: &[String]) -> Result<(), Failure> {
    if files.iter().filter(|name| *name == "-").count() > 1 {
        return Err(Failure::usage("standard input (-) can be read only once"));
    }
    let mut sets = Vec::new();
    for name in files {
        sets.push((name, strict(name, &input::read(name, MAX_DOCUMENT_BYTES)?)?));
    }
    refuse_second_kid(&sets)?;
    let merged = KeySet::union(sets.iter().map(|(_, set)| set)).map_err(|refusal| match refusal {
        Refusal::DuplicateKid(kid) => {
            let holders: Vec<String> = sets
                .iter()
                .filter(|(_, set)| set.by_kid(&kid).is_some())
                .map(|(name, _)| shown(name))
                .collect();
            Failure::new(format!(
                "kid {kid:?} names different keys in {}",
                holders.join(" and ")
            ))
            .next("verifiers would pick one or the other: give one of the keys another kid at its issuer")
        }
        other => Failure::new("the merged key set is refused").because(&other),
    })?;
    let mut bytes = merged.to_bytes();
    // A file gets exactly the published bytes; a shell prompt wants its own line.
    if io::stdout().is_terminal() {
        bytes.push(b'\n');
    }
    write_stdout(&bytes)
}

/// The keys of a document of which every RSA and EC key is usable.
fn strict(name: &str, bytes: &[u8]) -> Result<KeySet, Failure> {
    let parsed = KeySet::parse(bytes).map_err(|refusal| {
        Failure::new(format!("{} is refused", shown(name)))
            .because(&refusal)
            .next("see `kubeassume jwks inspect`; nothing was merged")
    })?;
    let unusable: Vec<_> = parsed
        .findings
        .iter()
        .filter(|f| f.is_left_out() && !f.is_unknown_kind())
        .collect();
    if !unusable.is_empty() {
        let failure = Failure::new(format!("{} holds a key that must not be published", shown(name)));
        return Err(unusable
            .iter()
            .fold(failure, |failure, finding| failure.cause(finding.to_string()))
            .next("remove or replace the key at its issuer; nothing was merged"));
    }
    for finding in parsed.findings.iter().filter(|f| f.is_left_out()) {
        remark(&format!("{}: {finding}", shown(name)));
    }
    Ok(parsed.keys)
}

/// One key under two kids: each cluster would sign with a name that the other's keys do not have.
fn refuse_second_kid(sets: &[(&String, KeySet)]) -> Result<(), Failure> {
    let mut kids: BTreeMap<Thumbprint, (&str, &str)> = BTreeMap::new();
    for (name, set) in sets {
        for key in set {
            match kids.insert(key.thumbprint(), (key.kid(), name)) {
                Some((kid, first)) if kid != key.kid() => {
                    return Err(Failure::new(format!(
                        "one key has kid {kid:?} in {} and kid {:?} in {}",
                        shown(first),
                        key.kid(),
                        shown(name)
                    ))
                    .next("give the key the same kid at both issuers"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
