//! `docs/bucket.md`: what can be run without an account. Creating is tested in `tests/bucket.rs`.

use kubeassume_tests::Testbed;

use crate::blocks::BUCKET;
use crate::desk::Desk;
use crate::page::Page;

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_is_the_one_on_the_page() {
    let bed = Testbed::new("bucket-page");
    let mut desk = Desk::new(&bed, &[]).await;
    for block in Page::of(BUCKET).blocks() {
        if block.is_run() {
            desk.follow(&block, &[]).await;
        }
    }
    desk.compare();
}
