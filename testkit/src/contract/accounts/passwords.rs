//! Passwords and codes.
#![allow(missing_docs)] // a sentence says it

use super::*;

pub async fn a_new_password_ends_every_session_but_the_one_that_it_was_set_from_which_gets_another_secret_and_voids_the_links<
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
    let keep = |session: &Session, n| KeptSession { id: session.id, secret: secret(n) };
    let set = accounts.set_password(ada.id, None, &password(1), Some(&keep(&mine, 7))).await;
    set.expect("set");
    assert_eq!(open_ones(&*accounts, &[1, 2, 3, 7]).await, [3, 7]);
    assert_eq!(found(&*accounts, 7).await.map(|(session, _)| session), Some(mine));
    assert_eq!((linked(&*accounts, 4).await, linked(&*accounts, 5).await), (None, Some(bob.id)));
    let now = account(&*accounts, ada.id).await;
    assert_eq!(now, Account { password: Some(password(1)), ..ada.clone() });
    assert_eq!(account(&*accounts, bob.id).await.password, None);

    // From nowhere, and from a session that is another's.
    let (first, second) = (password(1), password(2));
    let set = accounts.set_password(ada.id, Some(&first), &second, Some(&keep(&his, 8))).await;
    set.expect("set");
    assert_eq!(open_ones(&*accounts, &[3, 7, 8]).await, [3]);
    open_session(&harness, &*accounts, ada.id, 6).await;
    set_password(&*accounts, ada.id, 3).await;
    assert_eq!(open_ones(&*accounts, &[3, 6]).await, [3]);
    assert_eq!(account(&*accounts, ada.id).await.password, Some(password(3)));
}

pub async fn a_password_is_set_and_codes_are_only_while_the_password_that_was_proven_is_the_present_one<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &["clinician@north"]).await;
    set_password(&*accounts, ada.id, 1).await;
    open_session(&harness, &*accounts, ada.id, 1).await;
    add_link(&harness, &*accounts, ada.id, 2).await;
    let before = account(&*accounts, ada.id).await;
    let totp = TotpSecret(vec![7; 20]);
    for other in [Some(password(0)), None] {
        let refused = accounts.set_password(ada.id, other.as_ref(), &password(2), None).await;
        assert!(matches!(refused, Err(AccountError::Replaced)), "{refused:?}");
    }
    let refused = accounts.set_totp(ada.id, Some((&totp, 7)), Some(&password(0))).await;
    assert!(matches!(refused, Err(AccountError::Replaced)), "{refused:?}");
    assert_eq!(account(&*accounts, ada.id).await, before);
    assert_eq!(open_ones(&*accounts, &[1]).await, [1]);
    assert_eq!(linked(&*accounts, 2).await, Some(ada.id));

    // Of many that proved the same one at once, one sets another; and a link that is redeemed meanwhile stands.
    let setting = (10..16).map(|n| {
        let harness = &harness;
        async move {
            let (handle, _) = harness.open().await;
            let proven = password(1);
            let set = handle.set_password(ada.id, Some(&proven), &password(n), None).await;
            match set {
                Ok(()) => Some(password(n)),
                Err(AccountError::Replaced) => None,
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    let set: Vec<_> = futures::future::join_all(setting).await.into_iter().flatten().collect();
    let [set] = &set[..] else { panic!("by one: {set:?}") };
    assert_eq!(account(&*accounts, ada.id).await.password.as_ref(), Some(set));
    add_link(&harness, &*accounts, ada.id, 3).await;
    let redeemed = redeem(&*accounts, 3).await.expect("redeemed");
    let refused = accounts.set_password(ada.id, Some(set), &password(4), None).await;
    assert!(matches!(refused, Err(AccountError::Replaced)), "{refused:?}");
    assert_eq!(account(&*accounts, ada.id).await, redeemed);
    accounts.set_totp(ada.id, Some((&totp, 7)), redeemed.password.as_ref()).await.expect("set");
    assert_eq!(account(&*accounts, ada.id).await.totp, Some(totp));
}

pub async fn a_hash_that_is_made_anew_takes_the_place_of_the_one_that_it_was_made_of_and_ends_nothing<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &["clinician@north"]).await;
    set_password(&*accounts, ada.id, 1).await;
    open_session(&harness, &*accounts, ada.id, 1).await;
    add_link(&harness, &*accounts, ada.id, 2).await;
    let renew = async |from, to| {
        accounts.renew_password(ada.id, &password(from), &password(to)).await.expect("asked")
    };
    assert!(renew(1, 2).await);
    assert_eq!(account(&*accounts, ada.id).await.password, Some(password(2)));
    assert!(!renew(1, 3).await, "it was made of one that was replaced");
    assert_eq!(account(&*accounts, ada.id).await.password, Some(password(2)));
    assert_eq!(open_ones(&*accounts, &[1]).await, [1]);
    assert_eq!(linked(&*accounts, 2).await, Some(ada.id));
}

pub async fn failures_to_sign_in_are_counted_until_one_succeeds_or_a_day_passes_without_another<
    H: AccountsHarness,
>() {
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
    for (wait, failures) in [(SECOND, 1), (FORGOTTEN - SECOND, 2), (FORGOTTEN, 1)] {
        harness.advance(wait);
        accounts.note_sign_in(bob.id, false).await.expect("noted");
        assert_eq!(account(&*accounts, bob.id).await.failures, failures, "after {wait:?}");
    }
}

pub async fn failures_of_names_that_nobody_has_are_counted_alike_whichever_process_notes_them<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let last = STRANGERS - 1;
    assert_eq!(accounts.stranger(7).await.expect("asked"), None);
    let noting = (0..6).map(|_| async {
        let (handle, _) = harness.open().await;
        handle.note_stranger(7).await.expect("noted");
    });
    futures::future::join_all(noting).await;
    let first = harness.clock().now();
    assert_eq!(accounts.stranger(7).await.expect("asked"), Some((6, first)));
    harness.advance(FORGOTTEN - SECOND);
    for bucket in [7, 0, last] {
        accounts.note_stranger(bucket).await.expect("noted");
    }
    let now = harness.clock().now();
    assert_eq!(accounts.stranger(7).await.expect("asked"), Some((7, now)));
    assert_eq!(accounts.stranger(last).await.expect("asked"), Some((1, now)));
    assert_eq!(accounts.stranger(8).await.expect("asked"), None);
    harness.advance(FORGOTTEN);
    accounts.note_stranger(7).await.expect("noted");
    let later = harness.clock().now();
    assert_eq!(accounts.stranger(7).await.expect("asked"), Some((1, later)), "those are forgotten");
    assert_eq!(accounts.prune_sessions(IDLE).await.expect("pruned"), 2);
    assert_eq!(accounts.stranger(0).await.expect("asked"), None);
    assert_eq!(accounts.stranger(7).await.expect("asked"), Some((1, later)));
}

pub async fn the_first_key_of_names_that_nobody_has_is_kept_and_is_everybody_s_from_then_on<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let asking =
        (0..6).map(|n| (&harness, StrangerKey([n; 32]))).map(|(harness, fresh)| async move {
            let (handle, _) = harness.open().await;
            handle.stranger_key(&fresh).await.expect("kept")
        });
    let kept = futures::future::join_all(asking).await;
    assert!(
        kept.iter().all(|key| *key == kept[0] && key.0[0] < 6),
        "one of those that were offered"
    );
    let (accounts, _) = harness.open().await;
    let later = accounts.stranger_key(&StrangerKey([9; 32])).await.expect("kept");
    assert!(later == kept[0]);
    let other = H::start().await;
    let (accounts, _) = other.open().await;
    let theirs = accounts.stranger_key(&StrangerKey([9; 32])).await.expect("kept");
    assert!(theirs != kept[0], "every store has its own");
}

pub async fn a_code_is_used_once_and_none_from_before_it_afterwards<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &[]).await;
    let bob = add(&*accounts, "bob", &[]).await;
    let totp = TotpSecret((0..20).collect());
    accounts.set_totp(ada.id, Some((&totp, 56_666_665)), None).await.expect("set");
    assert_eq!(account(&*accounts, ada.id).await.totp.as_ref(), Some(&totp));
    for (step, fresh) in [
        (56_666_665, false),
        (56_666_666, true),
        (56_666_666, false),
        (56_666_665, false),
        (56_666_667, true),
    ] {
        assert_eq!(accounts.use_code(ada.id, step).await.expect("asked"), fresh, "{step}");
    }
    assert!(accounts.use_code(bob.id, 56_666_666).await.expect("asked"), "each has their own");
    let using = (0..4).map(|_| async {
        let (handle, _) = harness.open().await;
        handle.use_code(ada.id, 56_666_668).await.expect("asked")
    });
    let used = futures::future::join_all(using).await;
    assert_eq!(used.iter().filter(|used| **used).count(), 1, "by one of many at once");
    accounts.set_totp(ada.id, None, None).await.expect("taken away");
    assert_eq!(account(&*accounts, ada.id).await, ada);
    let other = TotpSecret(vec![7; 20]);
    accounts.set_totp(ada.id, Some((&other, 56_666_667)), None).await.expect("set");
    assert!(accounts.use_code(ada.id, 56_666_668).await.expect("asked"), "it is another's code");
}
