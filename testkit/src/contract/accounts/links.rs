//! One-time links.
#![allow(missing_docs)] // a sentence says it

use super::*;

pub async fn a_link_is_redeemed_once_by_one_of_many_at_once<H: AccountsHarness>() {
    const MANY: u8 = 6;
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &["admin@*"]).await;
    add_link(&harness, &*accounts, ada.id, 1).await;
    assert_eq!(linked(&*accounts, 1).await, Some(ada.id));
    assert_eq!(linked(&*accounts, 1).await, Some(ada.id), "looking uses nothing up");
    let redeeming = (0..MANY).map(|n| {
        let harness = &harness;
        async move {
            let (handle, _) = harness.open().await;
            let redeemed = handle.redeem(&secret(1), &password(n)).await.expect("asked");
            redeemed.map(|account| account.password)
        }
    });
    let redeemed: Vec<_> = futures::future::join_all(redeeming).await;
    let [set] = redeemed.iter().flatten().collect::<Vec<_>>()[..] else {
        panic!("by one: {redeemed:?}")
    };
    assert_eq!(&account(&*accounts, ada.id).await.password, set, "whose password it is");
    assert_eq!(linked(&*accounts, 1).await, None);
    assert_eq!(redeem(&*accounts, 1).await, None);
}

pub async fn redeeming_a_link_sets_the_password_and_ends_the_sessions<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &["clinician@north"]).await;
    let bob = add(&*accounts, "bob", &["clinician@north"]).await;
    open_session(&harness, &*accounts, ada.id, 1).await;
    open_session(&harness, &*accounts, bob.id, 2).await;
    add_link(&harness, &*accounts, ada.id, 3).await;
    add_link(&harness, &*accounts, bob.id, 4).await;
    let redeemed = redeem(&*accounts, 3).await.expect("redeemed");
    assert_eq!(redeemed, Account { password: Some(password(3)), ..ada });
    assert_eq!(account(&*accounts, redeemed.id).await, redeemed);
    assert_eq!(open_ones(&*accounts, &[1, 2]).await, [2]);
    assert_eq!(linked(&*accounts, 4).await, Some(bob.id));
}

pub async fn a_link_that_has_expired_or_was_replaced_is_not_redeemed<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &[]).await;
    add_link(&harness, &*accounts, ada.id, 1).await;
    add_link(&harness, &*accounts, ada.id, 2).await;
    assert_eq!((linked(&*accounts, 1).await, linked(&*accounts, 2).await), (None, Some(ada.id)));
    assert_eq!(redeem(&*accounts, 1).await, None);
    harness.advance(LIFE - SECOND);
    assert_eq!(linked(&*accounts, 2).await, Some(ada.id));
    harness.advance(SECOND);
    assert_eq!(linked(&*accounts, 2).await, None);
    assert_eq!(redeem(&*accounts, 2).await, None);
    assert_eq!(account(&*accounts, ada.id).await, ada);
    add_link(&harness, &*accounts, ada.id, 3).await;
    assert!(redeem(&*accounts, 3).await.is_some(), "another one is");
}

pub async fn a_link_is_no_use_for_an_account_that_is_disabled<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &[]).await;
    add_link(&harness, &*accounts, ada.id, 1).await;
    accounts.disable(ada.id, true).await.expect("disabled");
    assert_eq!(linked(&*accounts, 1).await, None);
    assert_eq!(redeem(&*accounts, 1).await, None);
    let expires_at = harness.clock().now().plus(LIFE);
    let link = NewLink { account: ada.id, secret: secret(2), expires_at };
    let refused = accounts.add_link(&link).await;
    assert!(matches!(refused, Err(AccountError::Disabled)), "{refused:?}");
    assert_eq!(account(&*accounts, ada.id).await.password, None);

    // Against one that is disabled at the same time: redeemed before, or not at all.
    let (one, other) = (harness.open().await.0, harness.open().await.0);
    for n in 3..7 {
        let enabled = accounts.disable(ada.id, false).await.expect("enabled");
        add_link(&harness, &*accounts, ada.id, n).await;
        let (secret, new) = (secret(n), password(n));
        let (redeemed, disabled) =
            futures::join!(one.redeem(&secret, &new), other.disable(ada.id, true));
        disabled.expect("disabled");
        let now = account(&*accounts, ada.id).await;
        let expected = match redeemed.expect("asked") {
            Some(_) => Some(new),
            None => enabled.password,
        };
        assert_eq!((now.password, now.disabled), (expected, true));
    }
}
