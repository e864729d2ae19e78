//! People on the page: the first admin, invitations, one-time codes, and what each may see.

use fantoccini::Locator;
use lobar_core::accounts::{KeyOwner, S3Keys};
use serde_json::json;

use crate::browser::{Browser, file, rows};
use crate::fixture::{Fixture, PASSWORD, eventually, ready};
use crate::signing_in::{NAME, SECRET, SEND, browser_of, value};

/// Makes the code that an app would show in the next half minute (RFC 6238), in the browser.
const CODE: &str = "
    const [secret, done] = arguments;
    const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
    const bytes = Uint8Array.from(bits.match(/.{8}/g), (byte) => parseInt(byte, 2));
    const step = new DataView(new ArrayBuffer(8));
    step.setBigUint64(0, BigInt(Math.floor(Date.now() / 30000) + NEXT));
    crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-1' }, false, ['sign'])
        .then((key) => crypto.subtle.sign('HMAC', key, step))
        .then((mac) => {
            const view = new DataView(mac);
            const number = (view.getUint32(view.getUint8(19) & 15) & 0x7fffffff) % 1000000;
            done(String(number).padStart(6, '0'));
        });";

async fn code(browser: &Browser, secret: &str, next: u8) -> String {
    let script = CODE.replace("NEXT", &next.to_string());
    let code = browser.page.execute_async(&script, vec![json!(secret)]).await.expect("a script");
    code.as_str().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_admin_is_invited_by_the_local_user_and_invites_others_by_links() {
    let keys = S3Keys::of_operator(&"k".repeat(40)).expect("long enough");
    let fixture = Fixture::open_with(|set| set.s3_keys = Some(keys.clone())).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#who", "local user, all rights").await;
    browser.text_becomes("#who", "Adding an account turns sign-in on").await;
    browser.screenshot("local-user.png").await;
    browser.click("#who a[href='#/people']").await;
    browser.text_becomes("#people", "begin with an admin").await;
    let link = invite(&browser, "Ada").await;
    browser.click(".dialog .dialog-close").await;

    // The local user is gone with that; the link leads to a password, that to the sign-in.
    browser.text_becomes(".door h1", "Sign in").await;
    follow(&browser, &link, "Ada").await;
    browser.text_becomes("#nothing", "People, tokens and sites").await;
    browser.click("#who a[href='#/people']").await;
    browser.text_becomes("#people", "Ada (you)").await;
    browser.text_becomes("#people", "admin@*").await;

    // Ada adds a site, invites somebody there, and makes a token.
    browser
        .run(
            "document.querySelectorAll('#people details').forEach((part) => { part.open = true; })",
        )
        .await;
    browser.fill("#people section:nth-of-type(3) form input", "north").await;
    browser.click("#people section:nth-of-type(3) button[type=submit]").await;
    browser.text_becomes("#people section:nth-of-type(3) tbody", "north").await;
    browser.fill("#people section:first-of-type .grant input", "north").await;
    let link = invite(&browser, "Jane").await;
    browser.click(".dialog .dialog-close").await;
    browser.text_becomes("#people tbody", "clinician@north").await;
    browser.text_becomes("#people tbody", "invited").await;
    let tokens = "#people section:nth-of-type(2)";
    browser.fill(&format!("{tokens} input[maxlength]"), "the PACS").await;
    browser.fill(&format!("{tokens} .grant input"), "north").await;
    browser.click(&format!("{tokens} input[type=checkbox]")).await;
    browser.click(&format!("{tokens} button[type=submit]")).await;
    browser.text_becomes(".dialog", "It is shown this once").await;
    browser.screenshot("token-with-key-pair.png").await;
    let secret = value(&browser, ".dialog .secret").await;
    let token = fixture.accounts.tokens().await.expect("asked").remove(0);
    let pair = keys.pair(KeyOwner::Machine(token.id));
    let shown = |label: &str| format!(".dialog .secret[aria-label='{label}']");
    assert_eq!(value(&browser, &shown("Access key id")).await, pair.access_key);
    assert_eq!(value(&browser, &shown("Secret access key")).await, pair.secret_key);
    let request = fixture.http.get(fixture.url("/v1/session")).bearer_auth(&secret);
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    browser.click(".dialog .dialog-close").await;
    browser.text_becomes(&format!("{tokens} tbody"), "uploader@north").await;
    assert!(
        !browser
            .run("return document.documentElement.innerHTML")
            .await
            .to_string()
            .contains(&secret)
    );
    assert!(
        !browser
            .run("return document.documentElement.innerHTML")
            .await
            .to_string()
            .contains(&pair.secret_key)
    );
    browser.screenshot("people.png").await;

    let other = Browser::open(&fixture.url("/")).await;
    follow(&other, &link, "Jane").await;
    other.text_becomes("#count", "Showing 0 of 0").await;
    assert_eq!(other.text("#who a[href='#/people']").await, "", "no people's page");
    // The link is used up.
    other.click("#who > div > button:last-child").await;
    other.text_becomes(".door h1", "Sign in").await;
    other.page.goto(&link).await.expect("goes");
    other.text_becomes(".door", "The link was used, replaced, or has expired.").await;
    other.close().await;

    // Disabled, and in again.
    let of = |words: &str| format!("#people [aria-label='{words}: Jane']");
    browser.click(&of("Disable")).await;
    browser.text_becomes("#people tbody", "disabled").await;
    browser.click(&of("Enable")).await;
    let enabled = "return !document.querySelector('#people tbody').innerText.includes('disabled')";
    browser.becomes(enabled).await;
    browser.click(&of("Roles")).await;
    browser.fill(".dialog .grant input", "north, south").await;
    browser.click(".dialog button[type=submit]").await;
    browser.text_becomes(".dialog .form-fault", "there is no site south; known are north").await;
    fixture.sites(&["south"]).await;
    browser.click(".dialog button[type=submit]").await;
    browser.text_becomes("#people tbody", "clinician@north,south").await;
    browser.close().await;
}

/// Invites somebody on the people's page; the link.
pub(crate) async fn invite(browser: &Browser, name: &str) -> String {
    browser.run("document.querySelector('#people details').open = true").await;
    browser.fill("#people section:first-of-type .field input", name).await;
    browser.click("#people section:first-of-type button[type=submit]").await;
    browser.text_becomes(".dialog", "it is shown this once").await;
    browser.screenshot("invitation.png").await;
    value(browser, ".dialog .secret").await
}

/// Sets a password by a link, and signs in.
async fn follow(browser: &Browser, link: &str, name: &str) {
    browser.page.goto("about:blank").await.expect("goes");
    browser.page.goto(link).await.expect("goes");
    browser.text_becomes(".door button[type=submit]", "Set the password").await;
    browser
        .becomes(
            "return location.hash === '' && !document.documentElement.innerHTML.includes('#/link')",
        )
        .await;
    assert_eq!(value(browser, NAME).await, name);
    browser.screenshot("link.png").await;
    let again = ".door p:nth-of-type(3) input";
    browser.fill(SECRET, PASSWORD).await;
    browser.fill(again, "something else").await;
    browser.click(SEND).await;
    browser.text_becomes(".form-fault", "not the same").await;
    browser.fill(again, PASSWORD).await;
    browser.click(SEND).await;
    browser.text_becomes(".door h1", "Sign in").await;
    eventually("the name is filled in", async || {
        (value(browser, NAME).await == name).then_some(())
    })
    .await;
    browser.fill(SECRET, PASSWORD).await;
    browser.click(SEND).await;
    browser.text_becomes("#who", name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_sets_up_codes_and_ends_another_session_of_theirs() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let other = browser_of(&fixture, "jane", "/").await;
    let browser = browser_of(&fixture, "jane", "/").await;
    browser.click(".who-name").await;
    browser.text_becomes(".dialog", "clinician@north").await;
    browser.text_becomes(".sessions", "(this one)").await;
    browser.click(".dialog section:last-of-type button:first-child").await;
    browser.text_becomes(".offer", "otpauth://totp/").await;
    browser.screenshot("account.png").await;
    let secret = browser.text(".offer code").await;
    browser.fill(".dialog [autocomplete=one-time-code]", &code(&browser, &secret, 0).await).await;
    browser.fill(".dialog section:last-of-type [type=password]", PASSWORD).await;
    browser.click(".dialog section:last-of-type button[type=submit]").await;
    browser.text_becomes(".dialog", "From now on a code is asked for").await;
    browser.text_becomes(".dialog section:last-of-type", "Remove codes").await;

    browser.click(".sessions button").await;
    browser.becomes("return document.querySelectorAll('.sessions li').length === 1").await;
    other.text_becomes("#lock", "The session of jane is over").await;
    other.fill(SECRET, PASSWORD).await;
    other.click(SEND).await;
    other.text_becomes(".form-fault", "A one-time code is needed too.").await;
    other.becomes("return document.activeElement.autocomplete === 'one-time-code'").await;
    other.screenshot("code-needed.png").await;
    other.fill(".door [autocomplete=one-time-code]", &code(&other, &secret, 1).await).await;
    other.click(SEND).await;
    other.text_becomes("#count", "Showing 0 of 0").await;
    assert_eq!(other.text("#lock").await, "");

    // Signing out everywhere ends both.
    browser.click(".dialog .dialog-close").await;
    browser.click(".who-name").await;
    browser.click(".dialog section:first-of-type > p button").await;
    browser.text_becomes(".door h1", "Sign in").await;
    other.text_becomes("#lock", "The session of jane is over").await;
    other.close().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_may_not_do_is_not_on_their_page() {
    let fixture = Fixture::open().await;
    fixture.person("una", "uploader@north,south").await;
    fixture.person("rita", "reader@north").await;
    fixture.person("otto", "operator@*").await;
    let files = tempfile::TempDir::new().expect("a folder");

    // Somebody who only uploads is asked for which site, and sees no list.
    let browser = browser_of(&fixture, "una", "/").await;
    browser.text_becomes("#nothing", "You may add X-rays").await;
    assert_eq!(browser.text("#list").await, "");
    assert_eq!(browser.text("#connection").await, "");
    browser.choose(&[file(files.path(), "DOE.jpg", 1)]).await;
    assert_eq!(browser.text("#sending").await, "", "no site was chosen");
    let site = browser.page.find(Locator::Css("#upload-site")).await.expect("a choice");
    site.select_by_value("south").await.expect("chosen");
    browser.choose(&[file(files.path(), "DOE.jpg", 1)]).await;
    browser.text_becomes("#sending-words", "1 of 1 sent").await;
    browser.screenshot("uploader.png").await;
    let asked = "return performance.getEntriesByType('resource').map((entry) => entry.name)\
        .filter((name) => name.includes('/v1/images?') || name.includes('/v1/events'))";
    assert_eq!(browser.run(asked).await, json!([]));
    let events = eventually("it is admitted", async || {
        let events = fixture.stored_events().await;
        (!events.is_empty()).then_some(events)
    });
    let id = events.await[0].image;
    browser.close().await;

    // Somebody who only reads sees no upload and no buttons for verdicts.
    let north = fixture.admit(["incoming/north/0.jpg".to_owned()]).await;
    fixture.finish(&north, &ready(0.9)).await;
    let browser = browser_of(&fixture, "rita", "/").await;
    browser.text_becomes("#count", "Showing 1 of 1").await;
    assert_eq!(browser.text("#upload").await, "");
    // What was uploaded to their site is theirs to read.
    assert_eq!(browser.text("#who a").await, "Uploads");
    browser.click("tr[data-id] .open").await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    let buttons = "return [...document.querySelectorAll('.opinion button')].filter((one) => one.checkVisibility()).length";
    assert_eq!(browser.run(buttons).await, 0);
    browser.press("d").await;
    // Another site's image, by its number, is not there.
    browser.page.goto(&fixture.url(&format!("/#/images/{id}"))).await.expect("goes");
    browser.text_becomes("#viewer .facts", "No image of this id is known.").await;
    assert_eq!(fixture.verdicts.of(north[0]).await.expect("asked"), []);
    browser.close().await;

    // An operator sees a sentence.
    let browser = browser_of(&fixture, "otto", "/#/people").await;
    browser.text_becomes("#nothing", "Your roles show no images.").await;
    for view in ["#list", "#upload", "#people", "#viewer"] {
        assert_eq!(browser.text(view).await, "", "{view}");
    }
    browser.screenshot("operator.png").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_at_two_sites_side_by_side_see_their_own_alone() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    fixture.person("rita", "reader@south").await;
    let ids = fixture.admit(["north", "south"].map(|site| format!("incoming/{site}/0.jpg"))).await;
    let jane = browser_of(&fixture, "jane", "/").await;
    let rita = browser_of(&fixture, "rita", "/").await;
    let id = |n: usize| ids[n].to_string();
    for (browser, own) in [(&jane, id(0)), (&rita, id(1))] {
        browser.text_becomes("#connection", "live").await;
        browser.text_becomes("#count", "Showing 1 of 1").await;
        assert_eq!(rows(browser).await, [own]);
    }
    // What becomes of the images of one site is told to its people alone.
    fixture.finish(&ids[..1], &ready(0.9)).await;
    jane.text_becomes("tr[data-id]", "Suspected pneumonia").await;
    fixture.admit(["incoming/south/1.jpg".to_owned()]).await;
    rita.text_becomes("#news", "1 new: show").await;
    jane.text_becomes("#count", "Showing 1 of 1").await;
    rita.text_becomes("#count", "Showing 1 of 2").await;
    assert_eq!(jane.text("#news").await, "");
    // Two roles: one gives verdicts, the other cannot.
    jane.click("tr[data-id] .open").await;
    jane.text_becomes(".opinion", "No verdict was given yet").await;
    jane.click(".opinion [data-key=a]").await;
    jane.text_becomes(".opinion", "agreed: pneumonia").await;
    jane.screenshot("jane.png").await;
    rita.screenshot("rita.png").await;
    assert_eq!(rita.text("#upload").await, "");
    jane.close().await;
    rita.close().await;
}
