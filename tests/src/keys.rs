//! Keys for API servers: made at test time, so that no private key lies in the repository.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};
use sha2::{Digest, Sha256};

/// A service account signing key, as files for kube-apiserver.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    private_pem: String,
    public_pem: String,
    kid: String,
}

impl SigningKey {
    /// A new RSA key of 2048 bits: tokens are RS256.
    pub fn rsa() -> Self {
        Self::from(&KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("an RSA key"))
    }

    /// A new P-256 key: tokens are ES256.
    pub fn p256() -> Self {
        Self::from(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a P-256 key"))
    }

    /// A key that somebody else has made.
    ///
    /// # Panics
    ///
    /// It is no private key in PEM.
    pub fn from_pem(pem: &str) -> Self {
        Self::from(&KeyPair::from_pem(pem).expect("a private key"))
    }

    /// The private key: PEM, PKCS#8.
    pub fn private_pem(&self) -> &str {
        &self.private_pem
    }

    /// The public key: PEM, PKIX.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// The key id that kube-apiserver gives it: base64url of the SHA-256 of its PKIX form.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

impl From<&KeyPair> for SigningKey {
    fn from(pair: &KeyPair) -> Self {
        Self {
            private_pem: pair.serialize_pem(),
            public_pem: pair.public_key_pem(),
            kid: URL_SAFE_NO_PAD.encode(Sha256::digest(pair.subject_public_key_info())),
        }
    }
}

/// Names the key only.
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// The key id in a token's header; nothing is verified.
pub fn token_kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD
        .decode(token.split('.').next().unwrap())
        .expect("the header is base64url");
    let header: serde_json::Value = serde_json::from_slice(&header).expect("the header is JSON");
    header["kid"].as_str().expect("the header has a kid").to_owned()
}
