//! Whom another issuer signs in.

use lobar_core::access::{Grant, Grants};
use lobar_core::accounts::External;
use lobar_signin::{Became, ExternalError, Guest};

use crate::fixture::Fixture;

fn grants(texts: &[&str]) -> Grants {
    texts.iter().map(|text| text.parse::<Grant>().expect("a grant")).collect()
}

fn ada(granted: &[&str]) -> Guest {
    let external = External { issuer: "https://id.example".into(), subject: "ada".into() };
    Guest { external, name: Some("ada".into()), grants: grants(granted), sid: None }
}

#[tokio::test]
async fn what_groups_grant_at_unknown_sites_is_left_out_and_the_rest_is_taken_away_or_given() {
    let fixture = Fixture::open().await;
    fixture.accounts.add_site(&"north".parse().expect("a site")).await.expect("added");
    let sign_in = &fixture.sign_in;
    let (account, became) =
        sign_in.admit(&ada(&["clinician@north", "operator@*"])).await.expect("admitted");
    assert_eq!(became, Became::Added);
    let opened = sign_in.open(account, None, std::time::Duration::MAX, "").await.expect("opened");
    let (account, became) =
        sign_in.admit(&ada(&["clinician@north,nowhere"])).await.expect("admitted");
    assert_eq!((account.grants, became), (grants(&["clinician@north"]), Became::Granted));
    assert!(fixture.is_open(&opened.secret).await);
    let refused = sign_in.admit(&ada(&["clinician@nowhere"])).await;
    assert!(matches!(refused, Err(ExternalError::NothingGranted(Some(id))) if id == account.id));
    assert!(!fixture.is_open(&opened.secret).await);
    let again = sign_in.admit(&ada(&["clinician@nowhere"])).await;
    assert!(matches!(again, Err(ExternalError::NothingGranted(None))), "nothing changed");
}
