//! People, and what they may do.
#![allow(missing_docs)] // a sentence says it

use super::*;

pub async fn a_name_belongs_to_one_account_whatever_its_case<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let one = add(&*accounts, "Dr. Müller", &["clinician@north"]).await;
    for name in ["Dr. Müller", "dr. müller", "DR. MÜLLER"] {
        let refused = accounts.add(&new(name, &[])).await;
        assert!(matches!(refused, Err(AccountError::NameTaken)), "{refused:?}");
        assert_eq!(accounts.named(name).await.expect("asked"), Some(one.clone()));
    }
    assert_eq!(one.name, "Dr. Müller", "as it was given");
    assert_eq!(accounts.accounts().await.expect("asked"), [one]);

    let adding = (0..4).map(|_| async {
        let (handle, _) = harness.open().await;
        match handle.add(&new("ada", &[])).await {
            Ok(_) => true,
            Err(AccountError::NameTaken) => false,
            Err(error) => panic!("{error:?}"),
        }
    });
    let added = futures::future::join_all(adding).await;
    assert_eq!(added.iter().filter(|added| **added).count(), 1, "of many at once");
}

pub async fn what_is_no_name_belongs_to_nobody<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    for name in ["", " ada", "a\0", "a\nb", "'; drop table account; --", &"a".repeat(100_000)] {
        assert_eq!(accounts.named(name).await.expect("asked"), None);
    }
    for name in ["", " ada", "a\0", &"a".repeat(65)] {
        let is_no_name = |error: AccountError| match error {
            AccountError::Port(error) => {
                !error.is_transient() && chain(&error).contains("a name has 1 to 64 characters")
            }
            _ => false,
        };
        assert!(accounts.add(&new(name, &[])).await.is_err_and(is_no_name), "{name:?}");
        let token = NewToken {
            name: name.to_owned(),
            grants: Grants::default(),
            secret: secret(1),
            expires_at: None,
        };
        assert!(accounts.add_token(&token).await.is_err_and(is_no_name), "{name:?}");
    }
    assert!(!accounts.any().await.expect("asked"));
    assert_eq!(accounts.tokens().await.expect("asked"), []);
}

pub async fn an_account_that_is_added_has_no_password_and_no_session<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    assert!(!accounts.any().await.expect("asked"), "nobody has one");
    let added = add(&*accounts, "ada", &["admin@*"]).await;
    let expected = Account {
        id: added.id,
        name: "ada".into(),
        grants: grants(&["admin@*"]),
        password: None,
        totp: None,
        external: None,
        disabled: false,
        added_at: harness.clock().now(),
        failures: 0,
        failed_at: None,
    };
    assert_eq!(added, expected);
    assert_eq!(account(&*accounts, added.id).await, expected, "what is answered is what is there");
    assert_eq!(accounts.sessions(added.id, IDLE).await.expect("asked"), []);
    assert!(accounts.any().await.expect("asked"));
    let grace = add(&*accounts, "grace", &["admin@*"]).await;
    set_password(&*accounts, grace.id, 1).await;
    accounts.disable(added.id, true).await.expect("disabled");
    assert!(accounts.any().await.expect("asked"));
}

pub async fn grants_are_kept_as_they_were_given<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let many: Vec<String> = (0..200).map(|n| format!("clinician@site-{n:050}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let all = [
        vec![],
        vec!["reader@north"],
        vec!["clinician@north,South", "reader@a.b_c-d", "uploader@*", "auditor@*"],
        vec!["clinician@*", "reader@*", "uploader@*", "operator@*", "auditor@*", "admin@*"],
        many,
    ];
    for (n, granted) in all.iter().enumerate() {
        let added = add(&*accounts, &format!("ada {n}"), granted).await;
        assert_eq!(account(&*accounts, added.id).await.grants, grants(granted));
        let granted = grants(&all[(n + 1) % all.len()]);
        let changed = accounts.grant(added.id, &granted).await;
        // The one that was everything may not become less.
        if all[n].contains(&"admin@*") {
            assert!(matches!(changed, Err(AccountError::LastAdmin)), "{changed:?}");
            continue;
        }
        let changed = changed.expect("granted");
        assert_eq!(changed, Account { grants: granted, ..added });
        assert_eq!(account(&*accounts, changed.id).await, changed);
    }
}

pub async fn accounts_are_listed_by_name_all_of_them_or_a_page_at_a_time<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    for name in ["zoe", "Ada", "émile", "bob", "_x", "Bob 2"] {
        add(&*accounts, name, &[]).await;
    }
    let listed = accounts.accounts().await.expect("asked");
    let names: Vec<&str> = listed.iter().map(|account| account.name.as_str()).collect();
    assert_eq!(names, ["_x", "Ada", "bob", "Bob 2", "zoe", "émile"]);
    for limit in [1, 2, 6, 7, usize::MAX] {
        let (mut seen, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = accounts.people(after.as_deref(), limit).await.expect("asked");
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.name.to_uppercase());
            seen.extend(page);
        }
        assert_eq!(seen, listed, "in pages of {limit}");
    }
    for (after, first) in
        [("", Some("_x")), ("b", Some("bob")), ("\0", Some("_x")), ("\u{10ffff}", None)]
    {
        let page = accounts.people(Some(after), 1).await.expect("asked");
        assert_eq!(page.first().map(|account| account.name.as_str()), first, "{after:?}");
    }
}

pub async fn what_is_not_there_is_unknown<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let known = add(&*accounts, "ada", &["admin@*"]).await;
    let expires_at = harness.clock().now().plus(LIFE);
    let link = NewLink { account: nobody(), secret: secret(1), expires_at };
    let client = String::new();
    let session = NewSession {
        proven: None,
        sid: None,
        account: nobody(),
        secret: secret(1),
        expires_at,
        client,
    };
    let refused = [
        accounts.grant(nobody(), &Grants::default()).await.map(drop),
        accounts.disable(nobody(), true).await.map(drop),
        accounts.set_password(nobody(), None, &password(1), None).await,
        accounts.set_totp(nobody(), Some((&TotpSecret(vec![7; 20]), 1)), None).await,
        accounts.add_link(&link).await,
        accounts.open_session(&session).await.map(drop),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(AccountError::Unknown)), "{refused:?}");
    }
    assert_eq!(accounts.account(nobody()).await.expect("asked"), None);
    assert_eq!(accounts.named("grace").await.expect("asked"), None);
    assert!(!accounts.use_code(nobody(), 7).await.expect("asked"));
    accounts.note_sign_in(nobody(), false).await.expect("nothing to note");
    accounts.touch_session(SessionId(Uuid::from_u128(7))).await.expect("nothing to note");
    assert_eq!(found(&*accounts, 1).await, None);
    assert_eq!(linked(&*accounts, 1).await, None);
    assert_eq!(redeem(&*accounts, 1).await, None);
    assert_eq!(token(&*accounts, 1).await, None);
    assert!(!accounts.renew_password(nobody(), &password(1), &password(2)).await.expect("asked"));
    assert!(!accounts.revoke_token(TokenId(Uuid::from_u128(7))).await.expect("asked"));
    assert_eq!(accounts.end_sessions(nobody(), None).await.expect("asked"), 0);
    assert_eq!(accounts.accounts().await.expect("asked"), [known]);
}

pub async fn taking_the_last_account_that_can_sign_in_and_manage_people_away_is_refused_also_by_two_at_once<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &["admin@*", "clinician@north"]).await;
    // None is one who could: at one site, kept out, or invited by a link that has run out.
    let bob = add(&*accounts, "bob", &["admin@north", "operator@*"]).await;
    let out = add(&*accounts, "eve", &["admin@*"]).await;
    let invited = add(&*accounts, "kim", &["admin@*"]).await;
    add_link(&harness, &*accounts, invited.id, 1).await;
    harness.advance(LIFE);
    for person in [ada.id, bob.id, out.id] {
        set_password(&*accounts, person, 1).await;
    }
    let ada = Account { password: Some(password(1)), ..ada };
    accounts.disable(out.id, true).await.expect("disabled");
    for granted in [&["admin@north"][..], &["operator@*"], &[]] {
        let refused = accounts.grant(ada.id, &grants(granted)).await;
        assert!(matches!(refused, Err(AccountError::LastAdmin)), "{refused:?}");
    }
    let refused = accounts.disable(ada.id, true).await;
    assert!(matches!(refused, Err(AccountError::LastAdmin)), "{refused:?}");
    assert_eq!(account(&*accounts, ada.id).await, ada, "nothing was changed");
    let less = accounts.grant(ada.id, &grants(&["admin@*"])).await.expect("still an admin");
    assert!(less.grants.allow(Right::ManagePeople));
    // Whoever holds a link that is good can come in, and whoever another issuer signs in.
    add_link(&harness, &*accounts, invited.id, 2).await;
    accounts.disable(ada.id, true).await.expect("another one is left");
    accounts.disable(ada.id, false).await.expect("enabled");
    accounts.grant(invited.id, &Grants::default()).await.expect("she is left");
    let external = External { issuer: "https://id.example".into(), subject: "7".into() };
    let elsewhere = NewAccount { external: Some(external), ..new("pat", &["admin@*"]) };
    let elsewhere = accounts.add(&elsewhere).await.expect("added");
    accounts.disable(ada.id, true).await.expect("another one is left");
    accounts.disable(ada.id, false).await.expect("enabled");
    accounts.disable(elsewhere.id, true).await.expect("she is left");

    // Two admins, each taken away at the same time as the other, in either way.
    let (one, other) = (harness.open().await.0, harness.open().await.0);
    let everything = grants(&["admin@*"]);
    for _ in 0..6 {
        let enabled = accounts.disable(out.id, false).await.expect("enabled");
        accounts.grant(ada.id, &everything).await.expect("granted");
        accounts.disable(ada.id, false).await.expect("enabled");
        let nothing = Grants::default();
        let (first, second) =
            futures::join!(one.grant(ada.id, &nothing), other.disable(enabled.id, true));
        let refused = [first.err(), second.err()].into_iter().flatten().collect::<Vec<_>>();
        assert!(matches!(refused[..], [AccountError::LastAdmin]), "one of them: {refused:?}");
        let all = accounts.accounts().await.expect("asked");
        let admins =
            all.iter().filter(|one| !one.disabled && one.grants.allow(Right::ManagePeople));
        assert_eq!(admins.count(), 1);
    }
}

pub async fn disabling_an_account_ends_its_sessions_and_voids_its_links<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &["clinician@north"]).await;
    let bob = add(&*accounts, "bob", &["clinician@north"]).await;
    for (person, n) in [(&ada, 1), (&ada, 2), (&bob, 3)] {
        open_session(&harness, &*accounts, person.id, n).await;
    }
    add_link(&harness, &*accounts, ada.id, 4).await;
    add_link(&harness, &*accounts, bob.id, 5).await;
    let disabled = accounts.disable(ada.id, true).await.expect("disabled");
    assert_eq!(disabled, Account { disabled: true, ..ada.clone() });
    assert_eq!(accounts.disable(ada.id, true).await.expect("already"), disabled);
    assert_eq!(account(&*accounts, ada.id).await, disabled);
    for _ in 0..2 {
        assert_eq!(open_ones(&*accounts, &[1, 2, 3]).await, [3]);
        assert_eq!(accounts.sessions(ada.id, IDLE).await.expect("asked"), []);
        assert_eq!(
            (linked(&*accounts, 4).await, linked(&*accounts, 5).await),
            (None, Some(bob.id))
        );
        assert_eq!(redeem(&*accounts, 4).await, None);
        // Nor do they come back with it.
        assert_eq!(accounts.disable(ada.id, false).await.expect("enabled"), ada);
    }
}

pub async fn changing_what_an_account_may_do_holds_for_its_open_sessions_at_once<
    H: AccountsHarness,
>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let (elsewhere, _) = harness.open().await;
    let ada = add(&*accounts, "ada", &["clinician@north"]).await;
    open_session(&harness, &*accounts, ada.id, 1).await;
    let granted = grants(&["reader@south"]);
    elsewhere.grant(ada.id, &granted).await.expect("granted");
    let (_, now) = found(&*accounts, 1).await.expect("still open");
    assert_eq!(now.grants, granted);
    elsewhere.disable(ada.id, true).await.expect("disabled");
    assert_eq!(found(&*accounts, 1).await, None);
}

pub async fn an_account_of_another_issuer_is_found_by_its_subject_there<H: AccountsHarness>() {
    let harness = H::start().await;
    let (accounts, _) = harness.open().await;
    let external = |issuer: &str, subject: &str| External {
        issuer: format!("https://{issuer}.example"),
        subject: subject.into(),
    };
    let of = |name: &str, external: External| NewAccount {
        external: Some(external),
        ..new(name, &["clinician@north"])
    };
    add(&*accounts, "bob", &[]).await;
    add(&*accounts, "eve", &[]).await;
    let ada = accounts.add(&of("ada", external("id", "248289761001"))).await.expect("added");
    let other = accounts.add(&of("Ada 2", external("login", "248289761001"))).await.expect("added");
    for (account, issuer) in [(&ada, "id"), (&other, "login")] {
        let asked = accounts.external(&external(issuer, "248289761001")).await.expect("asked");
        assert_eq!(asked.as_ref(), Some(account));
    }
    assert_eq!(ada.external, Some(external("id", "248289761001")));
    for (issuer, subject) in [("id", "248289761002"), ("login", "A"), ("none", "x"), ("id", "a\0")]
    {
        assert_eq!(accounts.external(&external(issuer, subject)).await.expect("asked"), None);
    }
    // One account a subject, whatever it is called here.
    let again = accounts.add(&of("ada 3", external("id", "248289761001"))).await;
    assert!(matches!(again, Err(AccountError::NameTaken)), "{again:?}");
    let letters = accounts.add(&of("ada 4", external("id", "a"))).await.expect("added");
    let capitals = accounts.add(&of("ada 5", external("id", "A"))).await.expect("added");
    assert_ne!(letters.id, capitals.id, "subjects are told apart by their case");
}
