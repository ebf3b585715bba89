//! The `kubeassume` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubeassume_cli::main()
}
