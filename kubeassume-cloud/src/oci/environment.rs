//! [`Environment`]: the variables and files that a credential is read from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;

use super::error::CredentialError;
use crate::token::read_file;

/// Where variables come from: the process, or whatever a test or an embedder says.
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Environment {
    /// The variables of this process.
    pub fn process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// The variables that this function knows.
    pub fn new(variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(variable))
    }

    /// A variable; empty counts as unset.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }

    /// A path with `~/` at its beginning spelt out.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), self.variable("HOME")) {
            (Some(below), Some(home)) => Path::new(&home).join(below),
            _ => PathBuf::from(text),
        }
    }

    /// A variable that holds a value, or the absolute path of a file that does (resource principals).
    pub(super) fn value_or_file(&self, name: &str) -> Result<Option<SecretString>, CredentialError> {
        match self.variable(name) {
            Some(path) if Path::new(&path).is_absolute() => {
                let text = read(Path::new(&path), name)?;
                Ok(Some(text.trim().to_owned().into()))
            }
            value => Ok(value.map(SecretString::from)),
        }
    }
}

/// A file's text; `what` is the field or variable that named it.
pub(super) fn read(path: &Path, what: &str) -> Result<String, CredentialError> {
    read_file(path).map_err(|error| {
        CredentialError::Unusable(format!("{what}: {} cannot be read: {error}", path.display()))
    })
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}
