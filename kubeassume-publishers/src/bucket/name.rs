//! A name that nobody can guess and every cloud takes.

use thiserror::Error;

use crate::azure::AzureConfig;
use crate::gcs::GcsConfig;
use crate::oci::OciConfig;
use crate::s3::S3Config;

/// How many bits of a name are random. A name that is found by trying could be taken by somebody else before, or
/// after its bucket is deleted; 80 bits are out of reach.
pub const NAME_BITS: usize = 128;

/// RFC 4648 section 6, in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// S3, GCS and Azure take no more.
const LONGEST: usize = 63;
/// `-` and 26 characters of 5 bits.
const TAIL: usize = 1 + NAME_BITS.div_ceil(5);
/// Amazon keeps these for itself (General purpose bucket naming rules).
const RESERVED: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];

/// Why there is no such name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NameError(String);

/// `PREFIX-` and these bits as 26 lower-case letters and digits.
///
/// # Errors
/// For a prefix that some cloud does not take: the rule, and whose it is.
pub fn unguessable(prefix: &str, random: [u8; NAME_BITS / 8]) -> Result<String, NameError> {
    let longest = LONGEST - TAIL;
    if prefix.len() > longest {
        return Err(NameError(format!(
            "has {} characters and may have {longest}: the name would be longer than the {LONGEST} that S3, GCS and \
             Azure take",
            prefix.len()
        )));
    }
    if let Some(reserved) = RESERVED.iter().find(|reserved| prefix.starts_with(*reserved)) {
        return Err(NameError(format!(
            "begins with {reserved:?}, which Amazon reserves"
        )));
    }
    // Before the random part, so that the message shows what was given.
    check(prefix, prefix)?;
    let name = format!("{prefix}-{}", base32(random));
    check(&name, prefix)?;
    Ok(name)
}

fn check(name: &str, prefix: &str) -> Result<(), NameError> {
    let bucket = || name.to_owned();
    let s3 = S3Config {
        bucket: bucket(),
        ..S3Config::default()
    };
    let gcs = GcsConfig {
        bucket: bucket(),
        ..GcsConfig::default()
    };
    let azure = AzureConfig {
        storage_account: "any".to_owned(),
        container: bucket(),
        ..AzureConfig::default()
    };
    let oci = OciConfig {
        bucket: bucket(),
        namespace: "any".to_owned(),
        ..OciConfig::default()
    };
    let broken = [s3.check(), gcs.check(), azure.check(), oci.check()];
    match broken.into_iter().find_map(Result::err) {
        None => Ok(()),
        Some(invalid) => Err(NameError(format!(
            "{prefix:?} is no name in every cloud: {} {}",
            invalid.field, invalid.rule
        ))),
    }
}

fn base32(bytes: [u8; NAME_BITS / 8]) -> String {
    let bits = u128::from_be_bytes(bytes);
    let groups = NAME_BITS.div_ceil(5);
    (0..groups)
        .map(|group| {
            let at = NAME_BITS.saturating_sub(5 * (group + 1));
            // The last group has fewer than five bits left.
            let width = (NAME_BITS - 5 * group).min(5);
            let value = (bits >> at) & ((1 << width) - 1);
            let index = usize::try_from(value << (5 - width)).unwrap_or_default();
            char::from(ALPHABET.get(index).copied().unwrap_or_default())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_counts_and_every_cloud_takes_the_name() {
        let zero = unguessable("oidc", [0; 16]).unwrap();
        assert_eq!(zero, "oidc-aaaaaaaaaaaaaaaaaaaaaaaaaa");
        // RFC 4648's own example, with zeros behind.
        let mut foobar = [0; 16];
        foobar[..5].copy_from_slice(b"fooba");
        assert!(unguessable("oidc", foobar).unwrap().starts_with("oidc-mzxw6ytb"));
        let mut seen = std::collections::BTreeSet::from([zero]);
        for bit in 0..NAME_BITS {
            let name = unguessable("oidc", (1_u128 << bit).to_be_bytes()).unwrap();
            assert!(name.len() == 31 && seen.insert(name), "bit {bit}");
        }
        let longest = "k".repeat(36);
        assert_eq!(unguessable(&longest, [0xff; 16]).unwrap().len(), 63);
    }

    #[test]
    fn a_prefix_obeys_every_clouds_rules() {
        for (bad, word) in [
            ("", "s3.bucket"),
            ("ab", "s3.bucket"),
            ("Keys", "s3.bucket"),
            ("a.b", "azure.container"),
            ("key_s", "s3.bucket"),
            ("keys-", "s3.bucket"),
            ("a--b", "azure.container"),
            ("$web", "s3.bucket"),
            ("google-keys", "gcs.bucket"),
            ("goodies-google", "gcs.bucket"),
            ("googly", "gcs.bucket"),
            ("sthree-x", "Amazon"),
            ("xn--x", "Amazon"),
            ("k2345678901234567890123456789012345678", "characters"),
        ] {
            let error = unguessable(bad, [7; 16]).expect_err(bad).to_string();
            assert!(error.contains(word), "{bad:?}: {error}");
        }
    }
}
