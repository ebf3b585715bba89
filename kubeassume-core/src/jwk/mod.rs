//! [`Jwk`]: one public signing key, strict in both directions.
//!
//! What is published has exactly the members `kty`, `use`, `alg`, `kid` and the key's own numbers: Google
//! Cloud refuses a JWK with any other member and AWS STS one with `key_ops`. A `Jwk` therefore cannot hold
//! anything else, and it cannot hold a weak key, a point off its curve or a foreign algorithm: those are
//! [`Problem`]s, found while parsing.

#[cfg(test)]
mod any;
mod members;
mod numbers;
mod pkix;
mod problem;
mod published;
mod stored;
mod thumbprint;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::curve;
use crate::publication::digest;

pub(crate) use members::{Entry, Members};
use numbers::Numbers;
pub use problem::Problem;
pub use thumbprint::Thumbprint;

/// The longest `kid`, in bytes.
pub const MAX_KID_BYTES: usize = 256;

/// A public RSA or EC signing key with its `kid` and the one algorithm that it verifies.
///
/// It never changes once it was checked, so a clone is another reference to the same key.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "stored::Stored")]
pub struct Jwk(Arc<Checked>);

#[derive(PartialEq, Eq, Hash)]
struct Checked {
    kid: String,
    algorithm: Algorithm,
    material: Material,
    thumbprint: Thumbprint,
}

/// The numbers of a public key, big-endian, checked.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Material {
    /// An RSA key: an odd modulus of 2048 to 8192 bits without leading zeros, and its exponent.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent: odd, from 3 up to 2³¹ − 1, the range of Go's `crypto/rsa`.
        e: Vec<u8>,
    },
    /// A point on its curve, both coordinates at the curve's full length.
    Ec {
        /// The curve.
        curve: Curve,
        /// The x coordinate.
        x: Vec<u8>,
        /// The y coordinate.
        y: Vec<u8>,
    },
}

/// The curves of RFC 7518 section 6.2.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the variants are the curves' own names")]
pub enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// The name in a JWK: `P-256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The one algorithm that belongs to the curve (RFC 7518 section 3.4).
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::P521 => Algorithm::Es512,
        }
    }

    fn contains(self, x: &[u8], y: &[u8]) -> bool {
        match self {
            Self::P256 => curve::on_p256(x, y),
            Self::P384 => curve::on_p384(x, y),
            Self::P521 => curve::on_p521(x, y),
        }
    }

    fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// The signature algorithms that a published key may have (RFC 7518 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the variants are the algorithms' own names")]
pub enum Algorithm {
    Es256,
    Es384,
    Es512,
    Rs256,
    Rs384,
    Rs512,
}

impl Algorithm {
    /// The name in a JWK or a token's header: `RS256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }
}

impl FromStr for Algorithm {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [
            Self::Es256,
            Self::Es384,
            Self::Es512,
            Self::Rs256,
            Self::Rs384,
            Self::Rs512,
        ]
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
        .ok_or(())
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Jwk {
    /// Builds a key from its numbers, checking all of them.
    ///
    /// # Errors
    /// The first [`Problem`] found.
    pub fn new(kid: impl Into<String>, algorithm: Algorithm, material: Material) -> Result<Self, Problem> {
        let kid = kid.into();
        Self::check(&kid, algorithm, &material)?;
        let numbers = Numbers::of(&material);
        Ok(Self::unchecked(kid, algorithm, material, &numbers))
    }

    fn check(kid: &str, algorithm: Algorithm, material: &Material) -> Result<(), Problem> {
        check_kid(kid)?;
        material.check()?;
        if material.allows(algorithm) {
            Ok(())
        } else {
            Err(Problem::Algorithm(algorithm.name().to_owned()))
        }
    }

    /// A key from parts that were [checked](Self::check).
    fn unchecked(kid: String, algorithm: Algorithm, material: Material, numbers: &Numbers<'_>) -> Self {
        Self(Arc::new(Checked {
            thumbprint: numbers.thumbprint(),
            kid,
            algorithm,
            material,
        }))
    }

    /// The key's name in token headers.
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// The one algorithm with which the key may be used. A verifier takes it from here, never from a token.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The numbers.
    pub fn material(&self) -> &Material {
        &self.0.material
    }

    /// The RFC 7638 thumbprint: the key's identity whatever its `kid` is.
    pub fn thumbprint(&self) -> Thumbprint {
        self.0.thumbprint.clone()
    }

    /// Whether the numbers are the same, whatever the `kid` and the algorithm are.
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        self.0.thumbprint == other.0.thumbprint
    }

    /// The `kid` that Kubernetes gives a key from a file: unpadded base64url of SHA-256 over the key's PKIX
    /// DER. External signers (KEP-740) choose their own, so a difference is worth telling, not an error.
    pub fn kubernetes_kid(&self) -> String {
        digest(&pkix::public_key_info(self.material()))
    }

    /// Whether its `kid` is that one.
    pub(crate) fn has_kubernetes_kid(&self) -> bool {
        let digest = Sha256::digest(pkix::public_key_info(self.material()));
        thumbprint::base64url(&digest) == *self.kid().as_bytes()
    }
}

impl Material {
    fn check(&self) -> Result<(), Problem> {
        match self {
            Self::Rsa { n, e } => {
                if n.first() == Some(&0) || e.first() == Some(&0) {
                    return Err(Problem::LeadingZero);
                }
                let bits = (n.len() * 8).saturating_sub(n.first().map_or(0, |b| b.leading_zeros() as usize));
                if !(2048..=8192).contains(&bits) {
                    return Err(Problem::ModulusSize(bits));
                }
                if n.last().is_some_and(|byte| byte % 2 == 0) {
                    return Err(Problem::EvenModulus);
                }
                let exponent = e.iter().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
                let odd = exponent % 2 == 1;
                if e.len() > 4 || !odd || !(3..=0x7fff_ffff).contains(&exponent) {
                    return Err(Problem::Exponent);
                }
                Ok(())
            }
            Self::Ec { curve, x, y } => {
                if x.len() != curve.coordinate_bytes() || y.len() != curve.coordinate_bytes() {
                    return Err(Problem::CoordinateLength(curve.name()));
                }
                if !curve.contains(x, y) {
                    return Err(Problem::OffCurve(curve.name()));
                }
                Ok(())
            }
        }
    }

    fn default_algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::Ec { curve, .. } => curve.algorithm(),
        }
    }

    fn allows(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => matches!(algorithm, Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512),
            Self::Ec { curve, .. } => algorithm == curve.algorithm(),
        }
    }
}

fn check_kid(kid: &str) -> Result<(), Problem> {
    match kid.len() {
        0 => Err(Problem::Missing("kid")),
        1..=MAX_KID_BYTES => Ok(()),
        _ => Err(Problem::KidLength),
    }
}

/// Text from a stranger, cut to what a log line can bear.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).filter(|c| !c.is_control()).collect()
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jwk({} {})", self.algorithm(), self.kid())
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { n, .. } => write!(f, "RSA-{}", n.len() * 8),
            Self::Ec { curve, .. } => write!(f, "EC {}", curve.name()),
        }
    }
}
