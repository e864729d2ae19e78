//! Tokens of machines.

use lobar_core::accounts::AccountError;
use lobar_core::time::Clock as _;
use lobar_signin::AddError;

use crate::fixture::{Fixture, MINUTE, clinician};

#[tokio::test]
async fn a_token_is_known_by_its_secret_until_it_expires_or_is_revoked() {
    let fixture = Fixture::open().await;
    let expires = Some(fixture.clock.now().plus(10 * MINUTE));
    let add = async |name, expires| fixture.sign_in.add_token(name, clinician(), expires).await;
    let (short, short_secret) = add("short", expires).await.expect("added");
    let (long, long_secret) = add("long", None).await.expect("added");
    let known = async |secret: &lobar_signin::Secret| {
        fixture.sign_in.token(&secret.expose()).await.expect("answers").map(|token| token.id)
    };
    assert_eq!(known(&short_secret).await, Some(short.id));
    assert_eq!(known(&long_secret).await, Some(long.id));
    fixture.clock.advance(10 * MINUTE);
    assert_eq!(known(&short_secret).await, None);
    assert!(fixture.accounts.revoke_token(long.id).await.expect("revoked"));
    assert_eq!(known(&long_secret).await, None);
}

#[tokio::test]
async fn what_is_no_token_is_none_and_what_is_no_name_is_refused() {
    let fixture = Fixture::open().await;
    let (_, secret) = fixture.sign_in.add_token("pacs", clinician(), None).await.expect("added");
    for text in ["", "lobar_t_", &secret.expose()[..50], &secret.expose().replace("_t_", "_s_")] {
        assert!(fixture.sign_in.token(text).await.expect("answers").is_none());
    }
    let unnamed = fixture.sign_in.add_token(" ", clinician(), None).await;
    assert!(matches!(unnamed, Err(AddError::Name)));
    let taken = fixture.sign_in.add_token("pacs", clinician(), None).await;
    assert!(matches!(taken, Err(AddError::Account(AccountError::NameTaken))));
}
