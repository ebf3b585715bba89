//! `cargo xtask`: the developer commands of KubeAssume.
//!
//! Every command is what CI runs, so that nothing is checked there that cannot be checked here.
// A command line speaks on stdout and stderr.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

mod ci;
mod commands;
mod coverage;
mod guards;
mod instructions;
mod licence;
mod measure;
mod step;

const HELP: &str = "\
Developer commands of KubeAssume.

Usage: cargo xtask <COMMAND> [ARGS]

  test [ARGS..]      bring up what the tests need, then run all of them; ARGS go to `cargo test`
  playground [ARGS]  play with a real rotation: servers, controllers and a live view, until q or Ctrl-C
  testbed [NAME..]   build the servers of the testbed into the cache and print where they are
  conformance [-o json]
                     run the tests that hold each backend to its promises and print what was shown on which server
  fmt [--fix]        check the formatting; --fix: format
  clippy             lint with no features, default features and all features
  doc                build the documentation, warnings are errors
  docs               write docs/reference/ anew from the code
  guards             check the dependency trees: one TLS stack, one crypto provider, a small core, licences
  ci                 all of the checks above and `instructions`, in order, with timings
  instructions       count the instructions of the bench jwks_cycle/100 with callgrind and compare with the
                     recorded number; --record: record it
  measure [endpoint] [-o json]
                     size, start, requests, writes and memory of the release build; endpoint: the built-in server
                     beside nginx
  coverage           line coverage of kubeassume-core (installs LLVM tools from PyPI into the cache)
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let result = match command.as_str() {
        "test" => commands::test(&rest),
        "playground" => commands::playground(&rest),
        "testbed" => commands::testbed(&rest),
        "conformance" => commands::conformance(&rest),
        "fmt" => only(&["--fix"], &rest).and_then(|()| commands::fmt(!rest.is_empty())),
        "clippy" => only(&[], &rest).and_then(|()| commands::clippy()),
        "doc" => only(&[], &rest).and_then(|()| commands::doc()),
        "docs" => only(&[], &rest).and_then(|()| commands::docs()),
        "guards" => only(&[], &rest).and_then(|()| guards::check()),
        "instructions" => only(&["--record"], &rest).and_then(|()| instructions::measure(!rest.is_empty())),
        "ci" => only(&[], &rest).and_then(|()| ci::run()),
        "measure" => measure::measure(&rest),
        "coverage" => only(&[], &rest).and_then(|()| coverage::measure()),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        "" => Err(format!("no command given\n\n{HELP}")),
        unknown => Err(format!("there is no command `{unknown}`\n\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// A typo must not turn into a check that silently did not run.
fn only(allowed: &[&str], given: &[String]) -> step::Outcome {
    match given
        .iter()
        .find(|argument| !allowed.contains(&argument.as_str()))
    {
        Some(unknown) => Err(format!("unknown argument `{unknown}`\n\n{HELP}")),
        None => Ok(()),
    }
}
