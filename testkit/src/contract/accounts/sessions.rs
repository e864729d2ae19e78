//! Sessions.
#![allow(missing_docs)] // a sentence says it

use super::*;

pub async fn a_session_is_found_by_its_secret_with_its_account_as_it_is_now<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &["clinician@north"]).await;
    let bob = add(&*accounts, "bob", &["reader@south"]).await;
    let opened = open_session(&harness, &*accounts, ada.id, 1).await;
    let now = harness.clock().now();
    let expected = Session {
        id: opened.id,
        account: ada.id,
        opened_at: now,
        used_at: now,
        expires_at: now.plus(LIFE),
        client: "Firefox on Linux".into(),
    };
    assert_eq!(opened, expected);
    let his = open_session(&harness, &*accounts, bob.id, 2).await;
    accounts.note_sign_in(ada.id, false).await.expect("noted");
    let ada = account(&*accounts, ada.id).await;
    assert_eq!(ada.failures, 1);
    let (elsewhere, _) = harness.open().await;
    for handle in [&accounts, &elsewhere] {
        assert_eq!(found(&**handle, 1).await, Some((opened.clone(), ada.clone())));
        assert_eq!(found(&**handle, 2).await, Some((his.clone(), bob.clone())));
        assert_eq!(found(&**handle, 3).await, None);
    }
    accounts.disable(bob.id, true).await.expect("disabled");
    let expires_at = now.plus(LIFE);
    let client = String::new();
    let session = NewSession {
        proven: None,
        sid: None,
        account: bob.id,
        secret: secret(4),
        expires_at,
        client,
    };
    let refused = accounts.open_session(&session).await;
    assert!(matches!(refused, Err(AccountError::Disabled)), "{refused:?}");
    assert_eq!(found(&*accounts, 4).await, None);
}

pub async fn a_session_is_not_opened_with_a_password_that_was_replaced_meanwhile<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &[]).await;
    set_password(&*accounts, ada.id, 1).await;
    let with = |proven| NewSession {
        proven,
        sid: None,
        account: ada.id,
        secret: secret(1),
        expires_at: harness.clock().now().plus(LIFE),
        client: String::new(),
    };
    set_password(&*accounts, ada.id, 2).await;
    let refused = accounts.open_session(&with(Some(password(1)))).await;
    assert!(matches!(refused, Err(AccountError::Replaced)), "{refused:?}");
    assert_eq!(found(&*accounts, 1).await, None);
    accounts.open_session(&with(Some(password(2)))).await.expect("opened");
    assert!(found(&*accounts, 1).await.is_some());
}

pub async fn a_session_is_not_found_after_its_end_its_expiry_or_that_of_its_idle_time<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &[]).await;
    let ended = open_session(&harness, &*accounts, ada.id, 1).await;
    let idle = open_session(&harness, &*accounts, ada.id, 2).await;
    let used = open_session(&harness, &*accounts, ada.id, 3).await;
    assert!(accounts.end_session(ada.id, ended.id).await.expect("asked"));
    assert_eq!(open_ones(&*accounts, &[1, 2, 3]).await, [2, 3]);

    harness.advance(IDLE - SECOND);
    accounts.touch_session(used.id).await.expect("noted");
    assert_eq!(open_ones(&*accounts, &[1, 2, 3]).await, [2, 3]);
    harness.advance(SECOND);
    assert_eq!(open_ones(&*accounts, &[1, 2, 3]).await, [3]);
    let longer = accounts.session(&secret(2), IDLE * 2).await.expect("asked");
    assert_eq!(longer.map(|(session, _)| session), Some(idle), "it is for who asks to say");

    // However much it is used.
    let end = used.expires_at;
    while harness.clock().now().plus(SECOND) < end {
        assert_eq!(open_ones(&*accounts, &[3]).await, [3]);
        accounts.touch_session(used.id).await.expect("noted");
        let left = end.since(harness.clock().now()) - SECOND;
        harness.advance(left.min(IDLE - SECOND));
    }
    accounts.touch_session(used.id).await.expect("noted");
    assert_eq!(open_ones(&*accounts, &[3]).await, [3]);
    harness.advance(SECOND);
    assert_eq!(found(&*accounts, 3).await, None);
    assert_eq!(accounts.sessions(ada.id, IDLE).await.expect("asked"), []);
    assert_eq!(accounts.session(&secret(3), Duration::MAX).await.expect("asked"), None);
}

pub async fn the_use_of_a_session_is_noted_never_back_in_time<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &[]).await;
    let first = open_session(&harness, &*accounts, ada.id, 1).await;
    let second = open_session(&harness, &*accounts, ada.id, 2).await;
    harness.advance(SECOND * 60);
    accounts.touch_session(first.id).await.expect("noted");
    let later = first.opened_at.plus(SECOND * 60);
    let used = Session { used_at: later, ..first.clone() };
    assert_eq!(found(&*accounts, 1).await.map(|(session, _)| session), Some(used.clone()));
    harness.set_back(SECOND * 30);
    accounts.touch_session(first.id).await.expect("asked");
    assert_eq!(found(&*accounts, 1).await.map(|(session, _)| session), Some(used.clone()));
    let listed = accounts.sessions(ada.id, IDLE).await.expect("asked");
    assert_eq!(listed, [used, second], "newest use first");
}

pub async fn a_session_is_ended_by_its_own_account_only<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &[]).await;
    let bob = add(&*accounts, "bob", &[]).await;
    let session = open_session(&harness, &*accounts, ada.id, 1).await;
    for other in [bob.id, nobody()] {
        assert!(!accounts.end_session(other, session.id).await.expect("asked"));
    }
    assert_eq!(open_ones(&*accounts, &[1]).await, [1]);
    assert!(accounts.end_session(ada.id, session.id).await.expect("asked"));
    assert!(!accounts.end_session(ada.id, session.id).await.expect("asked"), "there is none now");
    assert_eq!(found(&*accounts, 1).await, None);
}

pub async fn all_sessions_of_an_account_end_at_once_but_for_one_if_it_says_so<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &[]).await;
    let bob = add(&*accounts, "bob", &[]).await;
    let mut hers = Vec::new();
    for n in 1..=3 {
        hers.push(open_session(&harness, &*accounts, ada.id, n).await.id);
    }
    open_session(&harness, &*accounts, bob.id, 4).await;
    assert_eq!(accounts.end_sessions(ada.id, Some(hers[1])).await.expect("ended"), 2);
    assert_eq!(open_ones(&*accounts, &[1, 2, 3, 4]).await, [2, 4]);
    assert_eq!(accounts.end_sessions(ada.id, None).await.expect("ended"), 1);
    assert_eq!(accounts.end_sessions(ada.id, None).await.expect("ended"), 0);
    assert_eq!(open_ones(&*accounts, &[1, 2, 3, 4]).await, [4]);
}

pub async fn sessions_that_are_over_are_pruned<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &[]).await;
    let bob = add(&*accounts, "bob", &[]).await;
    assert_eq!(accounts.prune_sessions(IDLE).await.expect("pruned"), 0);
    let brief = NewSession {
        proven: None,
        sid: None,
        account: ada.id,
        secret: secret(1),
        expires_at: harness.clock().now().plus(SECOND),
        client: String::new(),
    };
    accounts.open_session(&brief).await.expect("opened");
    open_session(&harness, &*accounts, ada.id, 2).await;
    let used = open_session(&harness, &*accounts, ada.id, 3).await;
    let expires_at = harness.clock().now().plus(SECOND);
    let link = NewLink { account: ada.id, secret: secret(4), expires_at };
    accounts.add_link(&link).await.expect("added");
    add_link(&harness, &*accounts, bob.id, 5).await;
    harness.advance(SECOND);
    assert_eq!(accounts.prune_sessions(IDLE).await.expect("pruned"), 2, "a session and a link");
    harness.advance(IDLE - SECOND);
    accounts.touch_session(used.id).await.expect("noted");
    assert_eq!(accounts.prune_sessions(IDLE).await.expect("pruned"), 1, "one not used any more");
    assert_eq!(accounts.prune_sessions(IDLE).await.expect("pruned"), 0);
    assert_eq!(open_ones(&*accounts, &[1, 2, 3]).await, [3]);
    assert_eq!(linked(&*accounts, 5).await, Some(bob.id));
}
