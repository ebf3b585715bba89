//! What commands print: one value as a table for people, or as JSON or YAML for programs.
//!
//! A reader that closes the pipe has what it wanted: that is no failure.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::{Failure, colour_allowed};

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON value.
    Json,
    /// One YAML document.
    Yaml,
}

/// The option that chooses a [`Format`].
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Output {
    /// How to print the result
    #[arg(
        short = 'o',
        long = "output",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(crate) format: Format,
}

/// A result that people and programs can read.
pub(crate) trait Report: Serialize {
    /// The result for people, ending in a newline.
    fn table(&self, paint: Paint) -> String;
}

/// Prints a result on standard output.
///
/// # Errors
/// When it cannot be written, a closed pipe excepted.
pub(crate) fn show(report: &impl Report, format: Format) -> Result<(), Failure> {
    let text = match format {
        Format::Table => report.table(Paint::stdout()),
        Format::Json => {
            let json = serde_json::to_string_pretty(report);
            json.map_err(|e| Failure::new("cannot write the result as JSON").because(&e))? + "\n"
        }
        Format::Yaml => {
            let yaml = serde_saphyr::to_string(report);
            yaml.map_err(|e| Failure::new("cannot write the result as YAML").because(&e))?
        }
    };
    write_stdout(text.as_bytes())
}

/// Writes bytes to standard output.
///
/// # Errors
/// When they cannot be written, a closed pipe excepted.
pub(crate) fn write_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new("cannot write to standard output").because(&error))
        }
        _ => Ok(()),
    }
}

/// Writes a line for people to standard error, where nobody's program reads it.
pub(crate) fn remark(line: &str) {
    // A closed standard error must not stop what the command is for.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Colour, or none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Colour when standard output is a terminal that wants it.
    pub(crate) fn stdout() -> Self {
        Self(io::stdout().is_terminal() && colour_allowed())
    }

    /// Colour when standard error is a terminal that wants it.
    #[cfg(feature = "demo")]
    pub(crate) fn stderr() -> Self {
        Self(io::stderr().is_terminal() && colour_allowed())
    }

    /// Something good.
    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Something to look at.
    pub(crate) fn warn(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Something bad.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// Something less important.
    #[cfg(feature = "demo")]
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self.0 {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// Columns without borders, as kubectl prints them.
pub(crate) fn columns(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(comfy_table::ContentArrangement::Disabled)
        .set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_have_no_trailing_spaces() {
        let text = columns(
            &["KID", "STATE"],
            [
                vec!["long-kid".into(), "live".into()],
                vec!["b".into(), "retiring".into()],
            ],
        );
        assert_eq!(text, "KID        STATE\nlong-kid   live\nb          retiring\n");
    }

    #[test]
    fn paints_only_when_it_may() {
        assert_eq!(Paint(false).bad("x"), "x");
        assert_eq!(Paint(true).good("x"), "\x1b[32mx\x1b[0m");
    }
}
