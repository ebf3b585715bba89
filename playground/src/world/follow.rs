//! Follows logs: the S3 server's, for writes, and the controllers', for what they say.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use kubeassume_tests::Access;
use serde_json::Value;

use super::{Tell, bucket};
use crate::event::Event;

const LOOK: Duration = Duration::from_millis(200);

/// Tells every PUT of the two documents.
pub(super) async fn puts(log: PathBuf, tell: Tell) {
    let mut tail = Tail::new(log);
    loop {
        for access in tail.lines().iter().filter_map(|line| Access::parse(line)) {
            let put = |key: &&str| access.is_put(&format!("/{}/{key}", bucket::BUCKET));
            if let Some(key) = bucket::KEYS.into_iter().find(put) {
                let document = key.trim_start_matches(bucket::PREFIX).trim_start_matches('/');
                tell.event(Event::Put {
                    document: document.to_owned(),
                    status: access.status,
                });
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Tells what a controller has to say.
pub(super) async fn controller(nth: usize, log: PathBuf, tell: Tell) {
    let mut tail = Tail::new(log);
    loop {
        tail.lines()
            .iter()
            .filter_map(|line| said(nth, line))
            .for_each(|event| tell.event(event));
        tokio::time::sleep(LOOK).await;
    }
}

/// A line of the controller's JSON log, if it is for people.
fn said(nth: usize, line: &str) -> Option<Event> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = line["message"].as_str()?.to_owned();
    let warning = matches!(line["level"].as_str(), Some("WARN" | "ERROR"));
    match line["reason"].as_str() {
        Some("Published") => {
            let (_, documents) = text.split_once(": wrote ")?;
            let documents = documents.split(" and ").map(String::from).collect();
            Some(Event::Wrote { nth, documents })
        }
        // The Lease and the health checks say it already.
        Some("Leading" | "Following") => None,
        Some(reason) => Some(Event::Told {
            nth,
            reason: reason.to_owned(),
            text,
            warning,
        }),
        None => None,
    }
}

/// The lines that were added to a file.
struct Tail {
    path: PathBuf,
    at: u64,
    rest: Vec<u8>,
}

impl Tail {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            at: 0,
            rest: Vec::new(),
        }
    }

    /// Whole lines since the last call. What cannot be read now is read later.
    fn lines(&mut self) -> Vec<String> {
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.at))?;
            file.read_to_end(&mut self.rest)
        });
        self.at += u64::try_from(read.unwrap_or(0)).unwrap_or(0);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        String::from_utf8_lossy(&whole)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_tail_gives_whole_lines_once() {
        let path = std::env::temp_dir().join(format!("kubeassume-playground-tail-{}", std::process::id()));
        let mut file = File::create(&path).unwrap();
        let mut tail = Tail::new(path.clone());
        assert!(tail.lines().is_empty());
        write!(file, "one\ntw").unwrap();
        assert_eq!(tail.lines(), ["one"]);
        write!(file, "o\nthree\n").unwrap();
        assert_eq!(tail.lines(), ["two", "three"]);
        assert!(tail.lines().is_empty());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_publication_is_taken_from_the_log() {
        let line = r#"{"level":"INFO","message":"s3://oidc/x: wrote openid/v1/jwks and .well-known/openid-configuration","reason":"Published"}"#;
        let Some(Event::Wrote { nth: 1, documents }) = said(1, line) else {
            panic!("not understood");
        };
        assert_eq!(documents, ["openid/v1/jwks", ".well-known/openid-configuration"]);
    }
}
