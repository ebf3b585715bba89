//! What a strict relying party does with a token.
//!
//! The hops, in order; the first that fails is the answer ([`VerifyError::hop`]):
//!
//! 1. *token*: at most 64 KiB, three segments of strict base64url, a header without duplicates that names
//!    its key and brings nothing along (`crit`, `jku`, `jwk`, `x5u`, `x5c` …).
//! 2. *discovery*: the issuer's document, over TLS, bounded, without redirects, naming exactly the issuer.
//! 3. *jwks*: the key set at its `jwks_uri`, parsed as strictly as everywhere in this crate.
//! 4. *key*: the one with the token's `kid`. Its algorithm is the only one: a token's `alg` is compared
//!    with it and chooses nothing (RFC 8725 sections 2.1 and 3.1), so neither `none` nor an HMAC over the
//!    public key nor another hash can pass.
//! 5. *signature*.
//! 6. *claims*: `iss`, `sub`, `aud`, `exp` and `iat` required and well-typed, `nbf` honoured; nothing of
//!    them is parsed before the signature holds.
//!
//! Keys are cached as [`CachePolicy`] says. Documents come through a [`PublicReader`], which enforces TLS,
//! limits and the absence of redirects.
//!
//! What this does not do: it asks nobody whether the token or its service account still exists (Kubernetes'
//! TokenReview does), it remembers no token, and it knows nothing of access tokens, sessions or nonces.
//!
//! Signatures are checked with aws-lc-rs itself. `jsonwebtoken` lacks ES512, reads claims that stand twice,
//! and takes its provider from a process-wide setting that panics when it cannot decide, which a library
//! cannot prevent; the tests use it as an independent second opinion.

mod claims;
mod documents;
mod error;
mod jwks_cache;
mod key;
mod limits;
mod public;
mod token;

use std::fmt;
use std::sync::Arc;

pub use claims::Claims;
pub use error::{ClaimError, DiscoveryFailure, JwksFailure, KeyError, TokenError, VerifyError};
pub use jwks_cache::CachePolicy;
pub use limits::{CLOCK_SKEW, MAX_TOKEN_BYTES};
pub use public::{PublicCopy, Remark, check_documents};

use crate::{Clock, IssuerUrl, PublicReader};
use claims::Expected;
use jwks_cache::KeyCache;
use token::Token;

/// Verifies the tokens of one issuer for one audience. Keep it: its keys are cached.
pub struct Verifier {
    audience: String,
    keys: KeyCache,
}

impl Verifier {
    /// A relying party that trusts this issuer and is known to it as `audience`.
    pub fn new(
        issuer: IssuerUrl,
        audience: impl Into<String>,
        reader: Arc<dyn PublicReader>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            audience: audience.into(),
            keys: KeyCache::new(issuer, reader, clock),
        }
    }

    /// Caches keys in another way than [`CachePolicy::default`].
    #[must_use]
    pub fn with_cache_policy(mut self, policy: CachePolicy) -> Self {
        self.keys.policy = policy;
        self
    }

    /// Accepts a token or says which hop refuses it. White space around the token is not ignored.
    ///
    /// # Errors
    /// [`VerifyError`], by hop.
    pub async fn verify(&self, token: &str) -> Result<Claims, VerifyError> {
        let token = Token::parse(token)?;
        let key = self
            .keys
            .key(&token.kid)
            .await
            .map_err(|error| self.explained(error, &token))?;
        if key.algorithm() != token.algorithm {
            return Err(VerifyError::Key(KeyError::Algorithm {
                token: token.algorithm,
                key: key.algorithm(),
                kid: token.kid,
            }));
        }
        if !key.verifies(token.signed.as_bytes(), &token.signature) {
            return Err(VerifyError::Signature {
                algorithm: key.algorithm(),
                kid: token.kid,
            });
        }
        let claims = token.claims()?;
        let expected = Expected {
            issuer: &self.keys.issuer,
            audience: &self.audience,
            now: self.keys.clock.now(),
        };
        Ok(expected.check(&claims, token.kid, key.algorithm())?)
    }

    /// An unknown key is most often another cluster's: say so where the token does.
    fn explained(&self, mut error: VerifyError, token: &Token<'_>) -> VerifyError {
        if let VerifyError::Key(KeyError::Unknown { token_issuer, .. }) = &mut error {
            *token_issuer = token
                .unverified_issuer()
                .filter(|issuer| issuer != self.keys.issuer.as_str())
                .map(|issuer| issuer.chars().take(256).collect());
        }
        error
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("issuer", &self.keys.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
