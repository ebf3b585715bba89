//! `measure`: builds what is shipped as it is shipped, and has it measured.

use crate::commands::target_directory;
use crate::step::{Outcome, cargo, run};

const ARGUMENTS: [&str; 4] = ["controller", "endpoint", "-o", "json"];

/// Each binary is built alone: in one command cargo would unite what each asks of the libraries.
pub(crate) fn measure(arguments: &[String]) -> Outcome {
    if let Some(unknown) = arguments
        .iter()
        .find(|argument| !ARGUMENTS.contains(&argument.as_str()))
    {
        return Err(format!(
            "measure has no argument `{unknown}`; it has {}",
            ARGUMENTS.join(", ")
        ));
    }
    run(&mut cargo(["build", "--release", "-p", "kubeassume-controller"]))?;
    if !arguments.iter().any(|argument| argument == "endpoint") {
        run(&mut cargo(["build", "--release", "-p", "kubeassume-cli"]))?;
    }
    let release = target_directory()?.join("release");
    let program = ["run", "--quiet", "-p", "kubeassume-measure", "--"].map(String::from);
    run(cargo(program.iter().chain(arguments)).env("KUBEASSUME_BIN_DIR", release))
}
