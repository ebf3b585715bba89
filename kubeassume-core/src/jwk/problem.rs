//! [`Problem`]: why one key cannot be published.

use thiserror::Error;

use super::MAX_KID_BYTES;

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
