//! Two doctors at two sites and an operator, each in a browser of their own, while images arrive at both sites.

use std::collections::BTreeSet;

use lobar_core::object::ImageId;
use serde_json::{Value, json};

use crate::browser::{Browser, SHOW_NEWS, rows};
use crate::fixture::{Fixture, PASSWORD, eventually, ready};
use crate::signing_in::{SECRET, SEND, browser_of, image};

/// Notes every image that the page asks for, and what its stream tells.
const WATCH: &str = "
    window.heard = [];
    const real = window.fetch;
    window.fetch = async (path, options) => {
      const answer = await real(path, options);
      if (/\\/v1\\/(images|events)/.test(String(path))) {
        if (String(path).includes('/v1/events')) return answer;
        answer.clone().text().then((text) => heard.push(text), () => {});
      }
      return answer;
    };";

/// What a page has been told of, and what it shows.
async fn told(browser: &Browser) -> String {
    let script = "return heard.join('\\n') + document.documentElement.outerHTML";
    browser.run(script).await.as_str().expect("text").to_owned()
}

/// Status and problem of a request in a browser's session, without the number of the request.
async fn asked(browser: &Browser, path: &str) -> Value {
    let script = "const [path, done] = arguments; fetch(path).then(async (answer) => { \
        const said = await answer.json(); delete said.request_id; done([answer.status, said]); })";
    browser.page.execute_async(script, vec![json!(path)]).await.expect("a script")
}

async fn arrive(fixture: &Fixture, site: &str, number: usize) -> ImageId {
    let id = fixture.admit([format!("incoming/{site}/new-{number}.jpg")]).await.remove(0);
    fixture.finish(&[id], &ready(0.9)).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_sees_what_arrives_at_their_own_site_and_nothing_tells_of_the_other() {
    let fixture = Fixture::open().await;
    let jane = fixture.person("jane", "clinician@north").await;
    fixture.person("sam", "clinician@south").await;
    fixture.person("otto", "operator@*").await;
    let token = fixture.token("uploader@north").await;
    let shown = image(&fixture, &token).await;
    let first = arrive(&fixture, "south", 0).await;
    let north = browser_of(&fixture, "jane", "/").await;
    let south = browser_of(&fixture, "sam", "/").await;
    let operator = browser_of(&fixture, "otto", "/").await;
    for browser in [&north, &south] {
        browser.text_becomes("#connection", "live").await;
        browser.text_becomes("#count", "Showing 1 of 1").await;
        browser.run(WATCH).await;
    }
    assert_eq!(rows(&north).await, [shown.to_string()]);
    assert_eq!(rows(&south).await, [first.to_string()]);

    // More arrive at one than at the other; each count is of its own.
    let mut of = [vec![shown], vec![first]];
    for number in 1..=5 {
        of[0].push(arrive(&fixture, "north", number).await);
        if number % 2 == 0 {
            of[1].push(arrive(&fixture, "south", number).await);
        }
    }
    for (browser, own) in [(&north, &of[0]), (&south, &of[1])] {
        browser.text_becomes("#count", &format!("of {}", own.len())).await;
        let expected: BTreeSet<_> = own.iter().map(ToString::to_string).collect();
        eventually("all of the own site are shown, and no other", async || {
            browser.run(SHOW_NEWS).await;
            let there = BTreeSet::from_iter(rows(browser).await);
            (there == expected).then_some(())
        })
        .await;
        browser.text_becomes("#count", &format!("Showing {0} of {0}", own.len())).await;
    }

    // The session of one ends in the middle of a verdict, while the other reads on.
    north.click(&format!("tr[data-id='{shown}'] .open")).await;
    north.shows_its_picture().await;
    north.text_becomes(".opinion", "No verdict was given yet").await;
    north.hold("POST", "/verdicts").await;
    north.press("d").await;
    north.holds(1).await;
    fixture.accounts.end_sessions(jane, None).await.expect("ended");
    north.let_go().await;
    north.text_becomes("#lock", "The session of jane is over").await;
    south.click(&format!("tr[data-id='{first}'] .open")).await;
    south.text_becomes(".opinion", "No verdict was given yet").await;
    south.press("a").await;
    south.text_becomes(".opinion", "agreed: pneumonia").await;
    north.fill(SECRET, PASSWORD).await;
    north.click(SEND).await;
    north.text_becomes(".opinion", "labelled: no pneumonia").await;
    for (id, reader) in [(shown, "jane"), (first, "sam")] {
        let given = fixture.verdicts.of(id).await.expect("asked");
        let readers: Vec<_> = given.iter().map(|one| one.verdict.reader.as_str()).collect();
        assert_eq!(readers, [reader]);
    }

    // The other's addresses tell as much as made-up ones.
    let nothing = "00000000-0000-4000-8000-000000000000";
    for (browser, others) in [(&north, &of[1]), (&south, &of[0])] {
        for more in ["", "/picture", "/heatmap", "/verdicts"] {
            let unknown = asked(browser, &format!("/v1/images/{nothing}{more}")).await;
            assert_eq!(unknown[0], 404);
            for id in others {
                let said = asked(browser, &format!("/v1/images/{id}{more}")).await;
                assert_eq!(said, unknown, "{id}{more}");
            }
        }
        // Nor has any of them come by itself.
        let told = told(browser).await;
        assert!(others.iter().all(|id| !told.contains(&id.to_string())), "{told}");
        browser.page.goto(&fixture.url(&format!("/#/images/{}", others[0]))).await.expect("goes");
        browser.text_becomes("#viewer .facts", "No image of this id is known.").await;
    }

    // Who runs the system sees no image of either, and asked for none.
    operator.text_becomes("#nothing", "Your roles show no images.").await;
    let requests = "return performance.getEntriesByType('resource').map((entry) => entry.name)\
        .filter((name) => name.includes('/v1/images') || name.includes('/v1/events'))";
    assert_eq!(operator.run(requests).await, json!([]));
    for id in of.iter().flatten() {
        assert_eq!(asked(&operator, &format!("/v1/images/{id}")).await[0], 403);
    }
    let again = eventually("all of it is stored", async || {
        let list = asked(&north, "/v1/images").await;
        (list[1]["total"] == of[0].len()).then_some(list)
    });
    again.await;
    for browser in [north, south, operator] {
        browser.close().await;
    }
}
