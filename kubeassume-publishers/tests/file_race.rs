//! Several processes count up in one document; some are killed while they do. No count is lost.
//!
//! A program of its own, because it starts itself again as the counting processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kubeassume_core::store::{DocumentPath, DocumentStore, NewDocument, Precondition, StoreError};
use kubeassume_publishers::file::FileStore;

const FOLDER: &str = "KUBEASSUME_RACE_FOLDER";
const COUNTS: u64 = 60;
const SURVIVORS: usize = 3;
const VICTIMS: usize = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    match std::env::var_os(FOLDER) {
        Some(folder) => count(Path::new(&folder)).await,
        None => race().await,
    }
}

/// One counting process: says each count that it knows to be written.
async fn count(folder: &Path) {
    let store = FileStore::open(folder).expect("the folder");
    let mut counted = 0;
    while counted < COUNTS {
        let there = store.get(&DocumentPath::JWKS).await.expect("a read");
        let (number, precondition) = match &there {
            None => (0, Precondition::Absent),
            Some(stored) => {
                let text = std::str::from_utf8(&stored.bytes).expect("a number");
                assert_eq!(
                    stored.metadata.get("number").map(String::as_str),
                    Some(text),
                    "torn"
                );
                (
                    text.parse::<u64>().expect("a number"),
                    Precondition::Matches(stored.version.clone()),
                )
            }
        };
        let next = (number + 1).to_string();
        let document = NewDocument {
            bytes: next.clone().into(),
            content_type: "text/plain".to_owned(),
            cache_control: "no-store".to_owned(),
            metadata: [("number".to_owned(), next.clone())].into(),
        };
        match store.put(&DocumentPath::JWKS, &document, &precondition).await {
            Ok(_) => {
                counted += 1;
                let mut out = std::io::stdout().lock();
                writeln!(out, "{next}")
                    .and_then(|()| out.flush())
                    .expect("somebody listens");
            }
            Err(StoreError::Precondition) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn race() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = || {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        (child, lines.map(|line| line.expect("a line")))
    };
    let survivors: Vec<(Child, _)> = (0..SURVIVORS).map(|_| start()).collect();

    let mut said: Vec<String> = Vec::new();
    for victim in 0..VICTIMS {
        let (mut child, mut lines) = start();
        // It is somewhere within its next write when it dies.
        said.extend(lines.by_ref().take(2 + victim));
        child.kill().expect("a kill");
        child.wait().expect("its end");
        said.extend(lines.filter(|line| !line.is_empty()));
    }
    for (mut child, lines) in survivors {
        said.extend(lines);
        assert!(child.wait().expect("its end").success(), "a process failed");
    }

    let store = FileStore::open(folder.path()).expect("the folder");
    let stored = store
        .get(&DocumentPath::JWKS)
        .await
        .expect("a read")
        .expect("a document");
    let number: usize = std::str::from_utf8(&stored.bytes)
        .expect("text")
        .parse()
        .expect("a number");
    let mut distinct = said.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), said.len(), "two processes wrote the same count");
    assert!(
        said.len() >= SURVIVORS * COUNTS as usize + VICTIMS * 2,
        "{} counts",
        said.len()
    );
    // A process may die between its write and its word.
    let most = said.len() + VICTIMS;
    assert!(
        (said.len()..=most).contains(&number),
        "{number} of {} to {most} counts",
        said.len()
    );
}
