//! A relying party that has read the issuer's documents once, and raw `jsonwebtoken` with the key in hand.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, Validation};
use kubeassume_core::clock::SystemClock;
use kubeassume_core::verify::{Claims, Verifier};
use kubeassume_core::{
    Algorithm, Curve, Discovery, IssuerUrl, Jwk, KeySet, Material, PublicDocument, PublicReadError,
    PublicReader,
};
use serde::Deserialize;

const ISSUER: &str = "https://keys.s3.eu-central-1.amazonaws.com/cluster1";
const AUDIENCE: &str = "sts.amazonaws.com";

/// A signed service account token and both ways to verify it.
pub(crate) struct Scene {
    token: String,
    verifier: Verifier,
    key: DecodingKey,
    validation: Validation,
}

impl Scene {
    /// A token for an hour, from a key that is generated now.
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let signer = Signer::generate(algorithm);
        let jwk = signer.jwk();
        let header = format!(r#"{{"alg":"{algorithm}","kid":"{}"}}"#, jwk.kid());
        let signed = format!("{}.{}", b64(header.as_bytes()), b64(claims().as_bytes()));
        let token = format!("{signed}.{}", b64(&signer.sign(signed.as_bytes())));
        let scene = Self {
            token,
            verifier: verifier(&jwk),
            key: decoding_key(jwk.material()),
            validation: validation(algorithm),
        };
        // Reads the documents; from here on the cache is warm.
        scene.verify();
        scene
    }

    /// Through this project's verifier, cache look-up included.
    pub(crate) fn verify(&self) -> Claims {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(self.verifier.verify(&self.token)).poll(&mut context) {
            Poll::Ready(verified) => verified.expect("a good token"),
            Poll::Pending => unreachable!("nothing here waits"),
        }
    }

    /// Raw `jsonwebtoken`, with the key at hand.
    pub(crate) fn baseline(&self) -> TypedClaims {
        jsonwebtoken::decode(&self.token, &self.key, &self.validation)
            .expect("a good token")
            .claims
    }
}

/// The claims that [`Claims`] has too.
#[derive(Deserialize)]
#[allow(dead_code, reason = "they are decoded, not read")]
pub(crate) struct TypedClaims {
    iss: String,
    sub: String,
    aud: Vec<String>,
    exp: u64,
    iat: u64,
    nbf: Option<u64>,
}

/// As kube-apiserver writes them for a pod.
fn claims() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    format!(
        r#"{{"aud":["{AUDIENCE}"],"exp":{},"iat":{now},"iss":"{ISSUER}","jti":"6a2e2b35-8f7b-4dcb-9d1d-0f9a4f9d6f11","kubernetes.io":{{"namespace":"shop","node":{{"name":"worker-1","uid":"0b2e4a5e-6f14-43e0-8f0c-3d8f0c0a7b11"}},"pod":{{"name":"checkout-6d5f7c9b8-x2v4q","uid":"77f3e6a2-93d5-4d43-9b6e-5a1f3e0d9c21"}},"serviceaccount":{{"name":"checkout","uid":"9d0b7a31-52b4-4a2c-8f59-1f0c6f0f4e17"}},"warnafter":{}}},"nbf":{now},"sub":"system:serviceaccount:shop:checkout"}}"#,
        now + 3600,
        now + 3000
    )
}

fn verifier(key: &Jwk) -> Verifier {
    let issuer: IssuerUrl = ISSUER.parse().expect("an issuer");
    let keys = KeySet::new([key.clone()], []).expect("one key");
    let site = Site(BTreeMap::from([
        (issuer.discovery_url(), Discovery::new(&issuer, &keys).to_bytes()),
        (issuer.jwks_uri(), keys.to_bytes()),
    ]));
    Verifier::new(issuer, AUDIENCE, Arc::new(site), Arc::new(SystemClock::new()))
}

fn decoding_key(material: &Material) -> DecodingKey {
    match material {
        Material::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
        Material::Ec { x, y, .. } => DecodingKey::from_ec_components(&b64(x), &b64(y)).expect("a point"),
        _ => unreachable!("only these two are generated"),
    }
}

/// Issuer, audience and times, as this project's verifier checks them.
fn validation(algorithm: Algorithm) -> Validation {
    let algorithm = match algorithm {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        other => unreachable!("{other} is not measured"),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_nbf = true;
    validation
}

/// The public's documents, in memory.
struct Site(BTreeMap<String, Vec<u8>>);

#[async_trait]
impl PublicReader for Site {
    async fn get(&self, url: &str, _limit: usize) -> Result<PublicDocument, PublicReadError> {
        let bytes = self.0.get(url).cloned().ok_or(PublicReadError::Status(404))?;
        Ok(PublicDocument {
            bytes: bytes.into(),
            content_type: Some("application/json".to_owned()),
            cache_control: Some("public, max-age=86400".to_owned()),
        })
    }
}

enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl Signer {
    fn generate(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")),
            _ => Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")),
        }
    }

    fn jwk(&self) -> Jwk {
        let (algorithm, material) = match self {
            Self::Rsa(pair) => {
                // RFC 8017 RSAPublicKey with a 2048-bit modulus and the exponent 65537.
                let der = pair.public_key().as_ref();
                let (n, e) = (der[9..265].to_vec(), der[267..].to_vec());
                (Algorithm::Rs256, Material::Rsa { n, e })
            }
            Self::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (x.to_vec(), y.to_vec());
                (
                    Algorithm::Es256,
                    Material::Ec {
                        curve: Curve::P256,
                        x,
                        y,
                    },
                )
            }
        };
        let unnamed = Jwk::new("any", algorithm, material.clone()).expect("a good key");
        Jwk::new(unnamed.kubernetes_kid(), algorithm, material).expect("a good key")
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .expect("a signature");
                signature
            }
            Self::Ec(pair) => pair
                .sign(&random, message)
                .expect("a signature")
                .as_ref()
                .to_vec(),
        }
    }
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
