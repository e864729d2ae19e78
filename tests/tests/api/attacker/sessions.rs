//! Sessions: planted, tossed beside the own one, and what is left of them.

use fantoccini::Locator;
use serde_json::json;

use super::elsewhere::Elsewhere;
use super::{Ward, hosts};
use crate::browser::Browser;
use crate::fixture::{Fixture, PASSWORD};
use crate::signing_in::{browser_of, sign_in};

/// The secret of the session that the browser has.
async fn secret(browser: &Browser) -> Vec<String> {
    let cookies = browser.devtools("Network.getAllCookies", json!({})).await;
    let cookies = cookies["cookies"].as_array().expect("a list").iter();
    let sessions = cookies.filter(|cookie| cookie["name"] == "lobar_session");
    sessions.map(|cookie| cookie["value"].as_str().expect("text").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_planted_before_is_not_the_one_that_somebody_signs_in_to() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    fixture.person("eve", "clinician@south").await;
    let body = json!({ "name": "eve", "password": PASSWORD });
    let answer = fixture.http.post(fixture.url("/v1/session")).json(&body).send().await;
    let answer = answer.expect("an answer");
    let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
    let planted = cookie.split([';', '=']).nth(1).expect("a value").to_owned();
    let elsewhere = Elsewhere::start().await;
    // Cookies know no ports.
    elsewhere.plant(format!("lobar_session={planted}; path=/"));
    let browser = Browser::open_with(&elsewhere.at("127.0.0.1"), &[hosts()]).await;
    assert_eq!(secret(&browser).await, std::slice::from_ref(&planted));
    // The page says whose session it is. Whoever signs in gets another one, and what was planted opens nothing any more.
    browser.page.goto(&fixture.url("/")).await.expect("goes");
    browser.text_becomes("#who", "eve").await;
    browser.click("#who > div > button:last-child").await;
    sign_in(&browser, "jane", PASSWORD).await;
    browser.text_becomes("#who", "jane").await;
    let own = secret(&browser).await;
    assert_eq!(own.len(), 1);
    assert_ne!(own[0], planted);
    let request = fixture.http.get(fixture.url("/v1/session"));
    let answer = request.header("cookie", format!("lobar_session={planted}")).send().await;
    assert_eq!(answer.expect("an answer").status(), 401);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_tossed_beside_the_own_one_makes_nobody_else_of_a_reader() {
    let ward = Ward::open().await;
    let body = json!({ "name": "eve", "password": PASSWORD });
    let answer = ward.fixture.http.post(ward.fixture.url("/v1/session")).json(&body).send().await;
    let answer = answer.expect("an answer");
    let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
    let tossed = cookie.split([';', '=']).nth(1).expect("a value").to_owned();
    // Of a longer path, so that browsers send it first.
    ward.elsewhere.plant(format!("lobar_session={tossed}; path=/v1/images"));
    ward.browser.page.goto(&ward.elsewhere.at("127.0.0.1")).await.expect("goes");
    assert_eq!(secret(&ward.browser).await.len(), 2);
    let before = ward.stored().await;
    ward.browser.page.goto(&ward.fixture.url("/")).await.expect("goes");
    // Two of them are nobody's: neither list, and no verdict under another's name.
    let script = "const done = arguments[1]; fetch(arguments[0]).then(async (answer) => done([answer.status, await answer.text()]))";
    for path in ["/v1/images".to_owned(), format!("/v1/images/{}", ward.other)] {
        let said = ward.browser.page.execute_async(script, vec![json!(path)]).await;
        let said = said.expect("a script");
        assert_eq!(said[0], 401, "{path}");
        let why = said[1].as_str().expect("text");
        assert!(why.contains("two cookies `lobar_session`"), "what to do is said: {why}");
    }
    let after = ward.stored().await;
    assert_eq!(after["verdict"], before["verdict"]);
    ward.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_signing_in_the_browser_stays_at_the_page_whatever_the_address_said() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    for address in [
        "/?next=https://evil.example/&return_to=//evil.example&redirect_uri=https://evil.example",
        "/#//evil.example/",
        "/#https://evil.example/",
        "/#javascript:document.title='owned'",
        "/?show=javascript:alert(1)&site=<img src=x onerror=alert(1)>#/images/../../evil",
    ] {
        let browser = browser_of(&fixture, "jane", address).await;
        browser.text_becomes("#count", "Showing 0 of 0").await;
        let at = browser.page.current_url().await.expect("a URL");
        assert_eq!(at.origin().ascii_serialization(), fixture.base, "{address}");
        assert_eq!(browser.page.title().await.expect("a title"), "Lobar", "{address}");
        browser.close().await;
    }
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let http = http.build().expect("a client");
    for path in [
        "//evil.example",
        "//evil.example/..",
        "/docs//evil.example",
        "/docs",
        "/%2f%2fevil.example",
        "/\\evil.example",
    ] {
        let answer = http.get(format!("{}{path}", fixture.base)).send().await.expect("an answer");
        let leads = answer.headers().get("location").map(|to| to.to_str().expect("text"));
        let stays = leads.is_none_or(|to| {
            to.starts_with('/') && !to.starts_with("//") || to.starts_with("docs")
        });
        assert!(stays, "{path} leads to {leads:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_saw_is_not_in_the_browser_s_files_once_they_have_signed_out() {
    let ward = Ward::open().await;
    let browser = &ward.browser;
    browser.click("tr[data-id] .open").await;
    browser.shows_its_picture().await;
    browser.press("h").await;
    browser.shows_its_heatmap().await;
    let secret = secret(browser).await.remove(0);
    browser.click("#who > div > button:last-child").await;
    browser.text_becomes(".door h1", "Sign in").await;
    let find = browser.page.find(Locator::Css(".door")).await;
    assert!(find.is_ok());
    let token = ward.fixture.token("reader@north").await;
    let url = ward.fixture.url(&format!("/v1/images/{}/picture", ward.own));
    let png = ward.fixture.http.get(url).bearer_auth(token).send().await.expect("an answer");
    let png = png.bytes().await.expect("a picture");
    assert!(png.len() > 2000, "{}", png.len());
    // From the middle of the picture: nothing that other files have too.
    let picture = &png[1000..1064];
    for (file, bytes) in browser.kept() {
        let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(!has(picture), "the picture is in {}", file.display());
        assert!(!has(secret.as_bytes()), "the session is in {}", file.display());
        assert!(!has(b"\"probability\":0"), "a result is in {}", file.display());
    }
    ward.browser.close().await;
}
