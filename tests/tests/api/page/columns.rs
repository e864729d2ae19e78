//! The columns of a list as its reader wants them.

use fantoccini::key::Key;
use lobar_core::model_registry::NewModel;
use serde_json::{Value, json};

use super::resize;
use crate::browser::Browser;
use crate::fixture::{Fixture, blank, ready};
use crate::patients::known;

/// The headings that are shown, from the left.
const HEADS: &str = "return [...document.querySelectorAll('#columns th')].map((head) => head.textContent).join(', ')";

/// Pixels by which the page is wider than its window, heights of rows, and the least width of a patient.
const GEOMETRY: &str = "
    const rows = [...document.querySelectorAll('tr[data-id]')];
    return [
      Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth),
      new Set(rows.map((row) => row.getBoundingClientRect().height)).size,
      document.querySelector('th.c-patient').getBoundingClientRect().width >= 150,
      rows.every((row) => row.children.length === document.querySelectorAll('#columns th').length),
    ];";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_shown_hidden_and_put_in_order_by_keys_alone_and_the_browser_keeps_them() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit((0..4).map(|n| format!("incoming/north/{n}.jpg"))).await;
    fixture.finish_known(&ids[..1], &ready(0.9), Some(&known("71", "1.2.1", "20260301"))).await;
    fixture.finish(&ids[1..2], &blank()).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 4 of 4").await;
    resize(&browser, 1600, 900).await;
    let at_first =
        "Picture, Assessment, Patient, Read, Score, Study, Site, Received, Waiting, Model";
    browser
        .becomes(
            &HEADS
                .replace("return", "return (")
                .replace("(', ')", &format!("(', ')) === '{at_first}'")),
        )
        .await;

    let (tab, space, enter) = (Key::Tab.to_string(), " ", Key::Enter.to_string());
    browser.run("document.querySelector('#options').focus()").await;
    browser.press(&enter).await;
    browser.text_becomes(".dialog h2", "The list").await;
    // By the keyboard: each press goes to the next place that takes the focus.
    let reach = async |css: &str| {
        let is_there = format!("return document.activeElement.matches({})", json!(css));
        for _ in 0..60 {
            if browser.run(&is_there).await == true {
                return;
            }
            browser.press(&tab).await;
        }
        panic!("{css} is not reached by the keyboard");
    };
    reach("[data-column=read][data-does=show]").await;
    browser.press(space).await;
    reach("[data-column=received][data-does=show]").await;
    browser.press(space).await;
    reach("[data-column=waiting][data-does=earlier]").await;
    browser.press(&enter).await;
    browser.press(&enter).await;
    browser
        .becomes(
            "return document.activeElement.matches('[data-column=waiting][data-does=earlier]')",
        )
        .await;
    reach("[data-column=accession][data-does=show]").await;
    browser.press(space).await;
    browser.press(&Key::Escape.to_string()).await;
    browser.becomes("return document.activeElement.id === 'options'").await;
    let chosen = "Picture, Assessment, Patient, Score, Waiting, Study, Site, Model, Accession";
    assert_eq!(browser.run(HEADS).await, chosen);
    browser.text_becomes(&format!("tr[data-id='{}'] .accession", ids[0]), "A-1").await;
    assert_eq!(browser.run(GEOMETRY).await, json!([0, 1, true, true]));

    // Narrow windows leave columns out, and keep to the order.
    browser.page.refresh().await.expect("reloads");
    browser.text_becomes("#count", "Showing 4 of 4").await;
    assert_eq!(browser.run(HEADS).await, chosen);
    for (width, heads) in [
        (1024, "Assessment, Patient, Score, Waiting, Study, Site"),
        (768, "Assessment, Patient, Waiting, Site"),
        (390, "Assessment, Patient"),
        (1600, chosen),
    ] {
        resize(&browser, width, 900).await;
        let is_so = HEADS
            .replace("return", "return (")
            .replace("(', ')", &format!("(', ')) === '{heads}'"));
        browser.becomes(&is_so).await;
        assert_eq!(browser.run(GEOMETRY).await, json!([0, 1, true, true]), "{width}");
        browser.screenshot(&format!("columns-{width}.png")).await;
    }

    // What is never left out cannot be taken out; and back.
    browser.click("#options").await;
    browser
        .becomes("return document.querySelector('[data-column=patient][data-does=show]').disabled")
        .await;
    browser.click(".dialog .form-buttons button").await;
    browser.press(&Key::Escape.to_string()).await;
    assert_eq!(browser.run(HEADS).await, at_first);
    assert_eq!(browser.run("return localStorage.length").await, Value::from(0));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rank_stands_in_the_list_where_the_card_of_the_model_tells_it_and_is_no_percentage() {
    let fixture = Fixture::open().await;
    let validation = json!({ "images": 607, "specificity": 0.987, "specificity_at_half": 0.94,
        "confusion": { "true_negative": 153, "false_positive": 2, "true_positive": 430, "false_negative": 22 } });
    let model = NewModel {
        version: "test-1".into(),
        key: "test-1/a.safetensors".into(),
        sha256: "ab".repeat(32),
        bytes: 1_000,
        card: json!({ "version": "test-1", "threshold": 0.4, "validation": validation }),
    };
    fixture.models.register(&model, "ada").await.expect("registered");
    let ids = fixture.admit((0..3).map(|n| format!("incoming/north/{n}.jpg"))).await;
    fixture.finish(&ids[..1], &ready(0.78)).await;
    fixture.finish(&ids[1..2], &ready(0.2)).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 3 of 3").await;
    let columns = "localStorage.setItem('lobar.columns', JSON.stringify(['assessment', 'patient', 'rank', 'score']))";
    browser.run(columns).await;
    browser.page.refresh().await.expect("reloads");
    let rank = |n: usize| format!("tr[data-id='{}'] .rank", ids[n]);
    browser.text_becomes(&rank(0), "above 98 of 100").await;
    // The card tells nothing of scores below both its points, and nothing has been assessed in the third.
    browser.text_becomes(&rank(1), "–").await;
    browser.text_becomes(&rank(2), "–").await;
    assert!(!browser.text("#rows").await.contains('%'));
    let hint = "return document.querySelector(arguments[0]).title";
    let hint = browser.page.execute(hint, vec![json!(rank(0))]).await.expect("a script");
    assert!(
        hint.as_str().is_some_and(|hint| hint.contains("155 normal validation images")),
        "{hint}"
    );
    browser.close().await;
}
