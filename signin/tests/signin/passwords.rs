//! Who is let in, and what those are told who are not.

use std::time::Duration;

use argon2::password_hash::PasswordHasher as _;
use lobar_core::accounts::{External, NewAccount, PasswordHash, TotpSecret};
use lobar_core::time::Clock as _;
use lobar_signin::password::Weakness;
use lobar_signin::{ChangeError, SignInError, SignInSettings, totp};
use tokio::time::Instant;

use crate::fixture::{Fixture, OTHER, PASSWORD, clinician, is_wrong, settings};

#[tokio::test]
async fn who_knows_the_password_gets_a_session() {
    let fixture = Fixture::open().await;
    let person = fixture.person("Jane").await;
    let opened = fixture.enter("jane", PASSWORD).await.expect("signed in");
    assert_eq!((opened.account.id, opened.session.account), (person.id, person.id));
    assert_eq!(opened.session.client, "a test");
    let (session, account) =
        fixture.sign_in.session(&opened.secret.expose()).await.expect("answers").expect("found");
    assert_eq!((session.id, account.name.as_str()), (opened.session.id, "Jane"));
}

#[tokio::test]
async fn a_refusal_does_not_say_what_was_wrong() {
    let fixture = Fixture::open().await;
    fixture.person("jane").await;
    let gone = fixture.person("gone").await;
    fixture.accounts.disable(gone.id, true).await.expect("disabled");
    fixture.sign_in.invite("new", clinician()).await.expect("invited");
    let external = External { issuer: "https://idp.example".into(), subject: "1".into() };
    let elsewhere =
        NewAccount { name: "elsewhere".into(), grants: clinician(), external: Some(external) };
    fixture.accounts.add(&elsewhere).await.expect("added");
    for (name, password) in [
        ("jane", OTHER),
        ("jane", ""),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("new", PASSWORD),
        ("new", ""),
        ("elsewhere", PASSWORD),
        ("", PASSWORD),
        ("jane\0", PASSWORD),
        (&"j".repeat(100_000), PASSWORD),
        ("jane", &"p".repeat(100_000)),
    ] {
        assert!(is_wrong(fixture.enter(name, password).await));
    }
}

#[tokio::test]
async fn a_refusal_comes_no_sooner_than_its_time_whatever_was_wrong() {
    let refused_after = Duration::from_millis(100);
    let fixture = Fixture::with(SignInSettings { refused_after, ..settings() }).await;
    fixture.person("jane").await;
    for name in ["jane", "nobody", ""] {
        let asked = Instant::now();
        assert!(is_wrong(fixture.enter(name, OTHER).await));
        assert!(asked.elapsed() >= refused_after, "{name}");
    }
}

#[tokio::test]
async fn nobody_waits_who_is_let_in() {
    let never = Duration::from_secs(1_000_000);
    let fixture = Fixture::with(SignInSettings { refused_after: never, ..settings() }).await;
    fixture.person("jane").await;
    fixture.enter("jane", PASSWORD).await.expect("signed in");
}

#[tokio::test]
async fn an_account_with_codes_is_asked_for_one_and_takes_each_once() {
    let fixture = Fixture::open().await;
    let person = fixture.person("jane").await;
    let secret = TotpSecret(b"12345678901234567890".to_vec());
    let code = |steps| code_at(&fixture, &secret, steps);
    let enrolled = fixture.sign_in.enrol_codes(person.id, PASSWORD, &secret, "000000").await;
    assert!(is_wrong(enrolled), "another code");
    assert!(fixture.enter("jane", PASSWORD).await.is_ok(), "and nothing is changed by it");
    let enrolled = fixture.sign_in.enrol_codes(person.id, PASSWORD, &secret, &code(0)).await;
    enrolled.expect("enrolled");

    let with = |code: String| {
        let sign_in = fixture.sign_in.clone();
        async move { sign_in.sign_in("jane", PASSWORD, Some(&code), "a test").await }
    };
    assert!(matches!(fixture.enter("jane", PASSWORD).await, Err(SignInError::CodeNeeded)));
    assert!(matches!(with(" ".into()).await, Err(SignInError::CodeNeeded)));
    assert!(
        is_wrong(fixture.enter("jane", OTHER).await),
        "who knows no password learns of no code"
    );
    assert!(is_wrong(with(code(0)).await), "the code of the enrolment");
    assert!(is_wrong(with("12345".into()).await));
    with(code(1)).await.expect("signed in");
    assert!(is_wrong(with(code(1)).await), "the same again");
}

/// The code that an app shows so many steps from now.
fn code_at(fixture: &Fixture, secret: &TotpSecret, steps: u64) -> String {
    let then = fixture.clock.now().plus(Duration::from_secs(steps * totp::STEP)).0 / 1_000_000;
    let app = totp_rs::Builder::new().with_secret(secret.0.clone()).build().expect("a secret");
    app.generate(u64::try_from(then).expect("after 1970")).to_string()
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_the_present_one() {
    let fixture = Fixture::open().await;
    let person = fixture.person("jane").await;
    let kept = fixture.enter("jane", PASSWORD).await.expect("signed in");
    let other = fixture.enter("jane", PASSWORD).await.expect("signed in");
    let keep = Some(kept.session.id);
    let change =
        async |current, new| fixture.sign_in.change_password(person.id, current, new, keep).await;
    assert!(matches!(change(OTHER, OTHER).await, Err(ChangeError::Refused(SignInError::Wrong))));
    let weak = change(PASSWORD, "short").await;
    assert!(matches!(weak, Err(ChangeError::Weak(Weakness::Short))));
    let own = change(PASSWORD, "jane jane jane jane").await;
    assert!(matches!(own, Err(ChangeError::Weak(Weakness::Name))));
    assert!(fixture.is_open(&other.secret).await);
    let secret = change(PASSWORD, OTHER).await.expect("changed");
    assert!(!fixture.is_open(&kept.secret).await && !fixture.is_open(&other.secret).await);
    let (session, _) =
        fixture.sign_in.session(&secret.expose()).await.expect("answers").expect("goes on");
    assert_eq!(session.id, kept.session.id);
    assert!(is_wrong(fixture.enter("jane", PASSWORD).await));
    fixture.enter("jane", OTHER).await.expect("signed in");
}

#[tokio::test]
async fn a_hash_of_older_parameters_is_made_anew_and_signs_nobody_out() {
    let fixture = Fixture::open().await;
    let person = fixture.person("jane").await;
    let old = older_hash();
    let present = person.password.as_ref();
    fixture.accounts.set_password(person.id, present, &old, None).await.expect("set");
    let link = fixture.sign_in.reset(person.id).await.expect("made").expose();
    let hash = async || {
        let account = fixture.accounts.account(person.id).await.expect("answers");
        account.expect("there").password.expect("set").0
    };
    let first = fixture.sign_in.open(person.clone(), None, Duration::MAX, "elsewhere").await;
    let first = first.expect("opened");
    let second = fixture.enter("jane", PASSWORD).await.expect("signed in");
    assert!(hash().await.contains("m=19456,t=2,p=1"));
    assert!(fixture.is_open(&first.secret).await && fixture.is_open(&second.secret).await);
    assert!(fixture.sign_in.linked(&link).await.expect("answers").is_some());
    fixture.enter("jane", PASSWORD).await.expect("signed in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sign_ins_at_the_same_time_that_make_a_hash_anew_all_succeed() {
    let fixture = Fixture::open().await;
    for round in 0..3 {
        let person = fixture.person(&format!("jane{round}")).await;
        let present = person.password.as_ref();
        fixture.accounts.set_password(person.id, present, &older_hash(), None).await.expect("set");
        let enter = || fixture.enter(&person.name, PASSWORD);
        let (one, two, three) = tokio::join!(enter(), enter(), enter());
        for opened in [one, two, three] {
            let opened = opened.expect("signed in");
            assert!(fixture.is_open(&opened.secret).await);
        }
        let account = fixture.accounts.account(person.id).await.expect("answers").expect("there");
        assert!(account.password.expect("set").0.contains("m=19456,t=2,p=1"));
    }
}

/// The password with one pass over 8 MiB.
fn older_hash() -> PasswordHash {
    let parameters = argon2::Params::new(8 * 1024, 1, 1, None).expect("parameters");
    let hash = argon2::Argon2::from(parameters).hash_password(PASSWORD.as_bytes());
    PasswordHash(hash.expect("hashed").to_string())
}
