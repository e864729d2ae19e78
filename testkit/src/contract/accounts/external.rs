//! People whom another issuer signs in, and what is used once for them.
#![allow(missing_docs)] // a sentence says it

use super::*;

const HERE: &str = "https://id.example";

async fn person<A: Accounts + ?Sized>(accounts: &A, issuer: &str, subject: &str) -> Account {
    let external = Some(External { issuer: issuer.into(), subject: subject.into() });
    let new = NewAccount { external, ..new(&format!("{subject} of {issuer}"), &["reader@north"]) };
    accounts.add(&new).await.expect("added")
}

async fn open<H: AccountsHarness>(
    harness: &H,
    accounts: &dyn Accounts,
    account: &Account,
    n: u8,
    sid: Option<&str>,
) {
    let session = NewSession {
        proven: None,
        sid: sid.map(str::to_owned),
        account: account.id,
        secret: secret(n),
        expires_at: harness.clock().now().plus(LIFE),
        client: String::new(),
    };
    accounts.open_session(&session).await.expect("opened");
}

pub async fn an_account_of_another_issuer_gets_no_link<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = person(&*accounts, HERE, "ada").await;
    let expires_at = harness.clock().now().plus(LIFE);
    let link = NewLink { account: ada.id, secret: secret(1), expires_at };
    let refused = accounts.add_link(&link).await;
    assert!(matches!(refused, Err(AccountError::External)), "{refused:?}");
    assert_eq!(accounts.linked(&secret(1)).await.expect("asked"), None);
}

pub async fn another_issuer_ends_the_sessions_that_it_names_of_its_own_people_alone<
    H: AccountsHarness,
>() {
    let all = [1, 2, 3, 4, 5, 6];
    for (subject, sid, whose, left) in [
        (Some("ada"), None, vec!["ada"], vec![4, 5, 6]),
        (Some("ada"), Some("one"), vec!["ada"], vec![2, 4, 5, 6]),
        (Some("bob"), Some("other"), vec![], vec![1, 2, 3, 4, 5, 6]),
        (None, Some("one"), vec!["ada", "bob"], vec![2, 3, 5, 6]),
        (None, None, vec![], vec![1, 2, 3, 4, 5, 6]),
        (Some("a\0"), None, vec![], vec![1, 2, 3, 4, 5, 6]),
    ] {
        let harness = H::start().await;
        let (accounts, _) = harness.open().await;
        let ada = person(&*accounts, HERE, "ada").await;
        let bob = person(&*accounts, HERE, "bob").await;
        let other = person(&*accounts, "https://login.example", "ada").await;
        let local = add(&*accounts, "local", &[]).await;
        for (account, n, sid) in [
            (&ada, 1, Some("one")),
            (&ada, 2, Some("two")),
            // It was opened without a name.
            (&ada, 3, None),
            (&bob, 4, Some("one")),
            (&other, 5, Some("one")),
            (&local, 6, None),
        ] {
            open(&harness, &*accounts, account, n, sid).await;
        }
        let end = ExternalEnd {
            issuer: HERE.into(),
            subject: subject.map(str::to_owned),
            sid: sid.map(str::to_owned),
        };
        let until = harness.clock().now().plus(LIFE);
        let ended = accounts.end_external(&end, &secret(7), until).await.expect("asked");
        let mut expected: Vec<AccountId> =
            whose.iter().map(|name| if *name == "ada" { ada.id } else { bob.id }).collect();
        expected.sort_unstable();
        assert_eq!(ended, Some(expected), "{subject:?} {sid:?}");
        assert_eq!(open_ones(&*accounts, &all).await, left, "{subject:?} {sid:?}");
    }
}

pub async fn what_another_issuer_says_once_ends_sessions_once<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = person(&*accounts, HERE, "ada").await;
    let until = harness.clock().now().plus(LIFE);
    let end = ExternalEnd { issuer: HERE.into(), subject: Some("ada".into()), sid: None };
    open(&harness, &*accounts, &ada, 1, None).await;
    let ended = accounts.end_external(&end, &secret(7), until).await.expect("asked");
    assert_eq!(ended, Some(vec![ada.id]));
    open(&harness, &*accounts, &ada, 2, None).await;
    assert_eq!(accounts.end_external(&end, &secret(7), until).await.expect("asked"), None);
    assert_eq!(open_ones(&*accounts, &[1, 2]).await, [2]);
    assert!(!accounts.use_once(&secret(7), until).await.expect("asked"));
}

pub async fn what_may_be_used_once_is_used_once_by_one_of_many_at_once<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let until = harness.clock().now().plus(LIFE);
    let (one, two) = (secret(1), secret(2));
    let tries = (0..8).map(|_| accounts.use_once(&one, until));
    let used: usize = futures::future::join_all(tries)
        .await
        .into_iter()
        .map(|used| usize::from(used.expect("asked")))
        .sum();
    assert_eq!(used, 1);
    assert!(accounts.use_once(&two, until).await.expect("asked"));
    assert_eq!(accounts.prune_sessions(IDLE).await.expect("pruned"), 0);
    assert!(!accounts.use_once(&one, until).await.expect("asked"));
    // When its time is over nobody asks for it any more.
    harness.advance(LIFE);
    assert_eq!(accounts.prune_sessions(IDLE).await.expect("pruned"), 2);
}
