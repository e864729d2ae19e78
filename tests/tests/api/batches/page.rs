//! The pages of uploads, in a real browser.

use std::sync::Arc;

use serde_json::json;

use super::{batch, failed, known_in};
use crate::accessible::Report;
use crate::browser::{Browser, file, rows};
use crate::fixture::{Fixture, PASSWORD, blank, eventually, ready};
use crate::signing_in::sign_in;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_choosing_of_files_is_one_upload_whose_page_follows_it_to_its_end() {
    let fixture = Arc::new(Fixture::open().await);
    let folder = tempfile::tempdir().expect("a folder");
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#connection", "live").await;
    browser.click("#add").await;
    browser.choose(&[1, 2].map(|n| file(folder.path(), &format!("{n}.jpg"), n))).await;
    browser.text_becomes("#sending-words", "2 of 2 sent").await;
    let first = browser.run("return document.querySelector('#sent-batch').hash").await;
    let junk = folder.path().join("notes.txt");
    std::fs::write(&junk, "Dear colleague").expect("written");
    browser.choose(&[file(folder.path(), "3.jpg", 3), junk]).await;
    browser.text_becomes("#sending-words", "4 of 4 sent").await;
    let second = browser.run("return document.querySelector('#sent-batch').hash").await;
    assert_ne!(first, second, "another choosing is another upload");
    let list = eventually("all are known", async || {
        let (_, list) = fixture.get("/v1/batches").await;
        let files: u64 =
            list["items"].as_array()?.iter().filter_map(|it| it["files"].as_u64()).sum();
        (files == 4).then_some(list)
    })
    .await;
    assert_eq!(list["total"], 2);

    browser.click("#sent-batch").await;
    browser.becomes("return !document.querySelector('dialog[open]')").await;
    browser.text_becomes("#batch-facts", "2 files").await;
    browser.text_becomes("#batch-facts", "uploaded by local").await;
    let count = |words: &str| {
        format!(
            "const row = [...document.querySelectorAll('#batches .counts tr')] \
               .find((tr) => tr.innerText.startsWith('{words}')); return row ? row.cells[1].innerText : ''"
        )
    };
    let id = second.as_str().expect("a hash").trim_start_matches("#/batches/").to_owned();
    let id: Uuid = id.parse().expect("an id");
    eventually("the text is put aside", async || {
        let aside = browser.run(&count("No image by name")).await;
        (aside == "1").then_some(())
    })
    .await;
    let (_, page) = fixture.get(&format!("/v1/images?batch={id}")).await;
    let image = page["items"][0]["id"].as_str().expect("an id").parse().expect("an id");
    fixture.finish(&[image], &failed()).await;
    browser.text_becomes("#batches .counts:last-of-type", "Failed").await;
    browser.becomes("return !document.querySelector('#batch-retry').disabled").await;
    browser.click("#batch-retry").await;
    browser.text_becomes("#batches [role=status]", "1 image is queued again").await;
    eventually("the page counts it as queued", async || {
        let queued = browser.run(&count("Queued")).await;
        (queued == "1").then_some(())
    })
    .await;
    assert_eq!(batch(&fixture, id).await["counts"]["queued"], 1);
    fixture.finish(&[image], &ready(0.9)).await;
    eventually("the page follows", async || {
        let flagged = browser.run(&count("of these: suspected")).await;
        (flagged == "1").then_some(())
    })
    .await;
    for format in ["csv", "ndjson"] {
        let css = format!("#batches a[href='/v1/batches/{id}/export?format={format}'][download]");
        assert!(!browser.text(&css).await.is_empty(), "{format}");
    }

    // Its images alone, and all again.
    browser.click("#batches a[href^='?batch=']").await;
    browser.becomes("return document.querySelectorAll('#rows tr[data-id]').length === 1").await;
    assert_eq!(rows(&browser).await, [image.to_string()]);
    browser.text_becomes("#count", "1").await;
    browser.click("#only-batch").await;
    browser.becomes("return document.querySelectorAll('#rows tr[data-id]').length === 3").await;

    // The list of uploads leads to the other.
    browser.click("#who a[href='#/batches']").await;
    browser.text_becomes("#batches h1", "Uploads").await;
    browser
        .becomes("return document.querySelectorAll('#batches tr[data-batch]').length === 2")
        .await;
    browser.click(&format!("#batches a[href='{}']", first.as_str().expect("a hash"))).await;
    browser.text_becomes("#batch-facts", "2 files").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_uploads_are_accessible() {
    let fixture = Fixture::open().await;
    let id = Uuid::new_v4();
    let keys: Vec<String> = (0..3).map(|n| format!("incoming/north/{n}.jpg")).collect();
    let ids = known_in(&fixture, id, "north", &keys).await;
    fixture.finish(&ids[..1], &failed()).await;
    fixture.finish(&ids[1..2], &ready(0.9)).await;
    let mut report = Report::default();
    let browser = Browser::open(&fixture.url("/#/batches")).await;
    browser
        .becomes("return document.querySelectorAll('#batches tr[data-batch]').length === 1")
        .await;
    report.look(&browser, "uploads").await;
    browser.run(&format!("location.hash = '#/batches/{id}'")).await;
    browser.text_becomes("#batch-facts", "3 files").await;
    report.look(&browser, "one upload").await;
    browser.run(&format!("location.assign('/?batch={id}')")).await;
    browser.text_becomes("#only-batch", "Upload").await;
    browser.becomes("return document.querySelectorAll('#rows tr[data-id]').length === 3").await;
    report.look(&browser, "images of one upload").await;
    browser.close().await;
    assert!(report.0.is_empty(), "{}", report.0.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_uploads_show_what_their_reader_may_do() {
    let fixture = Fixture::open().await;
    let id = Uuid::new_v4();
    let keys = ["incoming/north/1.jpg", "incoming/north/2.jpg"].map(str::to_owned);
    let ids = known_in(&fixture, id, "north", &keys).await;
    fixture.finish(&ids[..1], &failed()).await;
    fixture.finish(&ids[1..], &blank()).await;
    fixture.sites(&["north"]).await;
    fixture.person("ada", "admin@*").await;
    fixture.person("jane", "reader@north").await;
    let browser = Browser::open(&fixture.url(&format!("/#/batches/{id}"))).await;
    sign_in(&browser, "jane", PASSWORD).await;
    browser.text_becomes("#batch-facts", "put into the bucket").await;
    browser.text_becomes("#batches", "The image is blank.").await;
    let hidden =
        browser.run("return document.querySelector('#batch-retry').checkVisibility()").await;
    assert_eq!(hidden, json!(false), "who may not upload there tries nothing again");
    browser.run(&format!("location.hash = '#/batches/{}'", Uuid::new_v4())).await;
    browser.text_becomes("#batches .form-fault", "No such upload is known").await;
    browser.close().await;
}
