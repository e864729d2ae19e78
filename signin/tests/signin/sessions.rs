//! How long sessions last.

use std::time::Duration;

use lobar_core::access::Grants;
use lobar_signin::ExternalError;

use crate::fixture::{Fixture, MINUTE, PASSWORD};

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_finding_it_is_no_use() {
    let fixture = Fixture::open().await;
    fixture.person("jane").await;
    let opened = fixture.enter("jane", PASSWORD).await.expect("signed in");
    let idle = fixture.sign_in.settings().idle;
    fixture.clock.advance(idle - MINUTE);
    fixture.sign_in.used(&opened.session).await.expect("noted");
    for _ in 0..3 {
        fixture.clock.advance(idle / 4);
        assert!(fixture.is_open(&opened.secret).await);
    }
    fixture.clock.advance(idle / 4 + MINUTE);
    assert!(!fixture.is_open(&opened.secret).await);
}

#[tokio::test]
async fn a_session_ends_however_much_it_is_used() {
    let fixture = Fixture::open().await;
    fixture.person("jane").await;
    let opened = fixture.enter("jane", PASSWORD).await.expect("signed in");
    let (longest, step) = (fixture.sign_in.settings().longest, 20 * MINUTE);
    let mut passed = Duration::ZERO;
    while passed + step < longest {
        passed += step;
        fixture.clock.advance(step);
        let found = fixture.sign_in.session(&opened.secret.expose()).await.expect("answers");
        fixture.sign_in.used(&found.expect("open").0).await.expect("noted");
    }
    fixture.clock.advance(step);
    assert!(!fixture.is_open(&opened.secret).await);
}

#[tokio::test]
async fn the_use_of_a_session_is_written_down_once_a_minute() {
    let fixture = Fixture::open().await;
    fixture.person("jane").await;
    let opened = fixture.enter("jane", PASSWORD).await.expect("signed in");
    let used_at = async || {
        let found = fixture.sign_in.session(&opened.secret.expose()).await.expect("answers");
        found.expect("open").0.used_at
    };
    let first = used_at().await;
    fixture.clock.advance(MINUTE / 2);
    fixture.sign_in.used(&opened.session).await.expect("noted");
    assert_eq!(used_at().await, first);
    fixture.clock.advance(MINUTE / 2);
    fixture.sign_in.used(&opened.session).await.expect("noted");
    assert_eq!(used_at().await, first.plus(MINUTE));
}

#[tokio::test]
async fn a_session_is_opened_for_nobody_who_is_disabled() {
    let fixture = Fixture::open().await;
    let person = fixture.person("jane").await;
    fixture.accounts.disable(person.id, true).await.expect("disabled");
    let opened = fixture.sign_in.open(person, None, Duration::MAX, "another issuer").await;
    assert!(matches!(opened, Err(ExternalError::Disabled)));
}

#[tokio::test]
async fn what_is_no_secret_of_a_session_opens_none() {
    let fixture = Fixture::open().await;
    let person = fixture.person("jane").await;
    let link = fixture.sign_in.reset(person.id).await.expect("made").expose();
    let (_, token) =
        fixture.sign_in.add_token("pacs", Grants::default(), None).await.expect("made");
    for text in ["", "lobar_s_", &link, &token.expose(), &link.replace("_l_", "_s_")] {
        assert!(fixture.sign_in.session(text).await.expect("answers").is_none());
    }
}

#[tokio::test]
async fn a_client_is_described_in_few_printable_characters() {
    let fixture = Fixture::open().await;
    let person = fixture.person("jane").await;
    let client = format!("Fire\0fox\n{}", "x".repeat(10_000));
    let opened = fixture.sign_in.open(person, None, Duration::MAX, &client).await.expect("opened");
    assert_eq!(opened.session.client.chars().count(), 64);
    assert!(opened.session.client.starts_with("Firefoxx"));
}
