//! `kubeassume completions`: scripts for shells.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::Failure;
use crate::output::write_stdout;

/// Which shell.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints the script for a command line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn run(&self, command: &mut Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "kubeassume", &mut script);
        write_stdout(&script)
    }
}
