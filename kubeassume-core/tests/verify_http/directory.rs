//! Keys from files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use kubeassume_core::http::{DirectorySource, MAX_FILES};
use kubeassume_core::{Answer, Refusal, Source, SourceError};
use serde_json::json;

use super::server::jwk;

fn write(directory: &Path, name: &str, kid: &str) {
    let keys = json!({"keys": [jwk(kid)]});
    fs::write(directory.join(name), keys.to_string()).unwrap();
}

async fn failure(directory: &Path) -> SourceError {
    let seen = DirectorySource::new(directory).observe().await;
    let failures: Vec<_> = seen.failures().map(|(_, error)| error.clone()).collect();
    assert_eq!(failures.len(), 1);
    assert!(!seen.is_complete());
    failures[0].clone()
}

#[tokio::test]
async fn each_file_is_an_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path();
    write(directory, "server-b.json", "b");
    write(directory, "server-a.json", "a");
    write(directory, ".hidden", "hidden");
    fs::create_dir(directory.join("folder")).unwrap();
    // As Kubernetes mounts a ConfigMap.
    fs::create_dir(directory.join("..2026")).unwrap();
    write(&directory.join("..2026"), "c", "c");
    symlink("..2026", directory.join("..data")).unwrap();
    symlink("..data/c", directory.join("server-c")).unwrap();

    let source = DirectorySource::new(directory);
    let seen = source.observe().await;
    assert!(seen.is_complete());
    let kids: Vec<_> = seen
        .answers
        .iter()
        .map(|(name, answer)| match answer {
            Answer::Read { parsed, date: None } => (name.as_str(), parsed.keys.iter().next().unwrap().kid()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        kids,
        [("server-a.json", "a"), ("server-b.json", "b"), ("server-c", "c")]
    );
    assert!(source.probe("server-c").await);
    assert!(!source.probe("server-d").await);
}

#[tokio::test]
async fn a_broken_file_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path();
    write(directory, "good", "a");
    fs::write(directory.join("half"), "{\"keys\":[{").unwrap();
    fs::write(directory.join("large"), vec![b' '; (1 << 20) + 1]).unwrap();
    symlink("nowhere", directory.join("dangling")).unwrap();

    let source = DirectorySource::new(directory);
    let seen = source.observe().await;
    assert!(matches!(seen.answers["good"], Answer::Read { .. }));
    assert!(matches!(
        seen.answers["half"],
        Answer::Failed(SourceError::Refused(Refusal::Malformed(_)))
    ));
    assert_eq!(
        seen.answers["large"],
        Answer::Failed(SourceError::Refused(Refusal::TooLarge))
    );
    assert!(matches!(
        seen.answers["dangling"],
        Answer::Failed(SourceError::Unreachable(_))
    ));
    assert!(!source.probe("half").await && source.probe("good").await);
}

#[tokio::test]
async fn a_directory_without_usable_files_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path();
    assert!(matches!(
        failure(&directory.join("missing")).await,
        SourceError::Unreachable(_)
    ));
    assert!(failure(directory).await.to_string().contains("empty"));
    for i in 0..=MAX_FILES {
        write(directory, &format!("file-{i}"), "a");
    }
    assert!(failure(directory).await.to_string().contains("more than 64"));
    fs::remove_file(directory.join("file-0")).unwrap();
    assert!(DirectorySource::new(directory).observe().await.is_complete());
}
