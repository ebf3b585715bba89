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

/// An error with all its causes, which few errors print by themselves, and what to do about a certificate.
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
    let remedy = remedy(&text);
    // A cause may have said it already.
    let words = text
        .split_once(remedy)
        .map_or(text.as_str(), |(before, _)| before);
    match remedy {
        "" => printable(&text),
        remedy => printable(words) + remedy,
    }
}

/// rustls says what is wrong with a server's certificate, not what to do.
fn remedy(text: &str) -> &'static str {
    let certificate = text.contains("invalid peer certificate");
    match text {
        _ if !certificate => "",
        text if text.contains("UnknownIssuer") => {
            "; nobody that is trusted has signed it: if its CA is a private one, set tls.caFile"
        }
        text if text.contains("not valid for name") => {
            "; correct the endpoint, or the names in the server's certificate"
        }
        text if text.contains("expired") || text.contains("not valid yet") => {
            "; renew the server's certificate, or set this machine's clock if that is wrong"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_server_cannot_write_the_log() {
        let text = printable(&format!("two\r\nlines\u{1b}[2J{}", "x".repeat(5000)));
        assert!(text.starts_with("two  lines [2J"), "{text}");
        assert_eq!(text.chars().count(), MAX_TEXT);
    }

    #[test]
    fn an_error_is_told_with_its_causes_each_once() {
        let last = Told("refused", None);
        let middle = Told("connect: refused", Some(Box::new(last)));
        assert_eq!(
            causes(&Told("request", Some(Box::new(middle)))),
            "request: connect: refused"
        );
    }

    #[test]
    fn a_certificate_that_is_refused_comes_with_a_remedy() {
        let text = |words| causes(&Told(words, None));
        for (words, remedy) in [
            ("invalid peer certificate: UnknownIssuer", "tls.caFile"),
            (
                "invalid peer certificate: certificate not valid for name \"a\"",
                "endpoint",
            ),
            (
                "invalid peer certificate: certificate expired: verification time 1",
                "clock",
            ),
            (
                "invalid peer certificate: certificate not valid yet: verification time 1",
                "clock",
            ),
        ] {
            let text = text(words);
            assert!(text.starts_with(words) && text.contains(remedy), "{text}");
            assert_eq!(causes(&Told(text.clone().leak(), None)), text, "once");
        }
        assert_eq!(text("it has expired"), "it has expired");
    }
}
