//! `kubeassume jwks`: key sets in files, without any network.

use clap::{Args, Subcommand};
use kubeassume_core::{Jwk, Material};

use crate::failure::Failure;
use crate::output::Output;

mod inspect;
mod merge;

/// What to do with key sets.
#[derive(Debug, Args)]
pub(crate) struct Jwks {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Merge key sets into the one document that would be published
    ///
    /// Prints canonical bytes: the members that every cloud accepts, in a fixed order, keys by kid. Refuses
    /// a document or a key that must not be published. Keys of kinds beyond RSA and EC are left out and
    /// named on standard error.
    Merge {
        /// JWK sets; - reads standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
    },
    /// Show every key of a set and what is wrong with it
    Inspect {
        /// A JWK set; - reads standard input
        #[arg(value_name = "FILE")]
        file: String,
        #[command(flatten)]
        output: Output,
    },
}

impl Jwks {
    /// Runs the command.
    ///
    /// # Errors
    /// A refusal, or a file that cannot be read.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        match &self.action {
            Action::Merge { files } => merge::run(files),
            Action::Inspect { file, output } => inspect::run(file, output.format),
        }
    }
}

/// What a key is, in two words: `RSA 2048`, `EC P-256`.
pub(crate) fn kind(key: &Jwk) -> String {
    match key.material() {
        Material::Rsa { n, .. } => {
            let zeros = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
            format!("RSA {}", n.len() * 8 - zeros)
        }
        Material::Ec { curve, .. } => format!("EC {}", curve.name()),
        _ => "unknown".to_owned(),
    }
}
