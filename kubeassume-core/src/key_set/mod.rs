//! [`KeySet`]: a bounded parse into keys and findings, and one deterministic way back to bytes.

mod document;
mod limits;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use thiserror::Error;

use crate::Algorithm;
use crate::jwk::{Jwk, MAX_KID_BYTES, Members, Problem, Thumbprint};
use crate::store::MAX_DOCUMENT_BYTES;

pub(crate) use limits::Count;
pub use limits::{Limits, MAX_EC_KEYS, MAX_OTHER_KEYS, MAX_RSA_KEYS};

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
        Self::within(Limits::default(), current, retiring)
    }

    /// As [`new`](Self::new), within other limits.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn within(
        limits: Limits,
        current: impl IntoIterator<Item = Jwk>,
        retiring: impl IntoIterator<Item = Jwk>,
    ) -> Result<Self, Refusal> {
        let mut current: Vec<Jwk> = current.into_iter().collect();
        let mut retiring: Vec<Jwk> = retiring.into_iter().collect();
        let in_both = |key: &Jwk| {
            current
                .binary_search_by(|other| other.kid().cmp(key.kid()))
                .is_ok()
        };
        if !is_sorted(&current) || !is_sorted(&retiring) || retiring.iter().any(in_both) {
            (current, retiring) = sorted(limits, &current, &retiring)?;
        }
        current.append(&mut retiring);
        let mut count = Count::default();
        for key in &current {
            count.add(limits, key)?;
        }
        Ok(Self(current))
    }

    /// Parses a JWK set from a stranger: an API server, a file, the public copy.
    ///
    /// # Errors
    /// A [`Refusal`] when nothing of the document may be used.
    pub fn parse(bytes: &[u8]) -> Result<Parsed, Refusal> {
        Self::parse_within(Limits::default(), bytes)
    }

    /// As [`parse`](Self::parse), within other limits. A document's size stays limited to 1 MiB.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_within(limits: Limits, bytes: &[u8]) -> Result<Parsed, Refusal> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(Refusal::TooLarge);
        }
        let entries = document::read(limits, bytes)?;

        let mut findings = Vec::new();
        let mut kids: BTreeMap<&str, (&Members<'_>, Option<Jwk>)> = BTreeMap::new();
        let mut thumbprints: HashMap<Thumbprint, &str> = HashMap::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let finding = |kind| Finding {
                index,
                kid: entry.kid().map(cut),
                kind,
            };
            let Some(kid) = entry.kid() else {
                let problem = entry.key().err();
                findings.extend(problem.map(|problem| finding(FindingKind::LeftOut(problem))));
                continue;
            };
            // Compared before validity: a verifier that takes the unusable twin must not exist.
            let (_, usable) = match kids.entry(kid) {
                Entry::Vacant(free) => free.insert((entry, None)),
                Entry::Occupied(earlier) if earlier.get().0.is_same_key(entry) => earlier.into_mut(),
                Entry::Occupied(_) => return Err(Refusal::DuplicateKid(cut(kid))),
            };
            let key = match entry.key() {
                Ok(key) => key,
                Err(problem) => {
                    findings.push(finding(FindingKind::LeftOut(problem)));
                    continue;
                }
            };
            let first = *thumbprints.entry(key.thumbprint()).or_insert(kid);
            if first != kid {
                let problem = Problem::SecondKid(first.to_owned());
                findings.push(finding(FindingKind::LeftOut(problem)));
            } else if usable.is_none() {
                if !key.has_kubernetes_kid() {
                    findings.push(finding(FindingKind::ForeignKid(key.kubernetes_kid())));
                }
                *usable = Some(key);
            }
        }
        let mut keys = Vec::with_capacity(kids.len());
        keys.extend(kids.into_values().filter_map(|(_, key)| key));
        if keys.is_empty() {
            return Err(Refusal::Empty(findings));
        }
        Ok(Parsed {
            keys: Self::within(limits, keys, [])?,
            findings,
        })
    }

    /// The document: compact JSON, the members of each key in a fixed order. The same set gives the same
    /// bytes on every replica and in every version.
    pub fn to_bytes(&self) -> Vec<u8> {
        let size: usize = self.iter().map(|key| key.written_size() + 1).sum();
        let mut out = Vec::with_capacity(size + 16);
        out.extend_from_slice(br#"{"keys":["#);
        for (index, key) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            key.write(&mut out);
        }
        out.extend_from_slice(b"]}");
        out
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

/// Whether each `kid` stands once, in order: so does what a state publishes.
fn is_sorted(keys: &[Jwk]) -> bool {
    keys.is_sorted_by(|a, b| a.kid() < b.kid())
}

/// Both groups by `kid`, without what stands twice; what was named first stays.
fn sorted(limits: Limits, current: &[Jwk], retiring: &[Jwk]) -> Result<(Vec<Jwk>, Vec<Jwk>), Refusal> {
    let mut by_kid: BTreeMap<&str, (bool, &Jwk)> = BTreeMap::new();
    let mut count = Count::default();
    let groups = current.iter().map(|key| (true, key));
    for (is_current, key) in groups.chain(retiring.iter().map(|key| (false, key))) {
        match by_kid.entry(key.kid()) {
            Entry::Vacant(free) => free.insert((is_current, key)),
            Entry::Occupied(earlier) if earlier.get().1.is_same_key(key) => continue,
            Entry::Occupied(_) => return Err(Refusal::DuplicateKid(key.kid().to_owned())),
        };
        count.add(limits, key)?;
    }
    let group = |wanted| {
        let keys = by_kid.values().filter(|(is_current, _)| *is_current == wanted);
        keys.map(|(_, key)| (*key).clone()).collect()
    };
    Ok((group(true), group(false)))
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
    #[error("the key set has more than {} RSA, {} EC or {} other keys", .0.rsa, .0.ec, .0.other)]
    TooManyKeys(Limits),
    /// A member of a private key, or a symmetric key: a breach already. Says which member, never its value.
    #[error("the key set holds private or symmetric key material: {0}")]
    PrivateMaterial(&'static str),
    /// No usable key; with what was left out.
    #[error("the key set has no usable key{}", .0.first().map(|f| format!(" ({f})")).unwrap_or_default())]
    Empty(Vec<Finding>),
    /// One `kid` names two keys; verifiers would pick one or the other.
    #[error("kid {0:?} names two different keys")]
    DuplicateKid(String),
}
