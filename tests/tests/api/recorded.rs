//! The audit record: what callers of the API saw and did is in it, by whom, and as one chain.

use lobar_core::audit::{Cursor, Entry, Filter};
use lobar_tests::kit::radiograph_jpeg;
use serde_json::{Value, json};

use crate::fixture::{Fixture, eventually, ready};

async fn entries(fixture: &Fixture) -> Vec<Entry> {
    fixture.audit.page(&Filter::default(), Cursor::After(0), 1_000).await.expect("read")
}

/// Waits until so many entries of the API are there.
async fn of_callers(fixture: &Fixture, count: usize) -> Vec<Entry> {
    eventually("the entries", || async {
        let all = entries(fixture).await;
        let by_callers: Vec<_> =
            all.into_iter().filter(|entry| entry.actor_kind != "system").collect();
        (by_callers.len() >= count).then_some(by_callers)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_saw_and_did_what_is_on_record_with_their_role_and_site() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit(["incoming/north/1.jpg".to_owned()]).await;
    fixture.finish(&ids, &ready(0.9)).await;
    fixture.person("somebody", "admin@*").await;
    let token = fixture.token("clinician@north").await;
    let image = format!("/v1/images/{}", ids[0]);
    let get = async |path: &str| {
        let request = fixture.http.get(fixture.url(path)).bearer_auth(&token);
        request.send().await.expect("answers").status().as_u16()
    };
    assert_eq!(get("/v1/images").await, 200);
    // Seen again at once: recorded once.
    for _ in 0..3 {
        assert_eq!(get(&image).await, 200);
    }
    assert_eq!(get(&format!("{image}/heatmap")).await, 200);
    assert_eq!(get("/v1/people").await, 403);
    let body = json!({ "opinion": "agree", "model_version": "test-1" });
    let request = fixture.http.post(fixture.url(&format!("{image}/verdicts"))).bearer_auth(&token);
    assert_eq!(request.json(&body).send().await.expect("answers").status(), 201);
    let entries = of_callers(&fixture, 5).await;
    let mut seen: Vec<_> = entries
        .iter()
        .map(|entry| {
            (entry.action.as_str(), entry.role.as_deref(), entry.site.as_deref(), entry.image)
        })
        .collect();
    seen.sort_unstable();
    let (clinician, north, id) = (Some("clinician"), Some("north"), Some(ids[0].0));
    assert_eq!(
        seen,
        [
            ("heatmap_viewed", clinician, north, id),
            ("listed", clinician, None, None),
            ("refused", None, None, None),
            ("verdict_given", clinician, north, id),
            ("viewed", clinician, north, id),
        ]
    );
    assert!(entries.iter().all(|entry| entry.actor_kind == "machine" && entry.request.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_refuses_entries_nothing_is_shown_or_changed_and_the_process_is_not_ready()
{
    let fixture = Fixture::open().await;
    let ids = fixture.admit(["incoming/north/1.jpg".to_owned()]).await;
    fixture.person("somebody", "admin@*").await;
    let (token, admin) = (fixture.token("clinician@north").await, fixture.token("admin@*").await);
    let image = format!("/v1/images/{}", ids[0]);
    let status = async |path: &str| {
        let request = fixture.http.get(fixture.url(path)).bearer_auth(&token);
        request.send().await.expect("answers").status().as_u16()
    };
    eventually("it is ready", || async { (status("/readyz").await == 200).then_some(()) }).await;
    fixture
        .damage(
            "create trigger no_more before insert on audit begin select raise(abort, 'no'); end",
        )
        .await;
    // Shown once more, since nobody knows yet.
    assert_eq!(status("/v1/images").await, 200);
    eventually("it is not ready", || async { (status("/readyz").await == 503).then_some(()) })
        .await;
    for path in [image.as_str(), "/v1/images", "/v1/models", "/v1/session"] {
        assert_eq!(status(path).await, 503, "{path}");
    }
    let add = fixture.http.post(fixture.url("/v1/sites")).bearer_auth(&admin);
    let refused = add.json(&json!({ "name": "east" })).send().await.expect("answers");
    assert_eq!(refused.status(), 503);
    assert_eq!(fixture.accounts.sites().await.expect("asked"), []);

    // Somebody mends it: what waited is written, and all goes on.
    fixture.damage("drop trigger no_more").await;
    eventually("it is ready", || async { (status("/readyz").await == 200).then_some(()) }).await;
    assert_eq!(status(&image).await, 200);
    let told = of_callers(&fixture, 2).await;
    let actions: Vec<_> = told.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["listed", "viewed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_cannot_be_recorded_is_not_answered_as_done() {
    let fixture = Fixture::open().await;
    fixture.person("somebody", "admin@*").await;
    let admin = fixture.token("admin@*").await;
    fixture
        .damage(
            "create trigger no_more before insert on audit begin select raise(abort, 'no'); end",
        )
        .await;
    for name in ["east", "west"] {
        let add = fixture.http.post(fixture.url("/v1/sites")).bearer_auth(&admin);
        let answer = add.json(&json!({ "name": name })).send().await.expect("answers");
        assert_eq!(answer.status(), 503, "{name}");
    }
    // The first one found it out; its entry waits for the store.
    assert_eq!(fixture.accounts.sites().await.expect("asked").len(), 1);
    fixture.damage("drop trigger no_more").await;
    let told = of_callers(&fixture, 1).await;
    assert_eq!((told[0].action.as_str(), told[0].site.as_deref()), ("site_changed", Some("east")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_on_record_with_what_it_was_of_and_each_image_that_it_showed_once() {
    let fixture = Fixture::open().await;
    let key = |n: usize| format!("incoming/north/{n}.jpg");
    let first = fixture.admit((0..3).map(key)).await;
    fixture.person("somebody", "admin@*").await;
    let token = fixture.token("reader@north").await;
    let list = async |query: &str| {
        let request = fixture.http.get(fixture.url(&format!("/v1/images{query}")));
        assert_eq!(request.bearer_auth(&token).send().await.expect("answers").status(), 200);
    };
    for query in ["", "", "?limit=1", "?status=queued&site=north", "?site=Doe,Jane", ""] {
        list(query).await;
    }
    let second = fixture.admit([key(3)]).await;
    list("").await;
    let entries = of_callers(&fixture, 4).await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let detail = entry.detail();
            let ids = detail["ids"].as_array().expect("ids").len();
            (ids, detail["images"].clone(), detail["status"].clone(), detail["sites"].clone())
        })
        .collect();
    let (all, queued, nothing) = (json!([]), json!(["queued"]), json!(""));
    let expected = [
        (3, json!(3), all.clone(), json!("north")),
        (0, json!(3), queued, json!("north")),
        (0, json!(0), all.clone(), nothing),
        (1, json!(4), all, json!("north")),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!((&told.0, &told.1, &told.2), (&expected.0, &expected.1, &expected.2));
    }
    let ids = |entry: &Entry| entry.detail()["ids"].clone();
    let of_first: Vec<String> = first.iter().rev().map(ToString::to_string).collect();
    let mut shown: Vec<String> = serde_json::from_value(ids(&entries[0])).expect("ids");
    let mut expected = of_first;
    shown.sort_unstable();
    expected.sort_unstable();
    assert_eq!(shown, expected);
    assert_eq!(ids(&entries[3]), json!([second[0].to_string()]));
    assert!(entries.iter().all(|entry| !entry.detail.contains("Doe")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reaches_for_another_site_is_on_record_and_cannot_fill_it() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit(["incoming/south/1.jpg".to_owned()]).await;
    fixture.finish(&ids, &ready(0.9)).await;
    fixture.accounts.add_site(&"south".parse().expect("a name")).await.expect("added");
    fixture.person("somebody", "admin@*").await;
    let token = fixture.token("clinician@north").await;
    let image = format!("/v1/images/{}", ids[0]);
    let get = async |path: &str| {
        let request = fixture.http.get(fixture.url(path)).bearer_auth(&token);
        assert_eq!(request.send().await.expect("answers").status(), 404, "{path}");
    };
    for path in ["", "/picture", "/heatmap", "/verdicts"] {
        get(&format!("{image}{path}")).await;
    }
    for site in ["south", "Doe.Jane"] {
        let url = fixture.url(&format!("/v1/images?site={site}"));
        let request = fixture.http.post(url).bearer_auth(&token).body("x");
        assert_eq!(request.send().await.expect("answers").status(), 403);
    }
    let refused = of_callers(&fixture, 6).await;
    let told: Vec<_> = refused
        .iter()
        .map(|entry| (entry.action.as_str(), entry.image, entry.site.as_deref()))
        .collect();
    let (south, id) = (Some("south"), Some(ids[0].0));
    let reached = ("refused", id, south);
    let put = ("refused", None, south);
    assert_eq!(told, [reached, reached, reached, reached, put, ("refused", None, None)]);
    assert_eq!(refused[4].detail(), json!({ "right": "upload" }));
    for _ in 0..50 {
        get(&image).await;
    }
    // Something that is recorded whatever else is.
    let own = fixture.token("clinician@south").await;
    let request = fixture.http.get(fixture.url(&format!("{image}/verdicts"))).bearer_auth(&own);
    assert_eq!(request.send().await.expect("answers").status(), 200);
    let all = eventually("it is recorded", async || {
        let all = entries(&fixture).await;
        all.iter().any(|entry| entry.action == "verdicts_viewed").then_some(all)
    })
    .await;
    assert_eq!(all.iter().filter(|entry| entry.action == "refused").count(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_reads_the_record_and_its_lines_are_one_chain() {
    let fixture = Fixture::open().await;
    fixture.person("somebody", "admin@*").await;
    let admin = fixture.token("admin@*").await;
    let add = fixture.http.post(fixture.url("/v1/sites")).bearer_auth(&admin);
    assert_eq!(add.json(&json!({ "name": "east" })).send().await.expect("answers").status(), 201);
    let auditor = fixture.token("auditor@*").await;
    let read = async |query: &str| {
        let request = fixture.http.get(fixture.url(&format!("/v1/audit{query}")));
        let answer = request.bearer_auth(&auditor).send().await.expect("answers");
        assert_eq!(answer.status(), 200, "{query}");
        answer.text().await.expect("text")
    };
    let page: Value = serde_json::from_str(&read("?action=site_changed").await).expect("JSON");
    assert_eq!(page["items"].as_array().expect("items").len(), 1);
    assert_eq!(
        (&page["items"][0]["site"], &page["items"][0]["role"]),
        (&json!("east"), &json!("admin"))
    );
    let lines = read("?after=0&format=ndjson").await;
    let entries: Vec<Entry> =
        lines.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect();
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["site_changed", "audit_read", "audit_read"], "reading is recorded first");
    for pair in entries.windows(2) {
        assert_eq!(pair[1].previous, pair[0].hash);
    }
    for entry in &entries {
        assert_eq!(lobar_core::audit::hash(entry), entry.hash);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_to_sign_in_is_on_record_without_what_was_typed() {
    let fixture = Fixture::open().await;
    fixture.person("jane", "clinician@north").await;
    let body = json!({ "name": "my secret password", "password": "jane" });
    let request = fixture.http.post(fixture.url("/v1/session")).json(&body);
    assert_eq!(request.send().await.expect("answers").status(), 401);
    let entries = of_callers(&fixture, 1).await;
    assert_eq!(
        (entries[0].action.as_str(), entries[0].actor_kind.as_str()),
        ("sign_in_failed", "nobody")
    );
    let whole = serde_json::to_string(&entries[0]).expect("JSON");
    assert!(!whole.contains("secret") && !whole.contains("jane"), "{whole}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thumbnail_is_on_record_as_listed_unless_its_row_is() {
    let fixture = Fixture::open().await;
    let mut ids = Vec::new();
    for seed in [1, 2] {
        ids.push(fixture.pictured("north", &radiograph_jpeg(320, 240, seed)).await);
    }
    fixture.person("somebody", "admin@*").await;
    let token = fixture.token("clinician@north").await;
    let get = async |path: &str| {
        let request = fixture.http.get(fixture.url(path)).bearer_auth(&token);
        assert_eq!(request.send().await.expect("answers").status(), 200, "{path}");
    };
    for _ in 0..2 {
        get(&format!("/v1/images/{}/thumbnail", ids[0])).await;
    }
    get("/v1/images").await;
    get(&format!("/v1/images/{}/thumbnail", ids[1])).await;
    // Something that is recorded after it.
    get(&format!("/v1/images/{}/verdicts", ids[1])).await;
    let entries = eventually("it is recorded", async || {
        let mut entries = entries(&fixture).await;
        entries.retain(|entry| entry.actor_kind != "system" && entry.actor_id.is_some());
        entries.iter().any(|entry| entry.action == "verdicts_viewed").then_some(entries)
    })
    .await;
    let told: Vec<_> =
        entries.iter().map(|entry| (entry.action.as_str(), entry.image, entry.detail())).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], ("listed", Some(ids[0].0), json!({ "thumbnail": true })));
    assert_eq!((told[1].0, &told[1].2["ids"]), ("listed", &json!([ids[1].0])));
    assert_eq!(told[2].0, "verdicts_viewed");
}
