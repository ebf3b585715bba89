//! What is wrong with a configuration.

use std::fmt;

use thiserror::Error;

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {reason}; check --config")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        reason: String,
    },
    /// Larger than any configuration is.
    #[error("the configuration is larger than {} KiB; is it the right file?", super::MAX_CONFIG_BYTES >> 10)]
    TooLarge,
    /// Not YAML, or a field that stands there twice.
    #[error("the configuration is not valid YAML: {0}")]
    Syntax(String),
    /// Fields break rules; all of them, in the order of the file format.
    #[error("the configuration has {}:{}", count(.0), lines(.0))]
    Invalid(Vec<Problem>),
}

/// A field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its full path.
    pub field: String,
    /// The rule, and what stands there.
    pub rule: String,
    /// What to write.
    pub fix: String,
}

impl Problem {
    pub(super) fn new(field: impl Into<String>, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; {}", self.field, self.rule, self.fix)
    }
}

fn count(problems: &[Problem]) -> String {
    match problems.len() {
        1 => "one problem".to_owned(),
        several => format!("{several} problems"),
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}
