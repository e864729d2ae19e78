//! What stands in the audit record of DICOMweb: instances that were stored, sent again or not, and asking for those of others.

use lobar_core::audit::{Action, Cursor, Entry, Filter};
use lobar_core::study::{Uid, Uids};
use serde_json::Value;

use crate::fixture::{Fixture, eventually, ready};
use crate::patients::known;
use crate::stow::{file, stow};

/// Entries of an action; at least `wanted`.
async fn entries(fixture: &Fixture, action: Action, wanted: usize) -> Vec<Entry> {
    eventually("entries of the audit record", async || {
        let filter = Filter { action: Some(action), ..Filter::default() };
        let page = fixture.audit.page(&filter, Cursor::After(0), 100).await.expect("read");
        (page.len() >= wanted).then_some(page)
    })
    .await
}

#[tokio::test]
async fn an_instance_that_is_sent_again_is_recorded_each_time_as_what_it_is() {
    let fixture = Fixture::open().await;
    let film = file("1.2.3.4", "1.2.3.1", 100);
    for _ in 0..2 {
        let (status, _) =
            stow(&fixture, "/dicom-web/studies?site=north", std::slice::from_ref(&film)).await;
        assert_eq!(status, 200);
    }
    let uploaded = entries(&fixture, Action::Uploaded, 2).await;
    let [first, again] = uploaded.as_slice() else { panic!("{} entries", uploaded.len()) };
    assert!(first.image.is_some() && first.image == again.image, "of the one image");
    let detail = |entry: &Entry| serde_json::from_str::<Value>(&entry.detail).expect("JSON");
    assert_eq!((&detail(first)["again"], &detail(again)["again"]), (&Value::Null, &true.into()));
    fixture.stop().await;
}

#[tokio::test]
async fn asking_for_instances_of_another_site_is_on_record_and_answered_as_for_unknown_ones() {
    let fixture = Fixture::open().await;
    let made = fixture.admit(["incoming/north/1.jpg".to_owned()]).await;
    fixture.finish(&made, &ready(0.9)).await;
    let made = made[0];
    let mut film = known("7", "1.2.3", "20260301");
    film.series.uid = Uid::parse("1.2.3.1");
    film.instance.uid = Uid::parse("1.2.3.1.1");
    let ids = fixture.admit(["incoming/north/1.dcm".to_owned()]).await;
    fixture.finish_known(&ids, &ready(0.9), Some(&film)).await;
    let south = fixture.token("clinician@south").await;
    let ask = async |path: &str| {
        let request = fixture.http.get(fixture.url(&format!("/dicom-web/studies/{path}")));
        let answer = request.bearer_auth(&south).send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.expect("a problem")["detail"].clone(),
        )
    };
    let unknown = ask("1.9.9").await;
    assert_eq!(unknown.0, 404);
    let derived = Uids::of_image(made);
    let asked = [
        ("1.2.3".to_owned(), ids[0]),
        ("1.2.3/series/1.2.3.1/instances/1.2.3.1.1/rendered".to_owned(), ids[0]),
        (format!("{}/metadata", derived.study.as_str()), made),
    ];
    for (path, _) in &asked {
        assert_eq!(ask(path).await, unknown, "{path}");
    }
    let refused = entries(&fixture, Action::Refused, asked.len()).await;
    let of: Vec<_> = refused.iter().map(|entry| entry.image.expect("an image")).collect();
    assert_eq!(of, asked.iter().map(|(_, image)| image.0).collect::<Vec<_>>());
    let sites = refused.iter().map(|entry| entry.site.as_ref().expect("a site").as_str());
    assert!(sites.into_iter().all(|site| site == "north"));
    fixture.stop().await;
}
