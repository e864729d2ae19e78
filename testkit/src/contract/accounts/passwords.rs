//! Passwords and codes.
#![allow(missing_docs)] // a sentence says it

use super::*;

pub async fn a_new_password_ends_every_session_but_the_one_that_it_was_set_from_and_voids_the_links<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &["clinician@north"]).await;
    let bob = add(&*accounts, "bob", &["clinician@north"]).await;
    let mine = open_session(&harness, &*accounts, ada.id, 1).await;
    open_session(&harness, &*accounts, ada.id, 2).await;
    let his = open_session(&harness, &*accounts, bob.id, 3).await;
    add_link(&harness, &*accounts, ada.id, 4).await;
    add_link(&harness, &*accounts, bob.id, 5).await;
    accounts.set_password(ada.id, &password(1), Some(mine.id)).await.expect("set");
    assert_eq!(open_ones(&*accounts, &[1, 2, 3]).await, [1, 3]);
    assert_eq!((linked(&*accounts, 4).await, linked(&*accounts, 5).await), (None, Some(bob.id)));
    let now = account(&*accounts, ada.id).await;
    assert_eq!(now, Account { password: Some(password(1)), ..ada.clone() });
    assert_eq!(account(&*accounts, bob.id).await.password, None);

    // From nowhere, and from a session that is another's.
    accounts.set_password(ada.id, &password(2), Some(his.id)).await.expect("set");
    assert_eq!(open_ones(&*accounts, &[1, 2, 3]).await, [3]);
    open_session(&harness, &*accounts, ada.id, 6).await;
    accounts.set_password(ada.id, &password(3), None).await.expect("set");
    assert_eq!(open_ones(&*accounts, &[3, 6]).await, [3]);
    assert_eq!(account(&*accounts, ada.id).await.password, Some(password(3)));
}

pub async fn failures_to_sign_in_are_counted_until_one_succeeds<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &[]).await;
    let bob = add(&*accounts, "bob", &[]).await;
    for failures in 1..=3 {
        harness.advance(SECOND);
        accounts.note_sign_in(ada.id, false).await.expect("noted");
        let now = account(&*accounts, ada.id).await;
        assert_eq!((now.failures, now.failed_at), (failures, Some(harness.clock().now())));
    }
    let trying = (0..6).map(|_| async {
        let (handle, _) = harness.open().await;
        handle.note_sign_in(ada.id, false).await.expect("noted");
    });
    futures::future::join_all(trying).await;
    assert_eq!(account(&*accounts, ada.id).await.failures, 9, "those at once, too");
    assert_eq!(account(&*accounts, bob.id).await.failures, 0);
    for _ in 0..2 {
        accounts.note_sign_in(ada.id, true).await.expect("noted");
        assert_eq!(account(&*accounts, ada.id).await, ada);
    }
}

pub async fn a_code_is_used_once_and_none_from_before_it_afterwards<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &[]).await;
    let bob = add(&*accounts, "bob", &[]).await;
    let totp = TotpSecret((0..20).collect());
    accounts.set_totp(ada.id, Some(&totp)).await.expect("set");
    assert_eq!(account(&*accounts, ada.id).await.totp.as_ref(), Some(&totp));
    for (step, fresh) in
        [(56_666_666, true), (56_666_666, false), (56_666_665, false), (56_666_667, true)]
    {
        assert_eq!(accounts.use_code(ada.id, step).await.expect("asked"), fresh, "{step}");
    }
    assert!(accounts.use_code(bob.id, 56_666_666).await.expect("asked"), "each has their own");
    let using = (0..4).map(|_| async {
        let (handle, _) = harness.open().await;
        handle.use_code(ada.id, 56_666_668).await.expect("asked")
    });
    let used = futures::future::join_all(using).await;
    assert_eq!(used.iter().filter(|used| **used).count(), 1, "by one of many at once");
    accounts.set_totp(ada.id, None).await.expect("taken away");
    assert_eq!(account(&*accounts, ada.id).await, ada);
    accounts.set_totp(ada.id, Some(&TotpSecret(vec![7; 20]))).await.expect("set");
    assert!(accounts.use_code(ada.id, 56_666_668).await.expect("asked"), "it is another's code");
}
