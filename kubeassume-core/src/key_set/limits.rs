//! [`Limits`]: how many keys relying parties read.

use super::Refusal;
use crate::{Jwk, Material};

/// The most RSA keys in a set; beyond 100, AWS STS stops accepting RSA and Entra stops reading.
pub const MAX_RSA_KEYS: usize = 100;
/// The most EC keys in a set.
pub const MAX_EC_KEYS: usize = 100;
/// The most keys of other kinds that are read past.
pub const MAX_OTHER_KEYS: usize = 100;

/// How many keys of each kind a set may have.
///
/// The default is what every relying party reads. Lift it only for relying parties of your own: stores,
/// publishers and verifiers of this crate hold to the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// RSA keys.
    pub rsa: usize,
    /// EC keys.
    pub ec: usize,
    /// Keys of other kinds, which are read past.
    pub other: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rsa: MAX_RSA_KEYS,
            ec: MAX_EC_KEYS,
            other: MAX_OTHER_KEYS,
        }
    }
}

/// Counts keys against their limits.
#[derive(Default)]
pub(crate) struct Count {
    rsa: usize,
    ec: usize,
}

impl Count {
    pub(crate) fn add(&mut self, limits: Limits, key: &Jwk) -> Result<(), Refusal> {
        match key.material() {
            Material::Rsa { .. } => self.rsa += 1,
            Material::Ec { .. } => self.ec += 1,
        }
        if self.rsa > limits.rsa || self.ec > limits.ec {
            return Err(Refusal::TooManyKeys(limits));
        }
        Ok(())
    }
}
