//! [`Jwk`]: one public signing key, strict in both directions.
//!
//! What is published has exactly the members `kty`, `use`, `alg`, `kid` and the key's own numbers: Google
//! Cloud refuses a JWK with any other member and AWS STS one with `key_ops`. A `Jwk` therefore cannot hold
//! anything else, and it cannot hold a weak key, a point off its curve or a foreign algorithm: those are
//! [`Problem`]s, found while parsing.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::curve;
use crate::json::Json;

/// The longest `kid`, in bytes.
pub const MAX_KID_BYTES: usize = 256;

/// A public RSA or EC signing key with its `kid` and the one algorithm that it verifies.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "JwkMembers", into = "JwkMembers")]
pub struct Jwk {
    kid: String,
    algorithm: Algorithm,
    material: Material,
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

    /// The curve's object identifier in DER (RFC 5480 section 2.1.1.1).
    fn oid(self) -> &'static [u8] {
        match self {
            Self::P256 => &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            Self::P384 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
            Self::P521 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23],
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
        check_kid(&kid)?;
        material.check()?;
        if !material.allows(algorithm) {
            return Err(Problem::Algorithm(algorithm.name().to_owned()));
        }
        Ok(Self {
            kid,
            algorithm,
            material,
        })
    }

    /// The key's name in token headers.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm with which the key may be used. A verifier takes it from here, never from a token.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The numbers.
    pub fn material(&self) -> &Material {
        &self.material
    }

    /// The RFC 7638 thumbprint: the key's identity whatever its `kid` is.
    pub fn thumbprint(&self) -> Thumbprint {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // Members in lexicographic order, no spaces (RFC 7638 section 3).
        let canonical = match &self.material {
            Material::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, b64(e), b64(n)),
            Material::Ec { curve, x, y } => {
                format!(
                    r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
                    curve.name(),
                    b64(x),
                    b64(y)
                )
            }
        };
        Thumbprint(b64(&Sha256::digest(canonical.as_bytes())))
    }

    /// The `kid` that Kubernetes gives a key from a file: unpadded base64url of SHA-256 over the key's PKIX
    /// DER. External signers (KEP-740) choose their own, so a difference is worth telling, not an error.
    pub fn kubernetes_kid(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.material.to_pkix_der()))
    }

    /// Reads one member of a key set.
    pub(crate) fn from_json(key: &Json<'_>) -> Result<Self, Problem> {
        let kind = text(key, "kty")?.ok_or(Problem::Missing("kty"))?;
        let material = match kind {
            "RSA" => Material::Rsa {
                n: number(key, "n")?,
                e: number(key, "e")?,
            },
            "EC" => {
                let name = text(key, "crv")?.ok_or(Problem::Missing("crv"))?;
                let curve = [Curve::P256, Curve::P384, Curve::P521]
                    .into_iter()
                    .find(|curve| curve.name() == name)
                    .ok_or_else(|| Problem::Kind(shown(name)))?;
                Material::Ec {
                    curve,
                    x: number(key, "x")?,
                    y: number(key, "y")?,
                }
            }
            other => return Err(Problem::Kind(shown(other))),
        };
        if let Some(usage) = text(key, "use")?
            && usage != "sig"
        {
            return Err(Problem::Use(shown(usage)));
        }
        let algorithm = match text(key, "alg")? {
            None => material.default_algorithm(),
            Some(name) => name.parse().map_err(|()| Problem::Algorithm(shown(name)))?,
        };
        Self::new(
            text(key, "kid")?.ok_or(Problem::Missing("kid"))?,
            algorithm,
            material,
        )
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

    /// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7): RFC 3279 section 2.3.1 for RSA, RFC 5480 for EC.
    fn to_pkix_der(&self) -> Vec<u8> {
        let (identifier, key) = match self {
            Self::Rsa { n, e } => {
                // rsaEncryption, with its NULL parameters.
                let identifier = vec![
                    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
                ];
                (
                    identifier,
                    der(0x30, &[der_unsigned(n), der_unsigned(e)].concat()),
                )
            }
            Self::Ec { curve, x, y } => {
                let ec_public_key = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
                (
                    [ec_public_key, curve.oid()].concat(),
                    [&[0x04], x.as_slice(), y.as_slice()].concat(),
                )
            }
        };
        let bit_string = der(0x03, &[&[0x00], key.as_slice()].concat());
        der(0x30, &[der(0x30, &identifier), bit_string].concat())
    }
}

fn der_unsigned(number: &[u8]) -> Vec<u8> {
    if number.first().is_some_and(|byte| byte & 0x80 != 0) {
        der(0x02, &[&[0], number].concat())
    } else {
        der(0x02, number)
    }
}

fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let significant = length
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(length.len() - 1);
    let length = length.get(significant..).unwrap_or_default();
    let mut out = vec![tag];
    if contents.len() >= 0x80 {
        out.push(0x80 | length.len() as u8);
    }
    out.extend_from_slice(length);
    out.extend_from_slice(contents);
    out
}

fn check_kid(kid: &str) -> Result<(), Problem> {
    match kid.len() {
        0 => Err(Problem::Missing("kid")),
        1..=MAX_KID_BYTES => Ok(()),
        _ => Err(Problem::KidLength),
    }
}

fn text<'k>(key: &'k Json<'_>, member: &'static str) -> Result<Option<&'k str>, Problem> {
    match key.member(member) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::NotText(member)),
    }
}

fn number(key: &Json<'_>, member: &'static str) -> Result<Vec<u8>, Problem> {
    let text = text(key, member)?.ok_or(Problem::Missing(member))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Problem::Base64(member))
}

/// Text from a stranger, cut to what a log line can bear.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).filter(|c| !c.is_control()).collect()
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jwk({} {})", self.algorithm, self.kid)
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

/// The published members, in the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JwkMembers {
    kty: String,
    #[serde(rename = "use")]
    usage: String,
    alg: Algorithm,
    kid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

impl From<Jwk> for JwkMembers {
    fn from(jwk: Jwk) -> Self {
        let b64 = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        let mut members = Self {
            kty: String::new(),
            usage: "sig".to_owned(),
            alg: jwk.algorithm,
            kid: jwk.kid,
            n: None,
            e: None,
            crv: None,
            x: None,
            y: None,
        };
        match &jwk.material {
            Material::Rsa { n, e } => {
                members.kty = "RSA".to_owned();
                members.n = b64(n);
                members.e = b64(e);
            }
            Material::Ec { curve, x, y } => {
                members.kty = "EC".to_owned();
                members.crv = Some(curve.name().to_owned());
                members.x = b64(x);
                members.y = b64(y);
            }
        }
        members
    }
}

impl TryFrom<JwkMembers> for Jwk {
    type Error = Problem;

    fn try_from(members: JwkMembers) -> Result<Self, Problem> {
        let bytes = serde_json::to_vec(&members).map_err(|_| Problem::Missing("kty"))?;
        let json = Json::parse(&bytes).map_err(|_| Problem::Missing("kty"))?;
        Self::from_json(&json)
    }
}

/// An RFC 7638 SHA-256 thumbprint, in unpadded base64url: 43 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint(String);

impl Thumbprint {
    /// The thumbprint as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Thumbprint {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(bytes) if bytes.len() == 32 => Ok(Self(text.to_owned())),
            _ => Err(Problem::Thumbprint),
        }
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        thumbprint.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why one key cannot be published. It is left out; the others are not blocked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A required member is absent or empty.
    #[error("member {0:?} is missing")]
    Missing(&'static str),
    /// A member that has to be a string is something else.
    #[error("member {0:?} is not a string")]
    NotText(&'static str),
    /// Padding, another alphabet, or stray bits (RFC 7515 section 2).
    #[error("member {0:?} is not unpadded base64url")]
    Base64(&'static str),
    /// More than [`MAX_KID_BYTES`].
    #[error("the kid is longer than {MAX_KID_BYTES} bytes")]
    KidLength,
    /// Neither RSA nor an EC curve that relying parties know: OKP, AKP (ML-DSA), secp256k1.
    #[error("keys of kind {0:?} are not accepted by the clouds")]
    Kind(String),
    /// A `use` other than `sig`.
    #[error("its use is {0:?}, not \"sig\"")]
    Use(String),
    /// An `alg` that does not belong to the key.
    #[error("algorithm {0:?} does not belong to this key")]
    Algorithm(String),
    /// Not from 2048 to 8192 bits.
    #[error("the RSA modulus has {0} bits; 2048 to 8192 are accepted")]
    ModulusSize(usize),
    /// A product of two odd primes is odd.
    #[error("the RSA modulus is even")]
    EvenModulus,
    /// Even, below 3 or above 2³¹ − 1.
    #[error("the RSA exponent is not an odd number from 3 to 2147483647")]
    Exponent,
    /// Two spellings of one number (RFC 7518 section 2: the minimum number of octets).
    #[error("an RSA number begins with a zero octet (RFC 7518 section 2)")]
    LeadingZero,
    /// Not the curve's full length (RFC 7518 section 6.2.1.2).
    #[error("a coordinate does not have the length that {0} requires")]
    CoordinateLength(&'static str),
    /// See SEC 1 section 3.2.2.1.
    #[error("the point is not on {0}")]
    OffCurve(&'static str),
    /// The same key stands in the set under another kid.
    #[error("the same key also stands under kid {0:?}")]
    SecondKid(String),
    /// Not 43 characters of base64url.
    #[error("not an RFC 7638 SHA-256 thumbprint (43 characters of base64url)")]
    Thumbprint,
}
