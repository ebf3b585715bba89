//! `docs/reference/`: made of the code. `cargo xtask docs` writes it, these tests compare.

use std::fmt::Write as _;
use std::fs;

use clap::Command;

/// Set by `cargo xtask docs`: write instead of comparing.
const REWRITE: &str = "KUBEASSUME_REWRITE_DOCS";

/// How wide a terminal the help is printed for.
const WIDTH: usize = 100;

#[test]
fn the_configuration_is_as_the_parser_reads_it() {
    is_current("configuration.md", &kubeassume_controller::config::reference());
}

#[test]
fn the_command_line_is_as_the_commands_say() {
    let mut text = "# Command line\n\n\
        What `--help` prints, for both programs and all that they can do. `kubeassume` is for people; \
        `kubeassume-controller` runs in the cluster.\n"
        .to_owned();
    for command in [kubeassume_cli::command(), kubeassume_controller::cli::command()] {
        let mut command = command.term_width(WIDTH);
        command.build();
        describe(&mut text, &mut command, "");
    }
    is_current("cli.md", &text);
}

/// Writes a section for a command and, below it, one for each of its own.
fn describe(text: &mut String, command: &mut Command, parent: &str) {
    let name = format!("{parent}{}", command.get_name());
    // The values of the environment are this machine's.
    *command = std::mem::take(command).mut_args(|argument| argument.hide_env_values(true));
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(
        text,
        "\n## `{name}`\n\n```text\n{}\n```\n",
        lines.join("\n").trim_end()
    );
    for below in command.get_subcommands_mut() {
        if below.get_name() != "help" && !below.is_hide_set() {
            describe(text, below, &format!("{name} "));
        }
    }
}

#[track_caller]
fn is_current(name: &str, expected: &str) {
    let path = xtask::repository().join("docs/reference").join(name);
    let expected = format!(
        "<!-- Made of the code by `cargo xtask docs`; a test compares. Change the code, not this. -->\n{expected}"
    );
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&path, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    if found == expected {
        return;
    }
    let differ = |(nth, (one, other)): (usize, (&str, &str))| {
        (one != other).then(|| format!("line {}:\n  there:    {one}\n  expected: {other}", nth + 1))
    };
    let pairs = found.lines().chain(std::iter::repeat("")).zip(expected.lines());
    let first = pairs
        .enumerate()
        .find_map(differ)
        .unwrap_or("there is more".to_owned());
    panic!("docs/reference/{name} is not what the code says; `cargo xtask docs` writes it anew\n{first}");
}
