//! Looks at the bucket all the time and holds it against what must always be true of it: nothing foreign,
//! never torn, no going back, no key that leaves early.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::book::Book;
use crate::bucket::{Bucket, DISCOVERY, JWKS, Object, kids};

const PAUSE: Duration = Duration::from_millis(50);

/// A watch in the background.
pub(crate) struct Watch {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    report: Arc<Mutex<Report>>,
}

/// What a watch saw.
#[derive(Default)]
pub(crate) struct Report {
    /// How often it looked.
    pub(crate) looks: usize,
    /// What was wrong; each thing once.
    pub(crate) broken: Vec<String>,
}

impl Watch {
    pub(crate) fn start(bucket: &Bucket, book: &Book) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let report = Arc::new(Mutex::new(Report::default()));
        let mut eye = Eye {
            bucket: bucket.clone(),
            book: book.clone(),
            generations: BTreeMap::new(),
            present: Vec::new(),
            report: report.clone(),
        };
        let task = tokio::spawn(async move {
            while stopped.try_recv().is_err() {
                eye.look().await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { stop, task, report }
    }

    /// What was wrong so far.
    pub(crate) fn broken(&self) -> Vec<String> {
        self.report.lock().unwrap().broken.clone()
    }

    /// Ends the watch.
    ///
    /// # Panics
    ///
    /// Something was wrong, or it never looked.
    pub(crate) async fn end(self) -> Report {
        let _ = self.stop.send(());
        self.task.await.expect("the watch ends");
        let report = std::mem::take(&mut *self.report.lock().unwrap());
        assert!(report.broken.is_empty(), "{:#?}", report.broken);
        assert!(report.looks > 0, "the watch saw nothing");
        report
    }
}

struct Eye {
    bucket: Bucket,
    book: Book,
    /// The last generation of each document.
    generations: BTreeMap<&'static str, u64>,
    /// The keys that were public at the last look.
    present: Vec<String>,
    report: Arc<Mutex<Report>>,
}

impl Eye {
    async fn look(&mut self) {
        // In this order: a discovery document that was there before must have had a key set to point to.
        let (Ok(discovery), Ok(jwks)) = (
            self.bucket.object(DISCOVERY).await,
            self.bucket.object(JWKS).await,
        ) else {
            return;
        };
        self.report.lock().unwrap().looks += 1;
        if let Some(discovery) = &discovery {
            self.no_going_back(DISCOVERY, discovery);
            self.discovery(discovery);
        }
        match &jwks {
            Some(jwks) => {
                self.no_going_back(JWKS, jwks);
                self.keys(jwks);
            }
            None if discovery.is_some() => self.broken("discovery points to no key set".to_owned()),
            None => {}
        }
    }

    fn no_going_back(&mut self, key: &'static str, object: &Object) {
        let Some(generation) = object.generation else {
            return self.broken(format!("{key} has no generation"));
        };
        if let Some(before) = self
            .generations
            .insert(key, generation)
            .filter(|before| *before > generation)
        {
            self.broken(format!(
                "{key} went back from generation {before} to {generation}"
            ));
        }
    }

    fn discovery(&mut self, object: &Object) {
        let issuer = self.bucket.issuer();
        let document: Value = serde_json::from_str(&object.body).unwrap_or_default();
        if document["issuer"] != issuer.as_str() || document["jwks_uri"] != format!("{issuer}/openid/v1/jwks")
        {
            self.broken(format!("the discovery document is {}", object.body));
        }
    }

    fn keys(&mut self, object: &Object) {
        let now = Instant::now();
        let public = match kids(&object.body) {
            Ok(public) if public.is_empty() => return self.broken("the key set is empty".to_owned()),
            Ok(public) => public,
            Err(error) => return self.broken(error),
        };
        for kid in &public {
            if !self.book.knows(kid) {
                self.broken(format!("{kid} is public and was never served"));
            }
        }
        for kid in std::mem::replace(&mut self.present, public.clone()) {
            let early = self.book.may_leave(&kid).is_none_or(|moment| now < moment);
            if !public.contains(&kid) && early {
                self.broken(format!("{kid} left too early"));
            }
        }
    }

    fn broken(&mut self, what: String) {
        let broken = &mut self.report.lock().unwrap().broken;
        if !broken.contains(&what) {
            broken.push(what);
        }
    }
}
