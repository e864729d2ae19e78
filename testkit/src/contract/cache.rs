//! The cache's contract.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::cache::{Cache, Entry};
use lobar_core::object::ImageId;
use lobar_core::position::Position;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../core/src/cache.rs");

/// An adapter under test.
#[async_trait]
pub trait CacheHarness: Sized + Send + Sync {
    /// A cache that nobody has used.
    async fn start() -> Self;
    /// A handle on it, as another process has one.
    async fn open(&self) -> Arc<dyn Cache>;
}

/// Runs the cache's contract on a harness.
#[macro_export]
macro_rules! cache_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::cache, suite::DOCUMENTATION, [
            what_is_put_is_got_with_its_position_and_its_tag_by_everyone,
            what_was_never_put_is_not_got,
            a_newer_put_replaces_an_older_one,
            an_older_put_does_not_replace_a_newer_one,
            a_forgotten_image_is_not_got,
            a_put_that_does_not_know_the_change_is_refused,
            a_put_that_knows_the_change_is_accepted,
            forgetting_a_change_that_an_entry_knows_keeps_the_entry,
            each_of_many_images_is_forgotten_up_to_its_own_change,
            forgetting_an_older_change_afterwards_takes_nothing_back,
            entries_expire_by_themselves,
            what_was_forgotten_may_be_put_again_after_a_while,
            of_concurrent_puts_and_changes_nothing_outdated_remains,
        ] }
    };
}

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// Long enough for a busy machine to look before it is over.
const SHORT: Duration = Duration::from_millis(700);

fn id(n: usize) -> ImageId {
    ImageId(Uuid::from_u128(n as u128 + 1))
}

/// What a reader renders at an event: the body names it, and holds bytes that are no text.
fn entry(seq: i64) -> Entry {
    let mut body = format!("{{\"at\":{seq}}}\r\n").into_bytes();
    body.extend([0, 255, 13, 10]);
    Entry { position: Position::from_number(seq), tag: format!("tag-{seq}"), body: body.into() }
}

async fn put(cache: &dyn Cache, image: ImageId, seq: i64) -> bool {
    cache.put(image, &entry(seq), LONG).await.expect("answers")
}

async fn forget(cache: &dyn Cache, image: ImageId, seq: i64) {
    cache.forget(&[(image, Position::from_number(seq))], LONG).await.expect("answers");
}

async fn got(cache: &dyn Cache, image: ImageId) -> Option<Entry> {
    cache.get(image).await.expect("answers")
}

#[allow(missing_docs)]
pub async fn what_is_put_is_got_with_its_position_and_its_tag_by_everyone<H: CacheHarness>() {
    let harness = H::start().await;
    let (one, other) = (harness.open().await, harness.open().await);
    assert!(put(&*one, id(0), 7).await);
    assert_eq!(got(&*other, id(0)).await, Some(entry(7)));
    assert_eq!(got(&*one, id(0)).await, Some(entry(7)));
}

#[allow(missing_docs)]
pub async fn what_was_never_put_is_not_got<H: CacheHarness>() {
    let harness = H::start().await;
    let cache = harness.open().await;
    put(&*cache, id(0), 7).await;
    assert_eq!(got(&*cache, id(1)).await, None);
}

#[allow(missing_docs)]
pub async fn a_newer_put_replaces_an_older_one<H: CacheHarness>() {
    let harness = H::start().await;
    let cache = harness.open().await;
    for seq in [3, 3, 9, 10] {
        assert!(put(&*cache, id(0), seq).await);
        assert_eq!(got(&*cache, id(0)).await, Some(entry(seq)));
    }
}

#[allow(missing_docs)]
pub async fn an_older_put_does_not_replace_a_newer_one<H: CacheHarness>() {
    let harness = H::start().await;
    let cache = harness.open().await;
    // As numbers, not as texts.
    assert!(put(&*cache, id(0), 10).await);
    assert!(!put(&*cache, id(0), 9).await);
    assert_eq!(got(&*cache, id(0)).await, Some(entry(10)));
}

#[allow(missing_docs)]
pub async fn a_forgotten_image_is_not_got<H: CacheHarness>() {
    let harness = H::start().await;
    let (one, other) = (harness.open().await, harness.open().await);
    put(&*one, id(0), 7).await;
    put(&*one, id(1), 7).await;
    forget(&*other, id(0), 8).await;
    assert_eq!(got(&*one, id(0)).await, None);
    assert_eq!(got(&*one, id(1)).await, Some(entry(7)), "the other is kept");
}

#[allow(missing_docs)]
pub async fn a_put_that_does_not_know_the_change_is_refused<H: CacheHarness>() {
    let harness = H::start().await;
    let (slow, follower) = (harness.open().await, harness.open().await);
    // It was never there: the reader was slower than the change.
    forget(&*follower, id(0), 8).await;
    assert!(!put(&*slow, id(0), 7).await);
    assert_eq!(got(&*slow, id(0)).await, None);
}

#[allow(missing_docs)]
pub async fn a_put_that_knows_the_change_is_accepted<H: CacheHarness>() {
    let harness = H::start().await;
    let cache = harness.open().await;
    for (image, seq) in [(id(0), 8), (id(1), 9)] {
        forget(&*cache, image, 8).await;
        assert!(put(&*cache, image, seq).await);
        assert_eq!(got(&*cache, image).await, Some(entry(seq)));
    }
}

#[allow(missing_docs)]
pub async fn forgetting_a_change_that_an_entry_knows_keeps_the_entry<H: CacheHarness>() {
    let harness = H::start().await;
    let cache = harness.open().await;
    put(&*cache, id(0), 10).await;
    // Another follower is behind.
    forget(&*cache, id(0), 9).await;
    forget(&*cache, id(0), 10).await;
    assert_eq!(got(&*cache, id(0)).await, Some(entry(10)));
}

#[allow(missing_docs)]
pub async fn each_of_many_images_is_forgotten_up_to_its_own_change<H: CacheHarness>() {
    const IMAGES: usize = 700;
    let harness = H::start().await;
    let cache = harness.open().await;
    for n in 0..IMAGES {
        assert!(put(&*cache, id(n), 500).await);
    }
    let changes: Vec<_> = (0..IMAGES).map(|n| (id(n), Position::from_number(n as i64))).collect();
    cache.forget(&changes, LONG).await.expect("answers");
    for n in 0..IMAGES {
        assert_eq!(got(&*cache, id(n)).await.is_some(), n <= 500, "{n}");
    }
    cache.forget(&[], LONG).await.expect("nothing is no error");
}

#[allow(missing_docs)]
pub async fn forgetting_an_older_change_afterwards_takes_nothing_back<H: CacheHarness>() {
    let harness = H::start().await;
    let cache = harness.open().await;
    forget(&*cache, id(0), 20).await;
    forget(&*cache, id(0), 8).await;
    assert!(!put(&*cache, id(0), 19).await);
    // One image twice in one call.
    cache
        .forget(&[(id(1), Position::from_number(20)), (id(1), Position::from_number(8))], LONG)
        .await
        .expect("answers");
    assert!(!put(&*cache, id(1), 19).await);
}

#[allow(missing_docs)]
pub async fn entries_expire_by_themselves<H: CacheHarness>() {
    let harness = H::start().await;
    let cache = harness.open().await;
    assert!(cache.put(id(0), &entry(7), SHORT).await.expect("answers"));
    put(&*cache, id(1), 7).await;
    gone(async || got(&*cache, id(0)).await.is_none()).await;
    assert_eq!(got(&*cache, id(1)).await, Some(entry(7)), "each for its own time");
}

#[allow(missing_docs)]
pub async fn what_was_forgotten_may_be_put_again_after_a_while<H: CacheHarness>() {
    let harness = H::start().await;
    let cache = harness.open().await;
    cache.forget(&[(id(0), Position::from_number(8))], SHORT).await.expect("answers");
    gone(async || put(&*cache, id(0), 7).await).await;
}

/// Waits until something that must not be so at once has come about, not earlier than half its time.
async fn gone(ask: impl AsyncFn() -> bool) {
    let began = std::time::Instant::now();
    while !ask().await {
        assert!(began.elapsed() < Duration::from_secs(60), "in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() >= SHORT / 2, "after {:?} already", began.elapsed());
}

#[allow(missing_docs)]
pub async fn of_concurrent_puts_and_changes_nothing_outdated_remains<H: CacheHarness>() {
    const LAST: i64 = 120;
    for seed in 0..4 {
        let harness = H::start().await;
        let (reader, follower) = (harness.open().await, harness.open().await);
        let put_all = async {
            let mut random = StdRng::seed_from_u64(seed);
            for _ in 0..300 {
                // Readers that had followed anything up to the last change.
                put(&*reader, id(0), random.random_range(0..LAST)).await;
            }
        };
        let change_all = async {
            for seq in 1..=LAST {
                forget(&*follower, id(0), seq).await;
            }
        };
        tokio::join!(put_all, change_all);
        assert_eq!(got(&*reader, id(0)).await, None, "seed {seed}");
    }
}
