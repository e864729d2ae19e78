//! Tokens of machines.
#![allow(missing_docs)] // a sentence says it

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

pub async fn a_token_is_found_by_its_secret_and_by_its_id_until_it_expires_or_is_revoked<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let now = harness.clock().now();
    let lasting = add_token(&*accounts, "scanner 1", 1, None).await;
    let brief = add_token(&*accounts, "scanner 2", 2, Some(now.plus(MINUTE * 10))).await;
    let expected = Token {
        id: lasting.id,
        name: "scanner 1".into(),
        grants: grants(&["uploader@north"]),
        added_at: now,
        expires_at: None,
        revoked_at: None,
        used_at: None,
    };
    assert_eq!(lasting, expected);
    let refused = NewToken {
        name: "Scanner 1".into(),
        grants: Grants::default(),
        secret: secret(3),
        expires_at: None,
    };
    let refused = accounts.add_token(&refused).await;
    assert!(matches!(refused, Err(AccountError::NameTaken)), "{refused:?}");

    let unused = accounts.token_by_id(lasting.id).await.expect("asked");
    assert_eq!(unused.as_ref(), Some(&lasting), "and that is no use of it");
    let ids = async || {
        let mut ids = Vec::new();
        for (n, id) in [(1, lasting.id), (2, brief.id)] {
            let found = token(&*accounts, n).await.map(|token| token.id);
            let by_id = accounts.token_by_id(id).await.expect("asked");
            assert_eq!(by_id.map(|token| token.id), found, "either way");
            ids.push(found);
        }
        ids
    };
    assert_eq!(accounts.token_by_id(TokenId(Uuid::from_u128(7))).await.expect("asked"), None);
    assert_eq!(ids().await, [Some(lasting.id), Some(brief.id)]);
    assert_eq!(token(&*accounts, 3).await, None);
    harness.advance(MINUTE * 10 - SECOND);
    assert_eq!(ids().await, [Some(lasting.id), Some(brief.id)]);
    harness.advance(SECOND);
    assert_eq!(ids().await, [Some(lasting.id), None]);
    assert!(!accounts.revoke_token(brief.id).await.expect("asked"), "it was over");
    assert!(accounts.revoke_token(lasting.id).await.expect("asked"));
    assert!(!accounts.revoke_token(lasting.id).await.expect("asked"));
    assert_eq!(ids().await, [None, None]);
    let (elsewhere, _) = harness.open().await;
    assert_eq!(token(&*elsewhere, 1).await, None);
}

pub async fn the_use_of_a_token_is_noted_to_the_minute<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let added = add_token(&*accounts, "scanner", 1, None).await;
    let kept = async || accounts.tokens().await.expect("asked").remove(0).used_at;
    assert_eq!((added.used_at, kept().await), (None, None));
    let minute = |at: Stamp| Stamp(at.0 / 60_000_000 * 60_000_000);
    // To the beginning of a minute.
    harness.advance(MINUTE - harness.clock().now().since(minute(harness.clock().now())));
    let first = harness.clock().now();
    assert_eq!(first, minute(first));
    for _ in 0..3 {
        harness.advance(SECOND * 19);
        assert_eq!(token(&*accounts, 1).await.expect("found").used_at, Some(first));
        assert_eq!(kept().await, Some(first));
    }
    harness.advance(SECOND * 3);
    assert_eq!(kept().await, Some(first), "listing is no use");
    assert_eq!(token(&*accounts, 1).await.expect("found").used_at, Some(first.plus(MINUTE)));
    harness.set_back(MINUTE * 5);
    assert_eq!(token(&*accounts, 1).await.expect("found").used_at, Some(first.plus(MINUTE)));
    assert_eq!(kept().await, Some(first.plus(MINUTE)));
}

pub async fn the_use_of_a_token_that_was_found_by_its_id_is_noted_too<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let added = add_token(&*accounts, "scanner", 1, None).await;
    let found = async || accounts.token_by_id(added.id).await.expect("asked").expect("found");
    accounts.note_token_use(&found().await).await.expect("noted");
    let first = found().await.used_at.expect("a minute");
    assert_eq!(first.0 % 60_000_000, 0);
    harness.advance(MINUTE * 2);
    accounts.note_token_use(&found().await).await.expect("noted");
    assert_eq!(found().await.used_at, Some(first.plus(MINUTE * 2)));
}

pub async fn tokens_are_listed_without_their_secrets_those_that_are_over_too<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    assert_eq!(accounts.tokens().await.expect("asked"), []);
    let now = harness.clock().now();
    let revoked = add_token(&*accounts, "Scanner 2", 1, None).await;
    let lasting = add_token(&*accounts, "scanner 1", 2, None).await;
    let over = add_token(&*accounts, "archive", 3, Some(now.plus(SECOND))).await;
    harness.advance(SECOND * 2);
    assert!(accounts.revoke_token(revoked.id).await.expect("asked"));
    let revoked = Token { revoked_at: Some(harness.clock().now()), ..revoked };
    let listed = accounts.tokens().await.expect("asked");
    assert_eq!(listed, [over, lasting, revoked], "by name");
    assert!(!format!("{listed:?}").contains("SecretHash"));
}
