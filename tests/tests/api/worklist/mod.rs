//! What waits for a reader, and who reads it.

mod claims;
mod order;
mod page;

use std::time::Duration;

use lobar_core::image::{Lane, NewImage};
use lobar_core::object::ImageId;
use serde_json::{Value, json};

use crate::exposure::As;
use crate::fixture::{Fixture, blank, eventually, new_image, ready};

/// The cap of these tests: nothing that is received in them is overdue, but for what is made older.
const CAP: Duration = Duration::from_secs(3600);

/// Images of every rank, the least urgent first: not flagged, needs a human, flagged, urgent, and one that is overdue.
async fn of_every_rank(fixture: &Fixture) -> [ImageId; 5] {
    let names = ["rest", "human", "flagged", "urgent", "overdue"];
    let images = names.map(|name| {
        let new = new_image(&format!("incoming/north/{name}.jpg"));
        NewImage { lane: if name == "urgent" { Lane::Stat } else { Lane::Routine }, ..new }
    });
    let admitted = fixture.store.admit(&images).await.expect("admitted");
    let ids: Vec<ImageId> = admitted.iter().map(|admission| admission.id()).collect();
    fixture.finish(&[ids[0], ids[3], ids[4]], &ready(0.1)).await;
    fixture.finish(&ids[1..2], &blank()).await;
    fixture.finish(&ids[2..3], &ready(0.9)).await;
    let older =
        "update image set received_at = received_at - 7200000000 where key like '%overdue%'";
    fixture.damage(older).await;
    followed(fixture).await;
    ids.try_into().expect("five")
}

/// Waits until the server has followed every event.
async fn followed(fixture: &Fixture) {
    let last = fixture.stored_events().await.last().expect("events").position().number();
    let token = fixture.token("reader@*").await;
    eventually("the server has followed", async || {
        let (_, list) = As::Machine(token.clone()).get(fixture, "/v1/images").await;
        (list["last_event"] == last).then_some(())
    })
    .await;
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

fn words(ids: &[ImageId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

async fn agree(fixture: &Fixture, reader: &As, id: ImageId) {
    let verdict = json!({ "opinion": "agree", "model_version": "test-1" });
    let (status, said) = reader.post(fixture, &format!("/v1/images/{id}/verdicts"), verdict).await;
    assert_eq!(status, 201, "{said}");
}
