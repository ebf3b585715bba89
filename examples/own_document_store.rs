//! Publish to a place of your own: implement `DocumentStore`, let the conformance suites find your mistakes.
//!
//! Here it is a table with a revision per row, as any database with `UPDATE .. WHERE revision = ?` has.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kubeassume_core::store::*;
use kubeassume_core::testing::{block_on, publisher, store};

#[derive(Default)]
struct Table(Mutex<(u64, BTreeMap<DocumentPath, StoredDocument>)>);

#[async_trait]
impl DocumentStore for Table {
    fn kind(&self) -> &'static str {
        "table"
    }
    fn location(&self) -> String {
        "table://documents".to_owned()
    }
    async fn get(&self, path: &DocumentPath) -> Result<Option<StoredDocument>, StoreError> {
        Ok(self.0.lock().unwrap().1.get(path).cloned())
    }
    async fn put(
        &self,
        path: &DocumentPath,
        new: &NewDocument,
        only_if: &Precondition,
    ) -> Result<Version, StoreError> {
        if new.bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(StoreError::TooLarge);
        }
        let (revision, rows) = &mut *self.0.lock().unwrap(); // Comparing and writing are one step.
        match (only_if, rows.get(path)) {
            (Precondition::Absent, None) => {}
            (Precondition::Matches(version), Some(row)) if row.version == *version => {}
            _ => return Err(StoreError::Precondition),
        }
        *revision += 1; // Never used twice, not even after a deletion.
        let version = Version::new(revision.to_string());
        let row = StoredDocument {
            bytes: new.bytes.clone(),
            content_type: Some(new.content_type.clone()),
            cache_control: Some(new.cache_control.clone()),
            metadata: new.metadata.clone(),
            version: version.clone(),
        };
        rows.insert(path.clone(), row);
        Ok(version)
    }
    async fn list(&self) -> Result<Vec<DocumentPath>, StoreError> {
        Ok(self.0.lock().unwrap().1.keys().cloned().collect())
    }
    async fn delete(&self, path: &DocumentPath, version: &Version) -> Result<(), StoreError> {
        let rows = &mut self.0.lock().unwrap().1;
        let same = rows.get(path).is_some_and(|row| row.version == *version);
        same.then(|| rows.remove(path))
            .map(drop)
            .ok_or(StoreError::Precondition)
    }
    async fn validate(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn main() -> Result<(), kubeassume_core::IssuerError> {
    block_on(store::conformance(Table::default));
    let issuer: kubeassume_core::IssuerUrl = "https://oidc.example.com/cluster1".parse()?;
    block_on(publisher::conformance(|| {
        publisher::Place::behind(Arc::new(Table::default()), issuer.clone())
    }));
    println!("the table conforms: stale writes are refused, races have one winner, publishing works on it");
    Ok(())
}
