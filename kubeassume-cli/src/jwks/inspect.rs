//! `jwks inspect`: every key of a set, and what a publisher would make of it.

use kubeassume_core::store::MAX_DOCUMENT_BYTES;
use kubeassume_core::{Finding, FindingKind, Jwk, KeySet, Refusal};
use serde::Serialize;

use super::kind;
use crate::failure::Failure;
use crate::input::{self, shown};
use crate::output::{Format, Paint, Report, columns, show};

pub(super) fn run(file: &str, format: Format) -> Result<(), Failure> {
    let bytes = input::read(file, MAX_DOCUMENT_BYTES)?;
    let refused = |refusal: &Refusal| {
        Failure::new(format!("{} is refused: nothing of it may be used", shown(file))).because(refusal)
    };
    match KeySet::parse(&bytes) {
        Ok(parsed) => show(&Inspection::new(&parsed.keys, &parsed.findings), format),
        Err(refusal @ Refusal::Empty(_)) => {
            if let Refusal::Empty(findings) = &refusal {
                show(&Inspection::new(&KeySet::default(), findings), format)?;
            }
            Err(refused(&refusal).next("no cloud accepts any of these keys; see the findings"))
        }
        Err(refusal) => Err(refused(&refusal).next(match refusal {
            Refusal::PrivateMaterial(_) => {
                "a private key in a public document is a breach: revoke it and take the document down"
            }
            _ => "fetch the document again from its issuer; mend it there, not here",
        })),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inspection {
    keys: Vec<Usable>,
    left_out: Vec<LeftOut>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Usable {
    kid: String,
    kind: String,
    alg: &'static str,
    thumbprint: String,
    /// Whether the kid is the one that Kubernetes gives a key from a file.
    kubernetes_kid: bool,
    /// What that would be, when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_kid: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LeftOut {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    reason: String,
    /// A kind that no cloud knows yet (ML-DSA, Ed25519), which is no fault of the key.
    unknown_kind: bool,
}

impl Inspection {
    fn new(keys: &KeySet, findings: &[Finding]) -> Self {
        Self {
            keys: keys.iter().map(Usable::from).collect(),
            left_out: findings.iter().filter_map(LeftOut::new).collect(),
        }
    }
}

impl From<&Jwk> for Usable {
    fn from(key: &Jwk) -> Self {
        let expected = key.kubernetes_kid();
        Self {
            kid: key.kid().to_owned(),
            kind: kind(key),
            alg: key.algorithm().name(),
            thumbprint: key.thumbprint().to_string(),
            kubernetes_kid: expected == key.kid(),
            expected_kid: (expected != key.kid()).then_some(expected),
        }
    }
}

impl LeftOut {
    fn new(finding: &Finding) -> Option<Self> {
        match &finding.kind {
            FindingKind::LeftOut(problem) => Some(Self {
                index: finding.index,
                kid: finding.kid.clone(),
                reason: problem.to_string(),
                unknown_kind: finding.is_unknown_kind(),
            }),
            _ => None,
        }
    }
}

impl Report for Inspection {
    fn table(&self, paint: Paint) -> String {
        let usable = self.keys.iter().map(|key| {
            let finding = match &key.expected_kid {
                None => paint.good("ok"),
                Some(expected) => paint.warn(&format!("ok; Kubernetes would name it {expected}")),
            };
            vec![
                key.kid.clone(),
                key.kind.clone(),
                key.alg.to_owned(),
                key.thumbprint.clone(),
                finding,
            ]
        });
        let left_out = self.left_out.iter().map(|key| {
            let name = key
                .kid
                .clone()
                .unwrap_or_else(|| format!("(key number {})", key.index));
            let finding = paint.bad(&format!("left out: {}", key.reason));
            vec![name, "-".to_owned(), "-".to_owned(), "-".to_owned(), finding]
        });
        columns(
            &["KID", "KIND", "ALG", "THUMBPRINT", "FINDING"],
            usable.chain(left_out),
        )
    }
}
