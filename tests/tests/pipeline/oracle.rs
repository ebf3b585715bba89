//! The oracle itself: it must see what it is there to see.

use std::time::{Duration, Instant};

use kubeassume_tests::{SigningKey, Testbed, until};
use serde_json::json;

use crate::LIMIT;
use crate::book::Book;
use crate::bucket::{Bucket, DISCOVERY, JWKS, jwk};
use crate::watch::Watch;

#[tokio::test]
async fn the_watch_sees_foreign_keys_steps_back_torn_documents_and_early_ends() {
    let bed = Testbed::new("oracle");
    let gateway = bed.versitygw().await;
    let bucket = Bucket::create(&gateway, bed.http()).await;
    let book = Book::new(Duration::from_secs(3600));
    let (own, stranger) = (SigningKey::p256(), SigningKey::p256());
    book.served(own.kid());
    let watch = Watch::start(&bucket, &book);
    let sees = async |what: &str| {
        until(&format!("the watch to see: {what}"), LIMIT, async || {
            let broken = watch.broken();
            if broken.iter().any(|line| line.contains(what)) {
                Ok(())
            } else {
                Err(format!("{broken:?}"))
            }
        })
        .await;
    };
    let set = |keys: &[&SigningKey]| {
        let keys: Vec<_> = keys.iter().map(|key| jwk(key)).collect();
        json!({"keys": keys}).to_string()
    };
    let discovery = |issuer: &str| json!({"issuer": issuer, "jwks_uri": format!("{issuer}/openid/v1/jwks")});

    let issuer = bucket.issuer();
    bucket
        .put(DISCOVERY, &discovery(&issuer).to_string(), &[("generation", "1")])
        .await;
    sees("discovery points to no key set").await;
    bucket.put(JWKS, &set(&[&own]), &[]).await;
    sees("has no generation").await;
    bucket
        .put(JWKS, &set(&[&own, &stranger]), &[("generation", "7")])
        .await;
    sees(&format!("{} is public and was never served", stranger.kid())).await;
    bucket.put(JWKS, &set(&[&stranger]), &[("generation", "6")]).await;
    sees("went back from generation 7 to 6").await;
    sees(&format!("{} left too early", own.kid())).await;
    bucket.put(JWKS, &set(&[]), &[("generation", "8")]).await;
    sees("the key set is empty").await;
    bucket
        .put(
            DISCOVERY,
            &discovery("https://other.example").to_string(),
            &[("generation", "2")],
        )
        .await;
    sees("the discovery document is").await;
}

#[test]
fn a_key_is_owed_from_when_it_is_public_to_the_end_of_its_retention() {
    let (began, minute) = (Instant::now(), Duration::from_secs(60));
    let book = Book::new(minute);
    assert!(!book.knows("a") && !book.owed("a", began, began));
    book.served("a");
    assert!(
        book.knows("a") && !book.owed("a", Instant::now(), Instant::now()),
        "not public yet"
    );
    book.public("a");
    let public = Instant::now();
    assert!(!book.owed("a", began, public), "a verification that began before");
    assert!(
        book.owed("a", public, public + minute * 60),
        "served, for however long"
    );
    book.withdrawn("a");
    assert!(book.owed("a", public, Instant::now()));
    assert!(
        !book.owed("a", public, Instant::now() + minute),
        "its retention is over"
    );
    book.served("a");
    assert!(book.owed("a", public, public + minute * 60), "it came back");
}
