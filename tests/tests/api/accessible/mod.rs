//! The page for people who read it by other means than eyes and a mouse: axe-core over every view, in light and dark, at the
//! double size; the keyboard alone from signing in to a verdict; no motion for whoever asked for none.

mod states;
mod touch;

use fantoccini::key::Key;
use lobar_tests::kit::workspace;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::fixture::{Fixture, PASSWORD, blank, eventually, ready};
use crate::page_people::invite;
use crate::patients::known;
use crate::signing_in::{SECRET, SEND, browser_of, image, sign_in};

/// axe-core, out of the tests' Python packages.
fn axe() -> String {
    let packages = workspace().join(".venv/lib");
    let found = std::fs::read_dir(packages).into_iter().flatten().flatten().find_map(|python| {
        let file = python.path().join("site-packages/axe_playwright_python/axe.min.js");
        std::fs::read_to_string(file).ok()
    });
    found.expect("axe-core is installed: `make test` does it")
}

/// Runs axe-core, and tells each violation with its elements.
const RUN: &str = "const done = arguments[0]; \
    axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }) \
      .then(({ violations }) => done(violations.flatMap(({ id, help, nodes }) => \
        nodes.map(({ target, any, all }) => `${id}: ${help}: ${target.join(' ')}: ${[...any, ...all].map(({ message }) => message).join('; ')}`))), \
        (error) => done([String(error)]));";

/// What makes the page scroll sideways: it may not, at the double size (WCAG 2.2, 1.4.10).
const WIDE: &str = "const room = document.documentElement.clientWidth; \
    return document.documentElement.scrollWidth <= room ? [] : [...document.querySelectorAll('body *')] \
      .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > room + 1 && !e.closest('.table-wrap')) \
      .map((e) => `wider than the window: ${e.tagName} ${e.id || e.className}`)";

/// What was found wrong, in all views.
#[derive(Default)]
pub struct Report(pub Vec<String>);

impl Report {
    /// Looks at the view that is open, as three people have it before them.
    pub async fn look(&mut self, browser: &Browser, view: &str) {
        let three = [("light", 1400, 1000), ("dark", 1400, 1000), ("light", 700, 500)];
        self.look_as(browser, view, &three).await;
    }

    /// The same, and on a phone.
    async fn look_at_all_widths(&mut self, browser: &Browser, view: &str) {
        self.look(browser, view).await;
        self.look_as(browser, view, &[("dark", 390, 844)]).await;
    }

    /// Looks at the view in each theme and size. 700 pixels are 1400 at the double size.
    async fn look_as(&mut self, browser: &Browser, view: &str, as_: &[(&str, u32, u32)]) {
        for (scheme, width, height) in as_ {
            browser.run(&format!("document.documentElement.dataset.theme = '{scheme}'")).await;
            let density = if *width == 700 { 2 } else { 1 };
            let size = json!({ "width": width, "height": height, "deviceScaleFactor": density, "mobile": false });
            browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
            browser.drawn().await;
            self.look_as_it_is(browser, &format!("{view}, {scheme}, {width} pixels")).await;
        }
        browser.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
    }

    /// Looks at what is on the screen, and keeps a picture of it.
    async fn look_as_it_is(&mut self, browser: &Browser, view: &str) {
        browser.run(&axe()).await;
        let said = browser.page.execute_async(RUN, Vec::new()).await.expect("a script");
        let wide = browser.run(WIDE).await;
        for fault in [said, wide].iter().flat_map(|list| list.as_array().expect("a list")) {
            self.0.push(format!("{view}: {}", fault.as_str().expect("text")));
        }
        let name = view.replace(", ", "-").replace(" pixels", "").replace(' ', "-");
        browser.screenshot(&format!("axe-{name}.png")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_is_accessible_in_light_and_dark_and_at_the_double_size() {
    let fixture = Fixture::open().await;
    let jane = fixture.person("jane", "clinician@north").await;
    fixture.person("una", "uploader@north,south").await;
    fixture.person("otto", "operator@*").await;
    let mut report = Report::default();

    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes(".door h1", "Sign in").await;
    report.look(&browser, "sign-in").await;
    sign_in(&browser, "jane", "a wrong sentence").await;
    browser.text_becomes(".form-fault", "wrong").await;
    report.look(&browser, "sign-in refused").await;
    sign_in(&browser, "jane", PASSWORD).await;
    browser.text_becomes("#empty", "No image yet").await;
    report.look(&browser, "empty list").await;

    let token = fixture.token("uploader@north").await;
    let id = image(&fixture, &token).await;
    browser.page.refresh().await.expect("reloads");
    browser.text_becomes("#count", "Showing 1 of 1").await;
    browser.text_becomes("#connection", "live").await;
    let others = ["incoming/north/1.jpg", "incoming/north/stat/2.jpg", "incoming/north/3.jpg"];
    let others = fixture.admit(others.map(str::to_owned)).await;
    fixture.finish(&others[..1], &blank()).await;
    fixture.finish(&others[1..2], &ready(0.1)).await;
    browser.text_becomes("#news", "3 new: show").await;
    report.look(&browser, "list with news").await;
    browser.click("#news").await;
    browser.text_becomes("#count", "Showing 4 of 4").await;
    report.look(&browser, "list").await;

    browser.click(&format!("tr[data-id='{id}'] .open")).await;
    browser.shows_its_picture().await;
    browser.press("h").await;
    browser.shows_its_heatmap().await;
    report.look(&browser, "viewer").await;
    browser.press("s").await;
    browser.becomes("return document.querySelector('.twin .heat').checkVisibility()").await;
    report.look(&browser, "viewer beside the heatmap").await;
    browser.press("s").await;
    browser.press("?").await;
    browser.text_becomes(".dialog", "These keys").await;
    report.look(&browser, "keys of the viewer").await;
    browser.click(".dialog .dialog-close").await;
    browser.press("a").await;
    browser.text_becomes(".opinion", "agreed: pneumonia").await;
    report.look(&browser, "verdict").await;
    browser.press(&Key::Escape.to_string()).await;

    let films = ["incoming/north/4.jpg", "incoming/north/5.jpg"].map(str::to_owned);
    let films = fixture.admit(films).await;
    for (film, day) in films.iter().zip(["20240101", "20260301"]) {
        let known = known("71", &format!("1.2.{day}"), day);
        fixture.finish_known(&[*film], &ready(0.9), Some(&known)).await;
    }
    browser.page.goto(&fixture.url("/")).await.expect("opens");
    browser.text_becomes(&format!("tr[data-id='{}'] .patient", films[1]), "ID 71").await;
    report.look(&browser, "list with patients").await;
    browser.click(&format!("tr[data-id='{}'] .open", films[1])).await;
    browser.click(".priors button").await;
    browser.text_becomes(".prior figcaption", "Prior, 2024-01-01").await;
    report.look(&browser, "viewer with a prior").await;
    browser.press(&Key::Escape.to_string()).await;

    browser.click(".who-name").await;
    browser.text_becomes(".sessions", "(this one)").await;
    browser.click(".dialog section:last-of-type button:first-child").await;
    browser.text_becomes(".offer", "otpauth://totp/").await;
    report.look(&browser, "account").await;
    fixture.accounts.end_sessions(jane, None).await.expect("ended");
    // Whether the page hears of it by this or before.
    browser.run("document.querySelector('.dialog .dialog-close')?.click()").await;
    browser.run("document.querySelector('tr[data-id] .open')?.click()").await;
    browser.text_becomes("#lock", "The session of jane is over").await;
    report.look(&browser, "session over").await;
    browser.close().await;

    for (who, words) in [("una", "You may add X-rays"), ("otto", "Your roles show no images.")] {
        let browser = browser_of(&fixture, who, "/").await;
        browser.text_becomes("#nothing", words).await;
        report.look(&browser, who).await;
        browser.close().await;
    }
    assert!(report.0.is_empty(), "{}", report.0.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_people_s_page_and_its_dialogs_are_accessible() {
    let fixture = Fixture::open().await;
    fixture.person("ada", "admin@*").await;
    let mut report = Report::default();
    let browser = browser_of(&fixture, "ada", "/#/people").await;
    browser.text_becomes("#people tbody", "ada (you)").await;
    report.look(&browser, "people").await;
    let link = {
        let open =
            "document.querySelectorAll('#people details').forEach((part) => { part.open = true; })";
        browser.run(open).await;
        browser.fill("#people section:nth-of-type(3) form input", "north").await;
        browser.click("#people section:nth-of-type(3) button[type=submit]").await;
        browser.text_becomes("#people section:nth-of-type(3) tbody", "north").await;
        browser.fill("#people section:first-of-type .grant input", "north").await;
        report.look(&browser, "people with forms").await;
        invite(&browser, "Jane").await
    };
    report.look(&browser, "a link shown once").await;
    browser.click(".dialog .dialog-close").await;
    browser.click("#people [aria-label='Roles: Jane']").await;
    report.look(&browser, "roles").await;
    browser.close().await;

    let browser = Browser::open(&link).await;
    browser.text_becomes(".door button[type=submit]", "Set the password").await;
    report.look(&browser, "a link").await;
    browser.page.goto("about:blank").await.expect("goes");
    browser.page.goto(&fixture.url("/#/link/lobar_l_none")).await.expect("goes");
    browser.text_becomes(".door", "The link was used, replaced, or has expired.").await;
    report.look(&browser, "a link that is gone").await;
    browser.close().await;
    assert!(report.0.is_empty(), "{}", report.0.join("\n"));
}

/// Says of the element that has the focus what is wrong with how it shows: it must have an outline, and lie in sight.
const FOCUS: &str = "
    const e = document.activeElement;
    const style = getComputedStyle(e);
    const box = e.getBoundingClientRect();
    const at = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const faults = [
      e !== document.body && style.outlineStyle === 'none' && 'no outline',
      e !== document.body && !at && 'not in sight',
      at && !e.contains(at) && !at.contains(e) && 'covered',
    ].filter(Boolean);
    return faults.length ? `${e.tagName} ${e.id || e.className}: ${faults.join(', ')}` : ''";

/// Goes on by the key that goes on, until the focus is on what matches; every place on the way shows that it has it.
async fn tab_to(browser: &Browser, css: &str) {
    let is_there = format!("return document.activeElement.matches({})", json!(css));
    for _ in 0..40 {
        browser.press(&Key::Tab.to_string()).await;
        assert_eq!(browser.run(FOCUS).await, "", "on the way to {css}");
        if browser.run(&is_there).await == true {
            return;
        }
    }
    panic!("{css} is not reached by the keyboard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_alone_leads_from_signing_in_to_a_verdict_and_out_again() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let token = fixture.token("uploader@north").await;
    let id = image(&fixture, &token).await;
    let browser = Browser::open(&fixture.url("/")).await;
    let enter = Key::Enter.to_string();
    browser.becomes("return document.activeElement.autocomplete === 'username'").await;
    browser.press("jane").await;
    tab_to(&browser, SECRET).await;
    browser.press(PASSWORD).await;
    tab_to(&browser, SEND).await;
    browser.press(&enter).await;
    browser.text_becomes("#count", "Showing 1 of 1").await;

    // The first stop leads past what is above the list.
    tab_to(&browser, "#skip").await;
    browser.press(&enter).await;
    browser.becomes("return document.activeElement.id === 'list'").await;
    tab_to(&browser, "tr[data-id] .open").await;
    browser.press(&enter).await;
    browser.shows_its_picture().await;
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    tab_to(&browser, ".opinion [data-key=d]").await;
    browser.press(&enter).await;
    let given = eventually("the verdict is there", async || {
        let given = fixture.verdicts.of(id).await.expect("asked");
        (!given.is_empty()).then_some(given)
    })
    .await;
    assert_eq!(given[0].verdict.reader, "jane");
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    browser.press(&Key::Escape.to_string()).await;
    browser.becomes("return document.activeElement.matches('tr[data-id] .open')").await;

    // Her account, and back to where she was.
    browser.run("document.querySelector('#home').focus()").await;
    tab_to(&browser, ".who-name").await;
    browser.press(&enter).await;
    browser.text_becomes(".dialog", "clinician@north").await;
    tab_to(&browser, ".dialog .dialog-close").await;
    browser.press(&enter).await;
    browser.becomes("return document.activeElement.matches('.who-name')").await;
    tab_to(&browser, "#who > div > button:last-child").await;
    browser.press(&enter).await;
    browser.text_becomes(".door h1", "Sign in").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_moves_for_whoever_asked_for_no_motion() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit(["incoming/north/0.jpg".to_owned()]).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 1 of 1").await;
    let moving = "document.querySelector('#connection').dataset.state = 'reconnecting'; \
        document.querySelector('tr[data-id]').classList.add('changed'); \
        return document.getAnimations().length";
    for (motion, moves) in [("no-preference", true), ("reduce", false)] {
        let features = json!([{ "name": "prefers-reduced-motion", "value": motion }]);
        browser.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
        let count = browser.run(moving).await;
        assert_eq!(count.as_u64().is_some_and(|count| count > 0), moves, "{motion}: {count}");
    }
    fixture.finish(&ids, &ready(0.9)).await;
    browser.text_becomes("tr[data-id]", "Suspected pneumonia").await;
    assert_eq!(browser.run("return document.getAnimations().length").await, Value::from(0));
    browser.close().await;
}
