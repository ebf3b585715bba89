//! Other people's words, fit for one line of a log.

use std::error::Error;

/// The longest that is repeated of what a server or a library says, in characters.
pub const MAX_TEXT: usize = 300;

/// A server's words on one line, and not too many of them.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_TEXT)
        .collect()
}

/// An error with all its causes, which few errors print by themselves.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    printable(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_write_the_log() {
        let text = printable(&format!("two\r\nlines\u{1b}[2J{}", "x".repeat(5000)));
        assert!(text.starts_with("two  lines [2J"), "{text}");
        assert_eq!(text.chars().count(), MAX_TEXT);
    }

    #[test]
    fn an_error_is_told_with_its_causes_each_once() {
        #[derive(Debug)]
        struct Told(&'static str, Option<Box<Told>>);
        impl std::fmt::Display for Told {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        impl Error for Told {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                self.1.as_deref().map(|cause| cause as _)
            }
        }
        let last = Told("refused", None);
        let middle = Told("connect: refused", Some(Box::new(last)));
        assert_eq!(
            causes(&Told("request", Some(Box::new(middle)))),
            "request: connect: refused"
        );
    }
}
