//! Links: invitations, resets, and the first admin's.

use lobar_core::access::{Grants, Right};
use lobar_core::accounts::AccountError;
use lobar_signin::password::Weakness;
use lobar_signin::{AddError, RedeemError};

use crate::fixture::{Fixture, MINUTE, OTHER, PASSWORD, clinician, is_wrong};

#[tokio::test]
async fn an_invitation_sets_the_password_once() {
    let fixture = Fixture::open().await;
    let (invited, link) = fixture.sign_in.invite("jane", clinician()).await.expect("invited");
    let link = link.expose();
    let linked = fixture.sign_in.linked(&link).await.expect("answers").expect("good");
    assert_eq!((linked.id, linked.grants), (invited.id, clinician()));
    let weak = fixture.sign_in.redeem(&link, "jane").await;
    assert!(matches!(weak, Err(RedeemError::Weak(Weakness::Short))), "and the link stays good");
    fixture.sign_in.redeem(&link, PASSWORD).await.expect("redeemed");
    assert!(matches!(fixture.sign_in.redeem(&link, OTHER).await, Err(RedeemError::Gone)));
    assert!(fixture.sign_in.linked(&link).await.expect("answers").is_none());
    fixture.enter("jane", PASSWORD).await.expect("signed in");
}

#[tokio::test]
async fn a_reset_leaves_everything_as_it_is_until_it_is_redeemed() {
    let fixture = Fixture::open().await;
    let person = fixture.person("jane").await;
    let opened = fixture.enter("jane", PASSWORD).await.expect("signed in");
    let (first, second) =
        (fixture.sign_in.reset(person.id).await, fixture.sign_in.reset(person.id).await);
    let (first, second) = (first.expect("made").expose(), second.expect("made").expose());
    assert!(fixture.is_open(&opened.secret).await);
    assert!(matches!(fixture.sign_in.redeem(&first, OTHER).await, Err(RedeemError::Gone)));
    fixture.sign_in.redeem(&second, OTHER).await.expect("redeemed");
    assert!(!fixture.is_open(&opened.secret).await);
    assert!(is_wrong(fixture.enter("jane", PASSWORD).await));
}

#[tokio::test]
async fn a_link_is_good_for_a_day_and_never_for_who_is_disabled() {
    let fixture = Fixture::open().await;
    let person = fixture.person("jane").await;
    let old = fixture.sign_in.reset(person.id).await.expect("made").expose();
    fixture.clock.advance(fixture.sign_in.settings().link + MINUTE);
    for gone in [old.as_str(), "", "lobar_l_", "nothing"] {
        assert!(matches!(fixture.sign_in.redeem(gone, OTHER).await, Err(RedeemError::Gone)));
    }
    let new = fixture.sign_in.reset(person.id).await.expect("made").expose();
    fixture.accounts.disable(person.id, true).await.expect("disabled");
    assert!(matches!(fixture.sign_in.redeem(&new, OTHER).await, Err(RedeemError::Gone)));
    let refused = fixture.sign_in.reset(person.id).await;
    assert!(matches!(refused, Err(AccountError::Disabled)));
}

#[tokio::test]
async fn what_cannot_be_a_name_or_is_one_already_is_refused() {
    let fixture = Fixture::open().await;
    fixture.person("Jane").await;
    for bad in ["", " jane", "ja\nne", &"j".repeat(65)] {
        assert!(matches!(fixture.sign_in.invite(bad, clinician()).await, Err(AddError::Name)));
    }
    let taken = fixture.sign_in.invite("JANE", clinician()).await;
    assert!(matches!(taken, Err(AddError::Account(AccountError::NameTaken))));
}

#[tokio::test]
async fn the_first_admin_gets_a_link_until_somebody_can_sign_in() {
    let fixture = Fixture::open().await;
    let (admin, first) = fixture.sign_in.first_admin().await.expect("answers").expect("a link");
    assert_eq!((admin.name.as_str(), &admin.grants), ("admin", &Grants::everything()));
    assert!(admin.grants.allow(Right::ManagePeople));
    // A restart: who lost the first link gets another one.
    let (same, second) = fixture.sign_in.first_admin().await.expect("answers").expect("a link");
    assert_eq!(same.id, admin.id);
    let first = fixture.sign_in.redeem(&first.expose(), PASSWORD).await;
    assert!(matches!(first, Err(RedeemError::Gone)));
    fixture.sign_in.redeem(&second.expose(), PASSWORD).await.expect("redeemed");
    assert!(fixture.sign_in.first_admin().await.expect("answers").is_none());
    fixture.enter("admin", PASSWORD).await.expect("signed in");
}

#[tokio::test]
async fn the_first_admin_s_link_is_made_anew_as_long_as_only_others_can_sign_in() {
    let fixture = Fixture::open().await;
    fixture.sign_in.first_admin().await.expect("answers").expect("a link");
    fixture.person("jane").await;
    let (admin, link) = fixture.sign_in.first_admin().await.expect("answers").expect("a link");
    assert_eq!(admin.name, "admin");
    fixture.sign_in.redeem(&link.expose(), PASSWORD).await.expect("redeemed");
    assert!(fixture.sign_in.first_admin().await.expect("answers").is_none());
}

#[tokio::test]
async fn no_link_is_made_for_who_may_not_manage_people() {
    let fixture = Fixture::open().await;
    fixture.sign_in.invite("jane", clinician()).await.expect("invited");
    assert!(fixture.sign_in.first_admin().await.expect("answers").is_none());
}

#[tokio::test]
async fn two_that_start_at_once_make_one_admin() {
    let fixture = Fixture::open().await;
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let sign_in = fixture.sign_in.clone();
        starts.spawn(async move { sign_in.first_admin().await.expect("answers") });
    }
    let links: Vec<_> = starts.join_all().await.into_iter().flatten().collect();
    assert_eq!(fixture.accounts.accounts().await.expect("listed").len(), 1);
    let mut good = 0;
    for (_, link) in links {
        good +=
            usize::from(fixture.sign_in.linked(&link.expose()).await.expect("answers").is_some());
    }
    assert_eq!(good, 1);
}
