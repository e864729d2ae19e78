//! `GET /v1/images/{id}/pixels`: rights, record, and what is in it.

use lobar_core::audit::{Cursor, Filter};
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};

use super::{HEIGHT, WIDTH, film, stored};
use crate::fixture::{Fixture, eventually};

/// The text that goes with the pixels: behind the keyword of the chunk.
fn note(png: &[u8]) -> Value {
    let mark = b"iTXtLobar\0\0\0\0\0";
    let at = png.windows(mark.len()).position(|window| window == mark).expect("a note");
    let length = u32::from_be_bytes(png[at - 4..at].try_into().expect("four bytes")) as usize;
    let text = &png[at + mark.len()..at + 4 + length];
    serde_json::from_slice(text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pixels_are_the_file_s_own_with_what_is_needed_to_window_and_measure_them() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put(film("MONOCHROME2")).await;
    let url = fixture.url(&format!("/v1/images/{id}/pixels"));
    let answer = fixture.http.get(&url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "image/png");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let tag = answer.headers()[ETAG].clone();
    let name = format!("\"pixels1-{}\"", id.0.simple());
    assert_eq!(tag.to_str().expect("text"), name);
    let png = answer.bytes().await.expect("a body");
    let read = image::load_from_memory(&png).expect("a PNG").to_luma16();
    assert_eq!(read.dimensions(), (WIDTH, HEIGHT));
    assert!(read.enumerate_pixels().all(|(x, y, pixel)| pixel.0[0] == stored(x, y)));
    let note = note(&png);
    assert_eq!((&note["top"], &note["slope"]), (&json!(4095), &json!(1.0)));
    assert_eq!(note["windows"][1]["explanation"], "NARROW");
    let spacing = &note["spacing"];
    assert_eq!((&spacing["rows"], &spacing["columns"]), (&json!(0.2), &json!(0.1)));
    assert_eq!(spacing["plane"], "detector");
    assert_eq!(note["orientation"], json!(["L", "F"]));
    let again = fixture.http.get(&url).header(IF_NONE_MATCH, tag).send().await.expect("an answer");
    assert_eq!(again.status(), 304);
    // What is compressed is smaller than what it holds.
    assert!(png.len() < (WIDTH * HEIGHT * 2) as usize, "{}", png.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_see_the_picture_may_see_the_pixels_and_that_is_on_record() {
    let fixture = Fixture::open_for_films().await;
    let id = fixture.put(film("MONOCHROME2")).await;
    let nothing = "00000000-0000-4000-8000-000000000000";
    let ask = async |image: &str, grant: &str| {
        let token = fixture.token(grant).await;
        let url = fixture.url(&format!("/v1/images/{image}/pixels"));
        let answer = fixture.http.get(url).bearer_auth(token).send().await.expect("an answer");
        answer.status().as_u16()
    };
    let image = id.to_string();
    assert_eq!(ask(&image, "reader@local").await, 200);
    assert_eq!(ask(&image, "uploader@local").await, 403);
    assert_eq!(ask(&image, "reader@elsewhere").await, ask(nothing, "reader@local").await);
    let recorded = eventually("it is on record", async || {
        let filter = Filter { image: Some(id), ..Filter::default() };
        let entries = fixture.audit.page(&filter, Cursor::After(0), 100).await.expect("read");
        let seen = entries.iter().any(|entry| entry.action == "picture_viewed");
        let refused = entries.iter().any(|entry| entry.action == "refused");
        (seen && refused).then_some(())
    });
    recorded.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_image_has_no_pixels() {
    let fixture = Fixture::open().await;
    let id = fixture.put(b"no image at all".to_vec()).await;
    let (status, problem) = fixture.get(&format!("/v1/images/{id}/pixels")).await;
    assert_eq!((status, &problem["type"]), (404, &json!("/problems/no-picture")));
}
