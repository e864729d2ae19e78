//! In Chromium, from the page to the provider's and back.

use fantoccini::key::Key;

use super::{tell, with_provider};
use crate::browser::Browser;
use crate::fixture::{eventually, ready};

/// Signs in at the provider's own page.
async fn at_the_provider(browser: &Browser, name: &str) {
    for (css, text) in [("input[name=login]", name), ("input[name=password]", "x")] {
        browser.fill(css, text).await;
    }
    browser.click("button.login-submit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_page_somebody_signs_in_at_the_provider_reads_their_images_and_signs_out_there_too()
{
    let (fixture, provider, port) = with_provider().await;
    provider.start().await;
    let id = fixture.admit(["incoming/north/0.jpg".to_owned()]).await.remove(0);
    fixture.finish(&[id], &ready(0.9)).await;
    // Another site than the provider's, as browsers count.
    let browser = Browser::open(&fixture.url(&format!("/#/images/{id}"))).await;
    browser.text_becomes(".door .provider", "Sign in with Hospital ID").await;
    browser.screenshot("sign-in-provider.png").await;
    browser.click(".door .provider").await;
    browser.becomes("return location.hostname === 'localhost'").await;
    at_the_provider(&browser, "ada").await;
    browser.text_becomes("#who", "ada").await;
    browser.text_becomes("#viewer .facts", "Suspected pneumonia").await;
    let cookies = browser.page.get_all_cookies().await.expect("cookies");
    let session = cookies.iter().find(|one| one.name() == "lobar_session").expect("signed in");
    assert_eq!(session.same_site().map(|site| site.is_strict()), Some(true), "{session:?}");
    assert!(cookies.iter().all(|one| one.name() != "lobar_oidc"), "what was needed once is gone");
    // There is no password to change.
    browser.click(".who-name").await;
    browser.text_becomes("dialog.card", "Your sessions").await;
    assert!(!browser.text("dialog.card").await.contains("Change the password"));
    browser.press(&Key::Escape.to_string()).await;

    // The provider ends the session: what she reads is covered, and goes on when she is back, from another window.
    tell(&fixture, port, "/test/revoke?name=ada").await;
    tell(&fixture, port, "/test/groups?name=ada&group=x-rays").await;
    browser.text_becomes("#lock", "Sign in to go on").await;
    browser.click("#lock .provider").await;
    eventually("another window", async || {
        let windows = browser.page.windows().await.expect("windows");
        (windows.len() == 2).then_some(())
    })
    .await;
    let windows = browser.page.windows().await.expect("windows");
    browser.page.switch_to_window(windows[1].clone()).await.expect("the other one");
    // The provider still knows her, and asks all the same: somebody else may sit there.
    at_the_provider(&browser, "ada").await;
    browser.text_becomes("#who", "ada").await;
    browser.page.switch_to_window(windows[0].clone()).await.expect("the first one");
    browser.becomes("return !document.querySelector('#lock').open").await;
    browser.text_becomes("#viewer .facts", "Suspected pneumonia").await;

    // Out here, and on to the provider, which asks whether she means it.
    browser.click("#who button:last-child").await;
    browser.becomes("return location.pathname.startsWith('/session/end')").await;
    browser.click("button[name=logout]").await;
    browser.text_becomes(".door h1", "Sign in").await;
    browser
        .becomes(&format!(
            "return location.host === '{}'",
            fixture.base.trim_start_matches("http://")
        ))
        .await;
    browser.click(".door .provider").await;
    browser.becomes("return Boolean(document.querySelector('input[name=login]'))").await;

    // Whom no group lets in is told so, on the page.
    at_the_provider(&browser, "bob").await;
    browser.text_becomes(".form-fault", "none of your groups may use Lobar").await;
    browser.becomes("return location.hash === ''").await;
    browser.screenshot("sign-in-refused-by-groups.png").await;
    browser.close().await;
}
