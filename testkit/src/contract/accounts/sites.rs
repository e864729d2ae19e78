//! Sites.
#![allow(missing_docs)] // a sentence says it

use super::*;

async fn names(accounts: &dyn Accounts) -> Vec<String> {
    let sites = accounts.sites().await.expect("asked");
    sites.into_iter().map(|site| site.name.to_string()).collect()
}

pub async fn a_site_is_added_once_and_listed_by_name<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    assert_eq!(accounts.sites().await.expect("asked"), []);
    let added_at = harness.clock().now();
    for name in ["south", "north", "a.b_c-d"] {
        assert!(accounts.add_site(&site(name)).await.expect("added"));
    }
    harness.advance(SECOND);
    assert!(!accounts.add_site(&site("north")).await.expect("asked"));
    let expected = ["a.b_c-d", "north", "south"].map(|name| Site { name: site(name), added_at });
    assert_eq!(accounts.sites().await.expect("asked"), expected);
    // Keys of objects tell them apart, too.
    assert!(accounts.add_site(&site("North")).await.expect("added"));
    assert_eq!(names(&*accounts).await, ["North", "a.b_c-d", "north", "south"]);
}

pub async fn a_site_that_is_removed_is_not_listed_any_more<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &["clinician@north"]).await;
    for name in ["north", "south"] {
        accounts.add_site(&site(name)).await.expect("added");
    }
    assert!(accounts.remove_site(&site("north")).await.expect("asked"));
    assert!(!accounts.remove_site(&site("north")).await.expect("asked"));
    assert!(!accounts.remove_site(&site("South")).await.expect("asked"));
    assert_eq!(names(&*accounts).await, ["south"]);
    assert_eq!(account(&*accounts, ada.id).await, ada, "grants to it stay");
    assert!(accounts.add_site(&site("north")).await.expect("added again"));
}
