//! Rows of the table that `cargo xtask conformance` prints: what was tried on which server, and how it went.

use std::io::Write;

use xtask::conformance::FILE_VARIABLE;

/// One check that has begun. Dropped before it says how it went, as a panic does, it counts as failed.
#[derive(Debug)]
pub struct Row {
    subject: String,
    check: String,
    server: String,
    result: Option<String>,
}

impl Row {
    /// A check of `subject` (a backend, or a provider and its verb) on `server` (its name and version, or what
    /// stands in for it).
    pub fn begin(subject: &str, check: &str, server: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            check: check.to_owned(),
            server: server.to_owned(),
            result: None,
        }
    }

    /// What was expected came out.
    pub fn passed(mut self) {
        self.result = Some("passed".to_owned());
    }

    /// This server cannot show it; says why.
    pub fn not_shown(mut self, reason: &str) {
        self.result = Some(format!("not shown: {reason}"));
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let result = self.result.as_deref().unwrap_or("failed");
        let line = serde_json::json!({
            "subject": self.subject,
            "check": self.check,
            "result": result,
            "server": self.server,
        });
        println!("{line}");
        let Some(path) = std::env::var_os(FILE_VARIABLE) else {
            return;
        };
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        // One write each: rows of tests that run at once do not mix.
        let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written {
            eprintln!("{FILE_VARIABLE}: the row could not be written: {error}");
        }
    }
}
