//! Keys and tokens, signed without any of the code under test.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Made once: RSA keys take their time.
pub(crate) static RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("rsa-1", "RS256"));
pub(crate) static P256: LazyLock<Signer> = LazyLock::new(|| Signer::ec("p256-1", "ES256"));
pub(crate) static P384: LazyLock<Signer> = LazyLock::new(|| Signer::ec("p384-1", "ES384"));
pub(crate) static P521: LazyLock<Signer> = LazyLock::new(|| Signer::ec("p521-1", "ES512"));

pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) algorithm: &'static str,
    pub(crate) pair: Pair,
}

pub(crate) enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl Signer {
    pub(crate) fn rsa(kid: &str, algorithm: &'static str) -> Self {
        Self {
            kid: kid.to_owned(),
            algorithm,
            pair: Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        }
    }

    pub(crate) fn ec(kid: &str, algorithm: &'static str) -> Self {
        let signing = match algorithm {
            "ES256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
            "ES384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
            "ES512" => &ECDSA_P521_SHA512_FIXED_SIGNING,
            other => panic!("{other}"),
        };
        Self {
            kid: kid.to_owned(),
            algorithm,
            pair: Pair::Ec(EcdsaKeyPair::generate(signing).unwrap()),
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                // RFC 8017 RSAPublicKey with a 2048-bit modulus and the exponent 65537.
                let der = pair.public_key().as_ref();
                assert_eq!(der.len(), 270);
                json!({"kty": "RSA", "use": "sig", "alg": self.algorithm, "kid": self.kid,
                    "n": b64(&der[9..265]), "e": b64(&der[267..])})
            }
            Pair::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve =
                    ["P-256", "P-384", "P-521"][[32, 48, 66].iter().position(|n| *n == x.len()).unwrap()];
                json!({"kty": "EC", "use": "sig", "alg": self.algorithm, "kid": self.kid,
                    "crv": curve, "x": b64(x), "y": b64(y)})
            }
        }
    }

    pub(crate) fn signature(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(_) => self.rsa_signature(
                match self.algorithm {
                    "RS256" => &RSA_PKCS1_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    _ => &RSA_PKCS1_SHA512,
                },
                message,
            ),
            Pair::Ec(pair) => pair
                .sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec(),
        }
    }

    pub(crate) fn rsa_signature(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let Pair::Rsa(pair) = &self.pair else {
            panic!("not an RSA key")
        };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
            .unwrap();
        signature
    }

    /// The header that kube-apiserver writes.
    pub(crate) fn header(&self) -> String {
        format!(r#"{{"alg":"{}","kid":"{}"}}"#, self.algorithm, self.kid)
    }

    /// A token of these claims.
    pub(crate) fn token(&self, claims: &str) -> String {
        self.token_with(&self.header(), claims)
    }

    /// A token of this header and these claims, both as JSON text or what pretends to be.
    pub(crate) fn token_with(&self, header: &str, claims: &str) -> String {
        self.sign(&format!("{}.{}", b64(header), b64(claims)))
    }

    /// A token of a header and claims that are encoded already.
    pub(crate) fn sign(&self, signed: &str) -> String {
        format!("{signed}.{}", b64(self.signature(signed.as_bytes())))
    }
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
