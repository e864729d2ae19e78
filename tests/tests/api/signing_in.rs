//! People on the page: signing in and out, a session that ends in the middle of work, and what each may see.

use fantoccini::Locator;
use lobar_core::object::ImageId;
use lobar_tests::kit::radiograph_jpeg;
use serde_json::{Value, json};

use crate::browser::{Browser, file, rows};
use crate::fixture::{Fixture, PASSWORD, eventually, ready};

pub const NAME: &str = ".door input[autocomplete=username]";
pub const SECRET: &str = ".door input[type=password]";
pub const SEND: &str = ".door button[type=submit]";

/// What somebody can see on the page.
const SEEN: &str = "return document.body.innerText";

pub async fn fill(browser: &Browser, css: &str, text: &str) {
    let field = browser.page.wait().for_element(Locator::Css(css)).await.expect(css);
    field.clear().await.expect("empty");
    field.send_keys(text).await.expect("keys");
}

pub async fn sign_in(browser: &Browser, name: &str, password: &str) {
    browser.text_becomes(".door h1", "Sign in").await;
    fill(browser, NAME, name).await;
    fill(browser, SECRET, password).await;
    browser.click(SEND).await;
}

/// A browser in which somebody has signed in.
pub async fn browser_of(fixture: &Fixture, name: &str, address: &str) -> Browser {
    let browser = Browser::open(&fixture.url(address)).await;
    sign_in(&browser, name, PASSWORD).await;
    browser.text_becomes("#who", name).await;
    browser
}

async fn says(browser: &Browser, words: &str) -> bool {
    browser.run(SEEN).await.as_str().expect("text").contains(words)
}

async fn value(browser: &Browser, css: &str) -> String {
    let script = "return document.querySelector(arguments[0])?.value ?? ''";
    let value = browser.page.execute(script, vec![json!(css)]).await.expect("a script");
    value.as_str().expect("text").to_owned()
}

/// One image of a site with its result, and its picture in the bucket.
pub async fn image(fixture: &Fixture, token: &str) -> ImageId {
    let request = fixture.http.post(fixture.url("/v1/images")).bearer_auth(token);
    let answer = request.body(radiograph_jpeg(700, 600, 1)).send().await.expect("an answer");
    let receipt: Value = answer.json().await.expect("JSON");
    let id: ImageId = receipt["id"].as_str().expect("an id").parse().expect("an id");
    eventually("it is admitted", async || {
        let events = fixture.stored_events().await;
        events.iter().any(|event| event.image == id).then_some(())
    })
    .await;
    fixture.finish(&[id], &ready(0.9)).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_for_or_shown_until_somebody_signs_in_who_then_gets_what_they_came_for() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let id = fixture.admit(["incoming/north/0.jpg".to_owned()]).await.remove(0);
    let browser = Browser::open(&fixture.url(&format!("/#/images/{id}"))).await;
    browser.text_becomes(".door h1", "Sign in").await;
    browser.becomes("return document.activeElement.autocomplete === 'username'").await;
    browser.screenshot("sign-in.png").await;

    sign_in(&browser, "jane", "a wrong sentence").await;
    browser.text_becomes(".form-fault", "The name, the password or the code is wrong.").await;
    browser.becomes("return document.activeElement.type === 'password' && document.activeElement.value === ''").await;
    browser.screenshot("sign-in-refused.png").await;
    let asked = "return performance.getEntriesByType('resource').map((entry) => entry.name)\
        .filter((name) => name.includes('/v1/') && !name.endsWith('/v1/session'))";
    assert_eq!(browser.run(asked).await, json!([]));
    for view in ["#worklist", "#viewer", "#people", "#connection"] {
        assert_eq!(browser.text(view).await, "", "{view}");
    }

    sign_in(&browser, "jane", PASSWORD).await;
    browser.text_becomes("#viewer h1", &id.to_string()[..8]).await;
    browser.text_becomes("#who", "jane").await;
    browser.text_becomes("#connection", "live").await;
    assert_eq!(browser.text(".door").await, "");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_several_failures_the_page_says_when_to_try_again() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes(".door h1", "Sign in").await;
    // Many at once, as no person could: the page's own try comes into the pause.
    for _ in 0..9 {
        let body = json!({ "name": "jane", "password": "a wrong sentence" });
        let request = fixture.http.post(fixture.url("/v1/session")).json(&body);
        if request.send().await.expect("an answer").status() == 429 {
            break;
        }
    }
    sign_in(&browser, "jane", "a wrong sentence").await;
    eventually("it says for how long, or that it is over", async || {
        let said = browser.text(".form-fault").await;
        if !said.contains("Try again in") && !said.is_empty() {
            // The pause was over already; the next one is twice as long.
            sign_in(&browser, "jane", "a wrong sentence").await;
        }
        said.contains("Try again in").then_some(())
    })
    .await;
    browser.text_becomes(".form-fault", "You can try again now.").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_in_the_middle_of_a_verdict_loses_nothing_and_shows_nothing() {
    let fixture = Fixture::open().await;
    let jane = fixture.person("jane", "clinician@north").await;
    let token = fixture.token("uploader@north").await;
    let id = image(&fixture, &token).await;
    let browser = browser_of(&fixture, "jane", &format!("/#/images/{id}")).await;
    browser.becomes("return document.querySelector('.picture').naturalWidth === 700").await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    browser.press("i").await;
    // The verdict is on its way when the session ends.
    browser
        .run("const real = window.fetch; const go = new Promise((go) => { window.go = go; }); \
            window.posts = 0; \
            window.fetch = async (path, options) => { \
                if (options?.method === 'POST' && String(path).endsWith('/verdicts')) { window.posts += 1; await go; } \
                return real(path, options); };")
        .await;
    browser.press("d").await;
    browser.becomes("return window.posts === 1").await;
    fixture.accounts.end_sessions(jane, None).await.expect("ended");
    browser.run("window.go()").await;

    browser.text_becomes("#lock", "The session of jane is over").await;
    browser.screenshot("session-over.png").await;
    let hidden = "return [...document.querySelectorAll('img, #who, h1:not(#door-title), .facts, tr')]\
        .every((element) => !element.checkVisibility({ visibilityProperty: true }))";
    browser.becomes(hidden).await;
    assert!(!says(&browser, &id.to_string()[..8]).await);
    assert_eq!(value(&browser, NAME).await, "jane");
    // Neither Escape nor a key for what lies below does anything.
    browser.click(".door h1").await;
    for keys in ["\u{e00c}", "\u{e00c}", "\u{e00c}", "a"] {
        browser.run("document.querySelector('.door button').focus()").await;
        browser.press(keys).await;
    }
    browser.text_becomes("#lock", "The session of jane is over").await;
    browser.becomes(hidden).await;
    assert_eq!(fixture.verdicts.of(id).await.expect("asked"), []);

    fill(&browser, SECRET, PASSWORD).await;
    browser.click(SEND).await;
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    assert_eq!(browser.text("#lock").await, "");
    browser
        .becomes("return document.querySelector('.picture').classList.contains('inverted')")
        .await;
    let said = fixture.verdicts.of(id).await.expect("asked");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].verdict.displayed, ["picture", "inverted"]);
    assert_eq!(said[0].verdict.reader, "jane");
    browser.text_becomes("#connection", "live").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_else_signs_in_over_a_session_that_is_over_gets_a_fresh_page() {
    let fixture = Fixture::open().await;
    let jane = fixture.person("jane", "clinician@north").await;
    fixture.person("olga", "reader@south").await;
    let id = fixture.admit(["incoming/north/0.jpg".to_owned()]).await.remove(0);
    let browser = browser_of(&fixture, "jane", &format!("/#/images/{id}")).await;
    browser.text_becomes("#viewer h1", &id.to_string()[..8]).await;
    fixture.accounts.end_sessions(jane, None).await.expect("ended");
    browser.text_becomes("#lock", "The session of jane is over").await;
    sign_in(&browser, "olga", PASSWORD).await;
    browser.text_becomes("#who", "olga").await;
    browser.text_becomes("#count", "Showing 0 of 0").await;
    assert_eq!(browser.run("return location.hash + location.search").await, "");
    assert!(!says(&browser, "jane").await && !says(&browser, &id.to_string()[..8]).await);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_signing_out_the_back_button_shows_nothing() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let token = fixture.token("uploader@north").await;
    let id = image(&fixture, &token).await;
    let browser = browser_of(&fixture, "jane", "/").await;
    browser.text_becomes("#count", "Showing 1 of 1").await;
    browser.click("tr[data-id] .open").await;
    browser.becomes("return document.querySelector('.picture').naturalWidth === 700").await;
    let picture = browser.run("return document.querySelector('.picture').src").await;
    browser.click("#who > div > button:last-child").await;
    browser.text_becomes(".door h1", "Sign in").await;
    assert_eq!(browser.run("return location.hash").await, "");
    for back in [true, false] {
        let went = if back { browser.page.back().await } else { browser.page.forward().await };
        went.expect("goes");
        browser.text_becomes(".door h1", "Sign in").await;
        assert_eq!(rows(&browser).await, Vec::<String>::new());
        assert!(!says(&browser, &id.to_string()[..8]).await && !says(&browser, "jane").await);
    }
    let script = "const done = arguments[1]; \
        fetch(arguments[0]).then(() => done('there'), () => done('gone'))";
    let kept = browser.page.execute_async(script, vec![picture]).await.expect("a script");
    assert_eq!(kept, "gone", "the picture's object URL");
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
    assert_eq!(browser.text("#who a").await, "");
    browser.click("tr[data-id] .open").await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    assert_eq!(browser.run("return document.querySelectorAll('.opinion button').length").await, 0);
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
    let fixture = Fixture::open().await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#who", "local user, all rights").await;
    browser.text_becomes("#who", "Adding an account turns sign-in on").await;
    browser.screenshot("local-user.png").await;
    browser.click("#who a").await;
    browser.text_becomes("#people", "begin with an admin").await;
    let link = invite(&browser, "Ada").await;
    browser.click(".dialog .dialog-close").await;

    // The local user is gone with that; the link leads to a password, that to the sign-in.
    browser.text_becomes(".door h1", "Sign in").await;
    follow(&browser, &link, "Ada").await;
    browser.text_becomes("#nothing", "People, tokens and sites").await;
    browser.click("#who a").await;
    browser.text_becomes("#people", "Ada (you)").await;
    browser.text_becomes("#people", "admin@*").await;

    // Ada adds a site, invites somebody there, and makes a token.
    browser
        .run(
            "document.querySelectorAll('#people details').forEach((part) => { part.open = true; })",
        )
        .await;
    fill(&browser, "#people section:last-of-type form input", "north").await;
    browser.click("#people section:last-of-type button[type=submit]").await;
    browser.text_becomes("#people section:last-of-type tbody", "north").await;
    fill(&browser, "#people section:first-of-type .grant input", "north").await;
    let link = invite(&browser, "Jane").await;
    browser.click(".dialog .dialog-close").await;
    browser.text_becomes("#people tbody", "clinician@north").await;
    browser.text_becomes("#people tbody", "invited").await;
    let tokens = "#people section:nth-of-type(2)";
    fill(&browser, &format!("{tokens} input[maxlength]"), "the PACS").await;
    fill(&browser, &format!("{tokens} .grant input"), "north").await;
    browser.click(&format!("{tokens} button[type=submit]")).await;
    browser.text_becomes(".dialog", "It is shown this once").await;
    let secret = value(&browser, ".dialog .secret").await;
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
    browser.screenshot("people.png").await;

    let other = Browser::open(&fixture.url("/")).await;
    follow(&other, &link, "Jane").await;
    other.text_becomes("#count", "Showing 0 of 0").await;
    assert_eq!(other.text("#who a").await, "", "no people's page");
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
    fill(&browser, ".dialog .grant input", "north, south").await;
    browser.click(".dialog button[type=submit]").await;
    browser.text_becomes("#people tbody", "clinician@north,south").await;
    browser.close().await;
}

/// Invites somebody on the people's page; the link.
pub async fn invite(browser: &Browser, name: &str) -> String {
    browser.run("document.querySelector('#people details').open = true").await;
    fill(browser, "#people section:first-of-type .field input", name).await;
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
    fill(browser, SECRET, PASSWORD).await;
    fill(browser, again, "something else").await;
    browser.click(SEND).await;
    browser.text_becomes(".form-fault", "not the same").await;
    fill(browser, again, PASSWORD).await;
    browser.click(SEND).await;
    browser.text_becomes(".door h1", "Sign in").await;
    eventually("the name is filled in", async || {
        (value(browser, NAME).await == name).then_some(())
    })
    .await;
    fill(browser, SECRET, PASSWORD).await;
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
    fill(&browser, ".dialog [autocomplete=one-time-code]", &code(&browser, &secret, 0).await).await;
    fill(&browser, ".dialog section:last-of-type [type=password]", PASSWORD).await;
    browser.click(".dialog section:last-of-type button[type=submit]").await;
    browser.text_becomes(".dialog", "From now on a code is asked for").await;

    browser.click(".sessions button").await;
    browser.becomes("return document.querySelectorAll('.sessions li').length === 1").await;
    other.text_becomes("#lock", "The session of jane is over").await;
    fill(&other, SECRET, PASSWORD).await;
    other.click(SEND).await;
    other.text_becomes(".form-fault", "A one-time code is needed too.").await;
    other.becomes("return document.activeElement.autocomplete === 'one-time-code'").await;
    other.screenshot("code-needed.png").await;
    fill(&other, ".door [autocomplete=one-time-code]", &code(&other, &secret, 1).await).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_page_asks_by_itself_is_no_use_of_the_session() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let ids = fixture.admit(["incoming/north/0.jpg".to_owned()]).await;
    let browser = browser_of(&fixture, "jane", "/").await;
    browser.text_becomes("#connection", "live").await;
    // An hour passes in which nobody touches anything.
    browser
        .run("const real = window.fetch; window.asked = []; \
            window.fetch = (path, options) => { \
                asked.push([String(path).split('?')[0], options?.headers?.['Lobar-Activity'] ?? null]); \
                return real(path, options); }; \
            const now = performance.now.bind(performance); performance.now = () => now() + 3600000;")
        .await;
    fixture.finish(&ids, &ready(0.9)).await;
    browser.text_becomes("tr[data-id]", "Suspected pneumonia").await;
    let asked = browser.run("return asked").await;
    assert!(asked.as_array().expect("a list").contains(&json!(["/v1/images", null])), "{asked}");
    assert!(!asked.to_string().contains("person"), "{asked}");
    // A key, even one that asks for nothing, is one: the server is told of it.
    browser.press("x").await;
    browser
        .becomes("return asked.some(([path, by]) => path === '/v1/session' && by === 'person')")
        .await;
    browser.close().await;
}
