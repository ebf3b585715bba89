//! The `kubeassume` command: arguments in, tables, JSON or YAML out.
//!
//! It decides nothing about keys: core, publishers and controller do. The library exists for the binary and
//! its tests; what others should embed is `kubeassume-core` and `kubeassume-controller`.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | none | `jwks`, `verify`, `completions` |
//! | `bucket` | `bucket`: the place to publish to, in each of the four clouds |
//! | `azure` | `publish` to Azure Blob Storage |
//! | `demo` | `demo`: the whole pipeline in one process, without a cluster or a cloud |
//! | `kube` | `publish` and `status` |
//! | `gcs` | `publish` to Google Cloud Storage |
//! | `oci` | `publish` to Oracle Cloud's Object Storage |
//! | `s3` | `publish` to S3 |
//!
//! # Exit codes
//!
//! 0: done, and the answer is yes. 1: failed, or the answer is no. 2: the command line was not understood.
//! 3: `publish` kept keys that only the public copy has, or `bucket create` left something to do.

mod args;
#[cfg(feature = "bucket")]
mod bucket;
#[cfg(feature = "kube")]
mod cluster;
mod completions;
#[cfg(feature = "demo")]
mod demo;
#[cfg(any(feature = "demo", feature = "kube"))]
mod duration;
mod failure;
mod input;
mod jwks;
mod output;
#[cfg(feature = "kube")]
mod publish;
mod runtime;
#[cfg(feature = "kube")]
mod status;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

/// The command line, for its reference.
pub fn command() -> clap::Command {
    args::Cli::command()
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version come this way too. Printing fails only when nobody reads any more.
        Err(usage) => {
            let _ = usage.print();
            return u8::try_from(usage.exit_code())
                .unwrap_or(failure::EXIT_USAGE)
                .into();
        }
    };
    match cli.run() {
        Ok(()) => failure::EXIT_OK.into(),
        Err(failure) => {
            failure.report();
            failure.exit_code().into()
        }
    }
}
