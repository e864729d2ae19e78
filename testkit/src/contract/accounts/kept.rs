//! What is kept, and what of it cannot be read.
#![allow(missing_docs)] // a sentence says it

use super::*;

fn count(counts: &dyn UnreadableCounts, table: &str) -> u64 {
    let counts = counts.unreadable();
    counts.iter().find(|(name, _)| *name == table).expect("a table that is looked at").1
}

pub async fn grants_that_cannot_be_read_allow_nothing_and_hide_no_other_account<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let (accounts, unreadable) = harness.open().await;
    let ada = add(&*accounts, "ada", &["admin@*"]).await;
    let bob = add(&*accounts, "bob", &["admin@*", "clinician@north"]).await;
    open_session(&harness, &*accounts, bob.id, 1).await;
    let scanner = add_token(&*accounts, "scanner", 2, None).await;
    let other = add_token(&*accounts, "scanner 2", 3, None).await;
    assert_eq!((count(&*unreadable, "account"), count(&*unreadable, "token")), (0, 0));

    let newer = "admin@* technologist@north";
    harness.damage(&format!("update account set grants = '{newer}' where name = 'bob'")).await;
    harness.damage(&format!("update token set grants = '{newer}' where name = 'scanner'")).await;
    let nothing = Account { grants: Grants::default(), ..bob.clone() };
    assert_eq!(account(&*accounts, bob.id).await, nothing);
    assert_eq!(accounts.accounts().await.expect("asked"), [ada.clone(), nothing.clone()]);
    assert_eq!(found(&*accounts, 1).await.expect("still open").1, nothing);
    let token = token(&*accounts, 2).await.expect("found");
    assert_eq!((token.id, token.grants.is_empty()), (scanner.id, true));
    let tokens = accounts.tokens().await.expect("asked");
    assert_eq!(tokens.iter().map(|token| token.id).collect::<Vec<_>>(), [scanner.id, other.id]);
    assert_eq!(tokens[1], other);
    assert!(count(&*unreadable, "account") >= 3 && count(&*unreadable, "token") >= 2);

    let refused = accounts.disable(ada.id, true).await;
    assert!(matches!(refused, Err(AccountError::LastAdmin)), "{refused:?}");
    // What cannot be read is not written over by another change, only by new grants.
    accounts.disable(bob.id, true).await.expect("disabled");
    accounts.disable(bob.id, false).await.expect("enabled");
    assert_eq!(account(&*accounts, bob.id).await, nothing);
    harness.damage("update account set grants = 'admin@*' where name = 'bob' and grants like '%technologist%'").await;
    assert_eq!(account(&*accounts, bob.id).await.grants, grants(&["admin@*"]));
    harness.damage("update account set grants = 'admin' where name = 'bob'").await;
    let granted = accounts.grant(bob.id, &bob.grants).await.expect("granted");
    assert_eq!((&granted, &account(&*accounts, bob.id).await), (&bob, &bob));
}

pub async fn everything_survives_closing_and_opening<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, unreadable) = harness.open().await;
    let ada = add(&*accounts, "ada", &["admin@*", "reader@north,south"]).await;
    let external = External { issuer: "https://id.example".into(), subject: "7".into() };
    let bob = NewAccount { external: Some(external), ..new("bob", &[]) };
    accounts.add(&bob).await.expect("added");
    set_password(&*accounts, ada.id, 1).await;
    let totp = TotpSecret((0..20).collect());
    accounts.set_totp(ada.id, Some((&totp, 6)), None).await.expect("set");
    accounts.use_code(ada.id, 7).await.expect("used");
    accounts.note_sign_in(ada.id, false).await.expect("noted");
    let session = open_session(&harness, &*accounts, ada.id, 1).await;
    add_link(&harness, &*accounts, ada.id, 2).await;
    add_token(&*accounts, "scanner", 3, Some(harness.clock().now().plus(LIFE))).await;
    accounts.add_site(&site("north")).await.expect("added");
    let people = accounts.accounts().await.expect("asked");
    let tokens = accounts.tokens().await.expect("asked");
    let sites = accounts.sites().await.expect("asked");
    drop((accounts, unreadable));

    let accounts = harness.reopen().await;
    assert_eq!(accounts.accounts().await.expect("asked"), people);
    assert_eq!(people[0].failures, 1);
    assert!(!accounts.use_code(ada.id, 7).await.expect("asked"));
    assert_eq!(found(&*accounts, 1).await, Some((session, people[0].clone())));
    assert_eq!(linked(&*accounts, 2).await, Some(ada.id));
    assert_eq!(accounts.tokens().await.expect("asked"), tokens);
    assert_eq!(accounts.sites().await.expect("asked"), sites);
}
