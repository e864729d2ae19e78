//! The page: the order, the state in the row, the claim on what is open, and the next image.

use super::*;
use crate::browser::{Browser, rows};
use crate::exposure::person;
use crate::fixture::PASSWORD;
use crate::signing_in::sign_in;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_stands_by_urgency_where_that_is_chosen_and_the_address_keeps_it() {
    let fixture = Fixture::open_with(|settings| settings.reading_cap = CAP).await;
    let [rest, human, _, _, overdue] = of_every_rank(&fixture).await;
    let browser = Browser::open(&fixture.base).await;
    browser.becomes("return document.querySelectorAll('tr[data-id]').length === 5").await;
    browser.run("const order = document.getElementById('order'); order.value = 'urgency'; order.dispatchEvent(new Event('change'))").await;
    let first = format!("return document.querySelector('tr[data-id]')?.dataset.id === '{overdue}'");
    browser.becomes(&first).await;
    let shown = rows(&browser).await;
    assert_eq!(shown[3..], words(&[human, rest]));
    assert!(browser.text("tr[data-id] .reading").await.starts_with("Unread"));
    assert!(browser.text("tr[data-id] .reading small").await.starts_with("overdue, waits 2 h"));
    assert_eq!(browser.run("return location.search").await, "?order=urgency");

    browser.page.goto(&format!("{}/?order=urgency", fixture.base)).await.expect("the page");
    browser.becomes(&first).await;
    assert_eq!(rows(&browser).await, shown);
    // A verdict changes the row in place; the list is another when it is asked for.
    let verdict = json!({ "opinion": "agree", "model_version": "test-1" });
    let path = fixture.url(&format!("/v1/images/{overdue}/verdicts"));
    let said = fixture.http.post(path).json(&verdict).send().await.expect("an answer");
    assert_eq!(said.status(), 201);
    browser.text_becomes("tr[data-id] .reading", "Verified: you").await;
    assert_eq!(rows(&browser).await, shown, "no row has moved");
    browser.text_becomes("#count", "Showing 4 of 4").await;
    browser.click("#news").await;
    browser.becomes("return document.querySelectorAll('tr[data-id]').length === 4").await;
    assert_eq!(rows(&browser).await, shown[1..]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_is_claimed_and_another_reader_is_warned_and_may_take_over() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let olga = person(&fixture, "olga", "clinician@north").await;
    let [rest, ..] = of_every_rank(&fixture).await;
    let claim = format!("/v1/images/{rest}/claim");
    assert_eq!(olga.post(&fixture, &claim, Value::Null).await.1["mine"], true);

    let browser = Browser::open(&fixture.base).await;
    sign_in(&browser, "jane", PASSWORD).await;
    let row =
        format!("return document.querySelector('tr[data-id=\"{rest}\"] .reading')?.textContent");
    browser.becomes(&format!("{row}?.startsWith('Reading now: olga') === true")).await;
    browser.run(&format!("location.hash = '#/images/{rest}'")).await;
    browser.text_becomes("#reader", "olga has this image open").await;
    browser.click("#reader button").await;
    browser.becomes("return document.getElementById('reader').hidden").await;
    let (_, warned) = olga.post(&fixture, &claim, Value::Null).await;
    assert_eq!((&warned["mine"], &warned["by"]), (&json!(false), &json!("jane")));

    // Closed, it is nobody's.
    browser.press("\u{e00c}").await;
    eventually("it is given back", async || {
        let (_, image) = olga.get(&fixture, &format!("/v1/images/{rest}")).await;
        (image["reading"]["state"] != "reading").then_some(())
    })
    .await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_key_opens_what_waits_by_urgency_and_passes_over_what_others_read() {
    let fixture = Fixture::open_with(|settings| settings.reading_cap = CAP).await;
    let [rest, human, flagged, urgent, overdue] = of_every_rank(&fixture).await;
    // Of the two that are flagged or urgent another reader has one open.
    let other = lobar_core::exposure::Reader { id: uuid::Uuid::from_u128(7), name: "olga".into() };
    let opened =
        fixture.worklist.claim_reading(flagged, &other, lobar_core::worklist::Claiming::Open, CAP);
    assert!(opened.await.expect("asked").is_some());
    let browser = Browser::open(&fixture.base).await;
    browser.becomes("return document.querySelectorAll('tr[data-id]').length === 5").await;
    for id in [overdue, urgent, human, rest] {
        browser.press("u").await;
        browser.becomes(&format!("return location.hash === '#/images/{id}'")).await;
    }
    // Once round: all of them wait still.
    browser.press("u").await;
    browser.becomes(&format!("return location.hash === '#/images/{overdue}'")).await;
    browser.close().await;
}
