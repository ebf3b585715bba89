//! The KubeAssume controller.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubeassume_controller::cli::main()
}
