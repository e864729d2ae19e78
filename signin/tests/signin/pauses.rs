//! Pauses after failures, and floods.

use std::sync::Arc;
use std::time::Duration;

use lobar_signin::lockout::{FIRST, FREE};
use lobar_signin::{SignIn, SignInError};

use crate::fixture::{Fixture, MINUTE, OTHER, PASSWORD, is_wrong, settings};

fn pause<T>(answer: Result<T, SignInError>) -> Option<Duration> {
    match answer {
        Err(SignInError::Later(left)) => Some(left),
        _ => None,
    }
}

#[tokio::test]
async fn names_with_and_without_an_account_are_paused_alike() {
    let fixture = Fixture::open().await;
    fixture.person("jane").await;
    let gone = fixture.person("gone").await;
    fixture.accounts.disable(gone.id, true).await.expect("disabled");
    for name in ["jane", "gone", "nobody"] {
        for _ in 0..=FREE {
            assert!(is_wrong(fixture.enter(name, OTHER).await), "{name}");
        }
        assert_eq!(pause(fixture.enter(name, PASSWORD).await), Some(FIRST), "{name}");
    }
    fixture.clock.advance(FIRST);
    for name in ["jane", "gone", "nobody"] {
        assert!(is_wrong(fixture.enter(name, OTHER).await), "{name}");
        assert_eq!(pause(fixture.enter(name, OTHER).await), Some(FIRST * 2), "{name}");
    }
}

#[tokio::test]
async fn whoever_asks_several_processes_in_turn_gets_no_more_tries_and_learns_of_no_name() {
    let fixture = Fixture::open().await;
    fixture.person("jane").await;
    let clock = Arc::new(fixture.clock.clone());
    let other = SignIn::new(fixture.accounts.clone(), clock, settings());
    for name in ["jane", "nobody"] {
        for n in 0..=FREE {
            let process = if n % 2 == 0 { &fixture.sign_in } else { &other };
            assert!(is_wrong(process.sign_in(name, OTHER, None, "a test").await), "{name}");
        }
        for process in [&fixture.sign_in, &other] {
            let answer = process.sign_in(name, OTHER, None, "a test").await;
            assert_eq!(pause(answer), Some(FIRST), "{name}");
        }
    }
}

#[tokio::test]
async fn a_try_within_a_pause_makes_it_no_longer_and_a_success_ends_it() {
    let fixture = Fixture::open().await;
    fixture.person("jane").await;
    for _ in 0..=FREE {
        assert!(is_wrong(fixture.enter("jane", OTHER).await));
    }
    for _ in 0..50 {
        assert_eq!(pause(fixture.enter("jane", OTHER).await), Some(FIRST));
    }
    fixture.clock.advance(FIRST);
    fixture.enter("jane", PASSWORD).await.expect("signed in");
    for _ in 0..FREE {
        assert!(is_wrong(fixture.enter("jane", OTHER).await), "they are counted from none again");
    }
    fixture.enter("jane", PASSWORD).await.expect("signed in");
}

#[tokio::test]
async fn a_new_link_ends_a_pause() {
    let fixture = Fixture::open().await;
    let person = fixture.person("jane").await;
    for _ in 0..=FREE {
        assert!(is_wrong(fixture.enter("jane", OTHER).await));
    }
    let link = fixture.sign_in.reset(person.id).await.expect("made");
    fixture.sign_in.redeem(&link.expose(), OTHER).await.expect("redeemed");
    fixture.enter("jane", OTHER).await.expect("signed in");
}

#[tokio::test]
async fn guesses_of_the_present_password_are_paused_in_a_session_too() {
    let fixture = Fixture::open().await;
    let person = fixture.person("jane").await;
    let opened = fixture.enter("jane", PASSWORD).await.expect("signed in");
    let keep = Some(opened.session.id);
    let mut refused = 0;
    for _ in 0..FREE + 3 {
        let change = fixture.sign_in.change_password(person.id, "guess", OTHER, keep).await;
        refused +=
            u32::from(change.expect_err("refused").to_string().contains("too many failures"));
    }
    assert_eq!(refused, 2);
}

#[tokio::test]
async fn many_guesses_at_once_are_no_more_tries_than_one_after_the_other() {
    let fixture = Fixture::open().await;
    let person = fixture.person("jane").await;
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let sign_in = fixture.sign_in.clone();
        guesses.spawn(async move { sign_in.sign_in("jane", OTHER, None, "a test").await });
    }
    let answers = guesses.join_all().await;
    let of = |kind: fn(&SignInError) -> bool| {
        answers.iter().filter(|answer| answer.as_ref().is_err_and(kind)).count()
    };
    let wrong = of(|error| matches!(error, SignInError::Wrong));
    let later = of(|error| matches!(error, SignInError::Later(_)));
    let busy = of(|error| matches!(error, SignInError::Busy(_)));
    // One hash at once: each try knows of every failure before it.
    assert_eq!(wrong, FREE as usize + 1);
    assert_eq!(wrong + later + busy, answers.len());
    let account = fixture.accounts.account(person.id).await.expect("answers").expect("there");
    assert_eq!(account.failures, FREE + 1);
}

#[tokio::test]
async fn a_flood_of_passwords_harms_nobody_who_is_signed_in() {
    let fixture = Fixture::open().await;
    fixture.person("jane").await;
    let opened = fixture.enter("jane", PASSWORD).await.expect("signed in");
    let mut flood = tokio::task::JoinSet::new();
    for n in 0..300 {
        let sign_in = fixture.sign_in.clone();
        let guess = async move { sign_in.sign_in(&format!("name-{n}"), OTHER, None, "").await };
        flood.spawn(guess);
    }
    let mut answered = 0;
    while let Some(refused) = flood.join_next().await {
        refused.expect("no panic").expect_err("refused");
        answered += 1;
        assert!(fixture.is_open(&opened.secret).await);
    }
    assert_eq!(answered, 300);
    fixture.clock.advance(MINUTE);
    fixture.enter("jane", PASSWORD).await.expect("signed in");
}
