//! [`Failure`]: how a command ends when it does not end well: what, why, and what to do next.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

/// The command did what it was asked to, and the answer is yes.
pub(crate) const EXIT_OK: u8 = 0;
/// The command failed, or the answer is no.
pub(crate) const EXIT_FAILED: u8 = 1;
/// The command was not understood.
pub(crate) const EXIT_USAGE: u8 = 2;
/// `publish` kept keys that only the public copy has.
#[cfg(feature = "kube")]
pub(crate) const EXIT_KEPT: u8 = 3;
/// `bucket create` left something to do, as it was asked to.
#[cfg(feature = "bucket")]
pub(crate) const EXIT_TO_DO: u8 = 3;

/// Why a command did not succeed. Holds text for people only; never a token or a credential.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    causes: Vec<String>,
    next: Option<String>,
    code: u8,
}

impl Failure {
    /// A failure with exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            causes: Vec::new(),
            next: None,
            code: EXIT_FAILED,
        }
    }

    /// A command line that clap accepts and that still makes no sense: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(message).code(EXIT_USAGE)
    }

    /// No failure: an answer that has been printed and is not 0.
    #[cfg(feature = "bucket")]
    pub(crate) fn answered(code: u8) -> Self {
        Self::new("").code(code)
    }

    /// Adds an error and all that caused it.
    #[must_use]
    pub(crate) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors repeat their source in their own text.
            if !self.causes.last().is_some_and(|last| last.contains(&text)) {
                self.causes.push(text);
            }
            cause = error.source();
        }
        self
    }

    /// Adds one cause in words.
    #[must_use]
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Says what to do next.
    #[must_use]
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Ends with another exit code.
    #[must_use]
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// What failed, without causes.
    #[cfg(feature = "demo")]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        self.code
    }

    /// Writes it to standard error; in colour only on a terminal.
    pub(crate) fn report(&self) {
        if self.message.is_empty() {
            return;
        }
        let colour = io::stderr().is_terminal() && colour_allowed();
        // Nobody is left to tell when standard error is closed too.
        let _ = io::stderr().write_all(self.render(colour).as_bytes());
    }

    fn render(&self, colour: bool) -> String {
        let paint = |code: &str, text: &str| match colour {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        };
        let mut text = format!("{} {}\n", paint("1;31", "error:"), self.message);
        for cause in &self.causes {
            let _ = writeln!(text, "  {} {cause}", paint("2", "cause:"));
        }
        if let Some(next) = &self.next {
            let _ = writeln!(text, "  {} {next}", paint("1;32", "next:"));
        }
        text
    }
}

/// Whether the environment leaves colour on: <https://no-color.org>, and terminals that have none.
pub(crate) fn colour_allowed() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_why_and_what_next_without_repeating_itself() {
        let inner = io::Error::other("disk full");
        let outer = io::Error::other(inner);
        let text = Failure::new("cannot write \"a\"")
            .because(&outer)
            .cause("quota")
            .next("free space")
            .render(false);
        assert_eq!(
            text,
            "error: cannot write \"a\"\n  cause: disk full\n  cause: quota\n  next: free space\n"
        );
    }

    #[test]
    fn colours_only_when_told_to() {
        assert!(Failure::new("x").render(true).contains("\x1b[1;31m"));
        assert!(!Failure::new("x").render(false).contains('\x1b'));
    }
}
