//! [`SigningKey`]: the RSA key of an API key, a session or an instance.
//!
//! Read are PKCS#1 and PKCS#8, plain or encrypted: PKCS#8 with PBES2 (what OpenSSL 3 and OCI's console write),
//! and the older `Proc-Type: 4,ENCRYPTED` with AES-CBC (what `openssl genrsa -aes128` of OpenSSL 1 wrote, as
//! OCI's own instructions had it). Triple DES, DES and PBES1 are refused with the command that converts them.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use md5::{Digest as _, Md5};
use pem::Pem;
use pkcs8::EncryptedPrivateKeyInfoRef;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

/// An RSA private key of at least 2048 bits. Never printed; a copy is another handle.
#[derive(Clone)]
pub struct SigningKey(Arc<RsaKeyPair>);

impl SigningKey {
    /// The first key of a PEM text. What stands around it is not looked at: OCI's console asks people to
    /// append the line `OCI_API_KEY`. A passphrase for a key that has none is not an error, as in OCI's SDKs.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(text: &[u8], passphrase: Option<&SecretString>) -> Result<Self, KeyError> {
        let block = pem::parse(text).map_err(|_| KeyError::NotPem)?;
        match block.tag() {
            "PRIVATE KEY" => Self::pkcs8(&secret(block)),
            "RSA PRIVATE KEY" if is_encrypted(&block) => {
                let passphrase = passphrase.ok_or(KeyError::NoPassphrase)?;
                Self::pkcs1(&decrypt_legacy(block, passphrase)?).map_err(|_| KeyError::Passphrase)
            }
            "RSA PRIVATE KEY" => Self::pkcs1(&secret(block)),
            "ENCRYPTED PRIVATE KEY" => {
                let passphrase = passphrase.ok_or(KeyError::NoPassphrase)?;
                Self::pkcs8(&decrypt_pkcs8(block.contents(), passphrase)?)
            }
            "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => Err(KeyError::Public),
            _ => Err(KeyError::NotRsa),
        }
    }

    /// A new key of 2048 bits, for one session.
    ///
    /// # Errors
    /// [`KeyError::NotRsa`] when the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::NotRsa)?;
        Ok(Self(Arc::new(pair)))
    }

    /// The public half as SubjectPublicKeyInfo, DER.
    ///
    /// # Errors
    /// None for a key that could be read; it is the library's signature that has one.
    pub fn public_key(&self) -> Result<Vec<u8>, KeyError> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().map_err(|_| KeyError::NotRsa)?;
        Ok(der.as_ref().to_vec())
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256, which OCI calls `rsa-sha256`.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| KeyError::NotRsa)?;
        Ok(signature)
    }

    fn pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let pair = RsaKeyPair::from_der(der).map_err(|_| KeyError::NotRsa)?;
        Ok(Self(Arc::new(pair)))
    }

    fn pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| KeyError::NotRsa)?;
        Ok(Self(Arc::new(pair)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// Why a private key cannot be used. No message repeats any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no PEM block.
    #[error("is no PEM file with a private key")]
    NotPem,
    /// A public key or a certificate.
    #[error("holds a public key or a certificate; the private key is needed")]
    Public,
    /// Another kind of key, a short one or a damaged one.
    #[error("holds no RSA private key of 2048 bits or more, or a damaged one")]
    NotRsa,
    /// The key is encrypted and there is no passphrase.
    #[error("is encrypted; give its passphrase (pass_phrase in the profile, or OCI_CLI_PASSPHRASE)")]
    NoPassphrase,
    /// The passphrase is wrong, or the key is damaged.
    #[error("cannot be decrypted: the passphrase is wrong or the file is damaged")]
    Passphrase,
    /// Encrypted in a way that is not read.
    #[error(
        "is encrypted in an old way that is not supported; convert it: openssl pkcs8 -topk8 -v2 aes256 -in OLD -out NEW"
    )]
    Cipher,
    /// The name that goes with the key has a character that no header has.
    #[error("goes with a tenancy, user, fingerprint or token that has a line break or another odd character")]
    Header,
}

fn secret(block: Pem) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(block.into_contents())
}

fn decrypt_pkcs8(der: &[u8], passphrase: &SecretString) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| KeyError::NotRsa)?;
    if info.encryption_algorithm.pbes2().is_none() {
        return Err(KeyError::Cipher);
    }
    let document = info
        .decrypt(passphrase.expose_secret().as_bytes())
        .map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }) => {
                KeyError::Cipher
            }
            _ => KeyError::Passphrase,
        })?;
    Ok(Zeroizing::new(document.as_bytes().to_vec()))
}

/// RFC 1421 headers, as OpenSSL's "traditional" format has them.
fn is_encrypted(block: &Pem) -> bool {
    let kind = block.headers().get("Proc-Type");
    kind.is_some_and(|kind| kind.split(',').any(|part| part.trim() == "ENCRYPTED"))
}

/// `DEK-Info: AES-256-CBC,<IV in hex>`. The key is MD5 over passphrase and salt, once: only as good as the
/// passphrase, which is why nothing writes this any more.
fn decrypt_legacy(block: Pem, passphrase: &SecretString) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let info = block.headers().get("DEK-Info").ok_or(KeyError::NotRsa)?;
    let (name, iv) = info.split_once(',').ok_or(KeyError::NotRsa)?;
    let (algorithm, length): (&Algorithm, usize) = match name.trim() {
        "AES-128-CBC" => (&AES_128, 16),
        "AES-192-CBC" => (&AES_192, 24),
        "AES-256-CBC" => (&AES_256, 32),
        _ => return Err(KeyError::Cipher),
    };
    let iv: [u8; 16] = hex(iv.trim())
        .and_then(|iv| iv.try_into().ok())
        .ok_or(KeyError::NotRsa)?;
    let salt = iv.first_chunk::<8>().ok_or(KeyError::NotRsa)?;
    let key = legacy_key(passphrase, salt, length);
    let key = UnboundCipherKey::new(algorithm, &key).map_err(|_| KeyError::Cipher)?;
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| KeyError::Cipher)?;
    let mut buffer = secret(block);
    let plain = cipher
        .decrypt(&mut buffer, DecryptionContext::Iv128(FixedLength::from(iv)))
        .map_err(|_| KeyError::Passphrase)?;
    Ok(Zeroizing::new(plain.to_vec()))
}

/// OpenSSL's EVP_BytesToKey with MD5 and a count of 1.
fn legacy_key(passphrase: &SecretString, salt: &[u8; 8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::new());
    let mut last = Zeroizing::new(Vec::new());
    while key.len() < length {
        let digest = Md5::new()
            .chain_update(&*last)
            .chain_update(passphrase.expose_secret())
            .chain_update(salt)
            .finalize();
        *last = digest.to_vec();
        key.extend_from_slice(&last);
    }
    key.truncate(length);
    key
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits?;
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(high * 16 + low).ok())
        .collect()
}
