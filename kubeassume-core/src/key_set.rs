//! [`KeySet`]: a bounded parse into keys and findings, and one deterministic way back to bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use crate::Algorithm;
use crate::json::Json;
use crate::jwk::{Jwk, MAX_KID_BYTES, Material, Problem, Thumbprint};
use crate::store::MAX_DOCUMENT_BYTES;

/// The most RSA keys in a set; beyond 100, AWS STS stops accepting RSA and Entra stops reading.
pub const MAX_RSA_KEYS: usize = 100;
/// The most EC keys in a set.
pub const MAX_EC_KEYS: usize = 100;
/// The most keys of other kinds that are read past.
pub const MAX_OTHER_KEYS: usize = 100;

/// Members that only a private or a symmetric key has (RFC 7518 section 6, RFC 8037, `priv` of AKP keys).
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// Public signing keys with distinct `kid`s: first the current ones by `kid`, then the retiring ones.
///
/// Verifiers try keys by `kid`, so the order is for those that stop reading: Entra keeps the first 100.
///
/// ```
/// use kubeassume_core::KeySet;
///
/// let parsed = KeySet::parse(br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a",
///     "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
///     {"kty":"OKP","crv":"Ed25519","kid":"b","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#)?;
/// assert_eq!(parsed.keys.len(), 1);
/// assert!(parsed.findings.iter().any(|f| f.kid.as_deref() == Some("b") && f.is_left_out()));
/// assert!(String::from_utf8(parsed.keys.to_bytes()).unwrap().contains(r#""use":"sig","alg":"ES256","kid":"a""#));
/// # Ok::<(), kubeassume_core::Refusal>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct KeySet(Vec<Jwk>);

/// What a document held: the usable keys, and what was left out or is worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The usable keys, by `kid`.
    pub keys: KeySet,
    /// Keys that were left out, and remarks on keys that were not.
    pub findings: Vec<Finding>,
}

/// Something about one key of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The key's place in the document, from 0.
    pub index: usize,
    /// Its `kid`, when it has a readable one; cut to 256 bytes.
    pub kid: Option<String>,
    /// What was found.
    pub kind: FindingKind,
}

/// Whether a finding costs the key its place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// The key is left out.
    LeftOut(Problem),
    /// The key is kept; its `kid` is not the one that Kubernetes gives keys from files (this one). An
    /// external signer chooses its own (KEP-740).
    ForeignKid(String),
}

impl Finding {
    /// Whether the key is left out because no cloud knows its kind (ML-DSA, Ed25519), and for no fault.
    pub fn is_unknown_kind(&self) -> bool {
        matches!(self.kind, FindingKind::LeftOut(Problem::Kind(_)))
    }

    /// Whether the key is left out.
    pub fn is_left_out(&self) -> bool {
        matches!(self.kind, FindingKind::LeftOut(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "key {kid:?}: ")?,
            None => write!(f, "key number {}: ", self.index)?,
        }
        match &self.kind {
            FindingKind::LeftOut(problem) => write!(f, "left out: {problem}"),
            FindingKind::ForeignKid(expected) => {
                write!(f, "its kid is not the one Kubernetes would give it ({expected})")
            }
        }
    }
}

impl KeySet {
    /// A set of these keys, current before retiring, each group by `kid`. A key that stands in both is
    /// current.
    ///
    /// # Errors
    /// [`Refusal::DuplicateKid`] or [`Refusal::TooManyKeys`].
    pub fn new(
        current: impl IntoIterator<Item = Jwk>,
        retiring: impl IntoIterator<Item = Jwk>,
    ) -> Result<Self, Refusal> {
        let mut by_kid: BTreeMap<String, Thumbprint> = BTreeMap::new();
        let mut keys: Vec<Jwk> = Vec::new();
        let (mut rsa, mut ec) = (0, 0);
        let mut add = |group: &mut dyn Iterator<Item = Jwk>| -> Result<(), Refusal> {
            let first = keys.len();
            for key in group {
                match by_kid.get(key.kid()) {
                    Some(thumbprint) if *thumbprint == key.thumbprint() => continue,
                    Some(_) => return Err(Refusal::DuplicateKid(key.kid().to_owned())),
                    None => by_kid.insert(key.kid().to_owned(), key.thumbprint()),
                };
                match key.material() {
                    Material::Rsa { .. } => rsa += 1,
                    Material::Ec { .. } => ec += 1,
                }
                if rsa > MAX_RSA_KEYS || ec > MAX_EC_KEYS {
                    return Err(Refusal::TooManyKeys);
                }
                keys.push(key);
            }
            if let Some(group) = keys.get_mut(first..) {
                group.sort_by(|a, b| a.kid().cmp(b.kid()));
            }
            Ok(())
        };
        add(&mut current.into_iter())?;
        add(&mut retiring.into_iter())?;
        Ok(Self(keys))
    }

    /// Parses a JWK set from a stranger: an API server, a file, the public copy.
    ///
    /// # Errors
    /// A [`Refusal`] when nothing of the document may be used.
    pub fn parse(bytes: &[u8]) -> Result<Parsed, Refusal> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(Refusal::TooLarge);
        }
        let json = Json::parse(bytes).map_err(|e| Refusal::Malformed(e.to_string()))?;
        let Some(Json::Array(entries)) = json.member("keys") else {
            return Err(Refusal::Malformed(
                "there is no array \"keys\" (RFC 7517 section 5)".to_owned(),
            ));
        };
        refuse_private(entries)?;
        refuse_too_many(entries)?;

        let mut keys: Vec<Jwk> = Vec::new();
        let mut findings = Vec::new();
        let mut kids: BTreeMap<&str, &Json<'_>> = BTreeMap::new();
        let mut thumbprints: BTreeMap<Thumbprint, String> = BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            let kid = entry.member("kid").and_then(Json::text);
            let shown = kid.map(cut);
            let mut left_out = |problem| {
                findings.push(Finding {
                    index,
                    kid: shown.clone(),
                    kind: FindingKind::LeftOut(problem),
                });
            };
            // Compared before validity: a verifier that takes the unusable twin must not exist.
            if let Some(kid) = kid
                && let Some(earlier) = kids.insert(kid, entry)
                && !same_key(earlier, entry)
            {
                return Err(Refusal::DuplicateKid(cut(kid)));
            }
            let key = match Jwk::from_json(entry) {
                Ok(key) => key,
                Err(problem) => {
                    left_out(problem);
                    continue;
                }
            };
            match thumbprints.insert(key.thumbprint(), key.kid().to_owned()) {
                None => {}
                Some(earlier) if earlier == key.kid() => continue,
                Some(earlier) => {
                    left_out(Problem::SecondKid(earlier.clone()));
                    thumbprints.insert(key.thumbprint(), earlier);
                    continue;
                }
            }
            let expected = key.kubernetes_kid();
            if expected != key.kid() {
                findings.push(Finding {
                    index,
                    kid: shown,
                    kind: FindingKind::ForeignKid(expected),
                });
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(Refusal::Empty(findings));
        }
        Ok(Parsed {
            keys: Self::new(keys, [])?,
            findings,
        })
    }

    /// The document: compact JSON, the members of each key in a fixed order. The same set gives the same
    /// bytes on every replica and in every version.
    pub fn to_bytes(&self) -> Vec<u8> {
        #[derive(serde::Serialize)]
        struct Document<'a> {
            keys: &'a [Jwk],
        }
        // Strings into a vector: serde_json has nothing to fail on.
        serde_json::to_vec(&Document { keys: &self.0 }).unwrap_or_default()
    }

    /// The keys of several sets, each once.
    ///
    /// # Errors
    /// [`Refusal::DuplicateKid`] when two sets give one `kid` to two keys, or [`Refusal::TooManyKeys`].
    pub fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Result<Self, Refusal> {
        Self::new(sets.into_iter().flat_map(|set| set.iter().cloned()), [])
    }

    /// The keys in published order.
    pub fn iter(&self) -> std::slice::Iter<'_, Jwk> {
        self.0.iter()
    }

    /// The key of that name.
    pub fn by_kid(&self, kid: &str) -> Option<&Jwk> {
        self.0.iter().find(|key| key.kid() == kid)
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none; only an explicit revocation of the last key may publish that.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The algorithms of all keys, sorted.
    pub fn algorithms(&self) -> BTreeSet<Algorithm> {
        self.0.iter().map(Jwk::algorithm).collect()
    }
}

impl<'a> IntoIterator for &'a KeySet {
    type Item = &'a Jwk;
    type IntoIter = std::slice::Iter<'a, Jwk>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// A stranger's `kid`, no longer than a good one may be.
fn cut(kid: &str) -> String {
    kid.chars()
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes <= MAX_KID_BYTES).then_some(c)
        })
        .collect()
}

/// A private key in a public document is a breach already; nothing of such a document is used.
fn refuse_private(entries: &[Json<'_>]) -> Result<(), Refusal> {
    for entry in entries {
        if entry.member("kty").and_then(Json::text) == Some("oct") {
            return Err(Refusal::PrivateMaterial("a symmetric key (kty oct)"));
        }
        if let Some(member) = PRIVATE_MEMBERS.iter().find(|name| entry.member(name).is_some()) {
            return Err(Refusal::PrivateMaterial(member));
        }
    }
    Ok(())
}

fn refuse_too_many(entries: &[Json<'_>]) -> Result<(), Refusal> {
    let count = |kty: &str| {
        entries
            .iter()
            .filter(|entry| entry.member("kty").and_then(Json::text) == Some(kty))
            .count()
    };
    let (rsa, ec) = (count("RSA"), count("EC"));
    if rsa > MAX_RSA_KEYS || ec > MAX_EC_KEYS || entries.len() - rsa - ec > MAX_OTHER_KEYS {
        return Err(Refusal::TooManyKeys);
    }
    Ok(())
}

/// Whether two entries with one kid hold the same key, comparing what makes the key.
fn same_key(a: &Json<'_>, b: &Json<'_>) -> bool {
    ["kty", "crv", "n", "e", "x", "y", "alg", "pub"]
        .iter()
        .all(|name| a.member(name) == b.member(name))
}

/// Why nothing of a document may be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not JSON, a duplicate member, too deep, or not a JWK set.
    #[error("malformed key set: {0}")]
    Malformed(String),
    /// Over 1 MiB.
    #[error("the key set is larger than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge,
    /// More keys than relying parties read.
    #[error("the key set has more than {MAX_RSA_KEYS} RSA, {MAX_EC_KEYS} EC or {MAX_OTHER_KEYS} other keys")]
    TooManyKeys,
    /// A member of a private key, or a symmetric key. Says which member, never its value.
    #[error("the key set holds private or symmetric key material: {0}")]
    PrivateMaterial(&'static str),
    /// No usable key; with what was left out.
    #[error("the key set has no usable key{}", .0.first().map(|f| format!(" ({f})")).unwrap_or_default())]
    Empty(Vec<Finding>),
    /// One `kid` names two keys; verifiers would pick one or the other.
    #[error("kid {0:?} names two different keys")]
    DuplicateKid(String),
}
