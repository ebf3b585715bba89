//! The command line.

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::completions::Completions;
use crate::failure::Failure;
use crate::jwks::Jwks;
use crate::verify::Verify;

const EXIT_CODES: &str = "\
Exit codes:
  0  done, and the answer is yes
  1  failed, or the answer is no
  2  the command line was not understood
  3  publish kept keys that only the public copy has; bucket create left something to do

Colour appears on terminals only; NO_COLOR turns it off.";

/// Publish a Kubernetes cluster's service account keys, and keep them right through every rotation
#[derive(Debug, Parser)]
#[command(name = "kubeassume", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "bucket")]
    #[command(arg_required_else_help = true)]
    Bucket(Box<crate::bucket::BucketCommand>),
    /// Watch key rotations go through, without a cluster and without a cloud
    #[cfg(feature = "demo")]
    Demo(crate::demo::Demo),
    /// Publish with your own credentials, to begin with or to mend
    #[cfg(feature = "kube")]
    Publish(crate::publish::Publish),
    /// Show where the controller, its keys and the public copy stand
    #[cfg(feature = "kube")]
    Status(crate::status::Status),
    /// Check what a relying party makes of an issuer, and of a token
    Verify(Verify),
    /// Merge and inspect JWK sets in files
    #[command(arg_required_else_help = true)]
    Jwks(Jwks),
    /// Print a completion script for a shell
    Completions(Completions),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever the command could not do.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command {
            #[cfg(feature = "bucket")]
            Command::Bucket(bucket) => bucket.run(),
            #[cfg(feature = "demo")]
            Command::Demo(demo) => demo.run(),
            #[cfg(feature = "kube")]
            Command::Publish(publish) => publish.run(),
            #[cfg(feature = "kube")]
            Command::Status(status) => status.run(),
            Command::Verify(verify) => verify.run(),
            Command::Jwks(jwks) => jwks.run(),
            Command::Completions(completions) => completions.run(&mut Self::command()),
        }
    }
}
