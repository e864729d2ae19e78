//! Bytes of dead images that are stored once more.
#![allow(missing_docs)] // a sentence says it

use std::time::Duration;

use super::{StoreHarness, object};

pub async fn of_several_that_store_the_bytes_of_a_dead_image_once_more_one_at_a_time_may_until_it_is_done_or_its_lease_lapses<
    H: StoreHarness,
>() {
    let harness = H::start().await;
    let store = harness.open().await;
    let lease = Duration::from_secs(60);
    let (dead, other) = (object("a", "v1", Some(1)).id(), object("b", "v1", Some(1)).id());
    let handles = [harness.open().await, harness.open().await, harness.open().await];
    let tries = handles.iter().map(async |one| one.hold_resend(dead, lease).await.expect("asked"));
    let held: Vec<_> = futures::future::join_all(tries).await.into_iter().flatten().collect();
    let [first] = held.as_slice() else { panic!("one holds it: {held:?}") };
    assert!(store.hold_resend(other, lease).await.expect("asked").is_some(), "another image");

    store.release_resend(dead, *first).await.expect("released");
    let second = store.hold_resend(dead, lease).await.expect("asked").expect("free again");
    harness.advance(lease - Duration::from_secs(1)).await;
    assert_eq!(store.hold_resend(dead, lease).await.expect("asked"), None);
    harness.advance(Duration::from_secs(1)).await;
    let third = store.hold_resend(dead, lease).await.expect("asked").expect("its lease lapsed");
    store.release_resend(dead, second).await.expect("asked");
    assert_eq!(store.hold_resend(dead, lease).await.expect("asked"), None, "held by the third");
    store.release_resend(dead, third).await.expect("released");
    assert!(store.hold_resend(dead, lease).await.expect("asked").is_some());
}
