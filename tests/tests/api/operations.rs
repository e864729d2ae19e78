//! Health, figures, documentation and the page's own files.

use std::time::Duration;

use lobar_core::image::{Lane, NewImage};
use lobar_core::presence::WorkerLoad;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Fixture, eventually, new_image, ready};

#[tokio::test]
async fn a_server_is_ready_when_its_store_and_bucket_answer() {
    let fixture = Fixture::open().await;
    assert_eq!(fixture.get("/livez").await.0, 200);
    let checks = eventually("it is ready", async || {
        let (status, body) = fixture.get("/readyz").await;
        (status == 200).then_some(body)
    })
    .await;
    assert_eq!(checks["ready"], true);
    assert_eq!(checks["checks"]["bucket"], json!({ "ok": true, "why": null }));
}

#[tokio::test]
async fn the_queues_are_shown_by_lane_and_an_unknown_rate_is_not_a_zero() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit((0..3).map(|n| format!("incoming/north/{n}.jpg"))).await;
    let figures = eventually("the images are counted", async || {
        let (_, figures) = fixture.get("/v1/queues").await;
        (figures["lanes"]["routine"]["unfinished"] == 3).then_some(figures)
    })
    .await;
    let routine = &figures["lanes"]["routine"];
    assert_eq!(routine["backlog_seconds"], Value::Null);
    assert!(routine["oldest_age_seconds"].as_f64().is_some_and(|age| age >= 0.0));
    assert_eq!(figures["lanes"]["stat"]["backlog_seconds"], 0.0);
    fixture.finish(&ids[..1], &ready(0.5)).await;
    let known = eventually("a rate is measured", async || {
        let (_, figures) = fixture.get("/v1/queues").await;
        figures["lanes"]["routine"]["backlog_seconds"].as_f64()
    })
    .await;
    assert_eq!(known, 20.0, "two images at one in ten seconds");
}

#[tokio::test]
async fn a_scraper_gets_figures_of_now_although_nobody_asked_for_the_queues() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit((0..3).map(|n| format!("incoming/north/stat/{n}.jpg"))).await;
    // What was read at the start is older than a second by then.
    eventually("the images are counted", async || {
        fixture.metrics().await.contains("lobar_images{state=\"queued\"} 3").then_some(())
    })
    .await;
    fixture.finish(&ids, &ready(0.5)).await;
    let metrics = eventually("and counted again", async || {
        let metrics = fixture.metrics().await;
        metrics.contains("lobar_images{state=\"ready\"} 3").then_some(metrics)
    })
    .await;
    let told = |line: &str| line.strip_prefix("lobar_event_delay_seconds_count ")?.parse().ok();
    let delays: Option<u64> = metrics.lines().find_map(told);
    assert!(delays.is_some_and(|events| events >= 3), "{delays:?}");
}

#[tokio::test]
async fn every_metric_of_the_queues_and_workers_has_its_name_and_its_labels() {
    let fixture = Fixture::open().await;
    let presence = fixture.presence.clone().expect("a presence service");
    let load = WorkerLoad { seconds_per_image: Some(0.05), ..WorkerLoad::default() };
    for n in 0..2 {
        let worker = Uuid::from_u128(n);
        presence.heartbeat(worker, &load, Duration::from_secs(600)).await.expect("announced");
    }
    let metrics = eventually("the workers are counted", async || {
        let metrics = fixture.metrics().await;
        metrics.contains("lobar_workers 2").then_some(metrics)
    })
    .await;
    for line in [
        r#"lobar_queue_depth{lane="stat",queue="jobs"} 0"#,
        r#"lobar_queue_depth{lane="routine",queue="jobs"} 0"#,
        r#"lobar_queue_depth{lane="any",queue="uploads"} 0"#,
        r#"lobar_queue_dead{lane="any",queue="uploads"} 0"#,
        r#"lobar_backlog_seconds{lane="stat"} 0"#,
        r#"lobar_backlog_seconds{lane="routine"} 0"#,
        r#"lobar_oldest_unfinished_seconds{lane="stat"} 0"#,
        r#"lobar_images{state="needs_human"} 0"#,
        r#"lobar_api_cache_lookups_total{outcome="error"} 0"#,
        "lobar_sse_clients 0",
        r#"lobar_event_delay_seconds_bucket{le="0.05"} 0"#,
    ] {
        assert!(metrics.contains(&format!("{line}\n")), "{line}:\n{metrics}");
    }
    let wanted: Vec<_> =
        metrics.lines().filter(|line| line.starts_with("lobar_workers_wanted{")).collect();
    assert_eq!(wanted, [r#"lobar_workers_wanted{reason="calming"} 2"#]);
    let (_, figures) = fixture.get("/v1/queues").await;
    assert_eq!(figures["capacity_images_per_second"], 40.0);
    assert_eq!((&figures["workers"], &figures["workers_wanted"]), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn figures_of_sites_are_of_registered_ones_and_shown_to_who_may_see_queues() {
    let fixture = Fixture::open().await;
    for site in ["north", "south"] {
        fixture.accounts.add_site(&site.parse().expect("a name")).await.expect("added");
    }
    let urgent = NewImage { lane: Lane::Stat, ..new_image("incoming/north/1.jpg") };
    fixture.store.admit(&[urgent]).await.expect("admitted");
    let keys = ["north/2.jpg", "south/3.jpg", "doe-jane/4.jpg"];
    let ids = fixture.admit(keys.map(|key| format!("incoming/{key}"))).await;
    fixture.finish(&ids[1..], &ready(0.5)).await;
    let shown =
        |site: &str, state: &str| format!("lobar_site_images{{site=\"{site}\",state=\"{state}\"}}");
    let metrics = eventually("the images are counted", async || {
        let metrics = fixture.metrics().await;
        metrics.contains(&format!("{} 1\n", shown("south", "ready"))).then_some(metrics)
    })
    .await;
    assert!(metrics.contains(&format!("{} 2\n", shown("north", "queued"))), "{metrics}");
    assert!(metrics.contains(&format!("{} 1\n", shown("other", "ready"))), "{metrics}");
    assert!(metrics.contains("lobar_site_oldest_unfinished_seconds{site=\"south\"} 0\n"));
    assert!(!metrics.contains("doe-jane"), "what is typed into keys is no label");

    fixture.person("somebody", "admin@*").await;
    let ask = async |grant: &str, path: &str| {
        let token = fixture.token(grant).await;
        let answer = fixture.http.get(fixture.url(path)).bearer_auth(token).send().await;
        answer.expect("an answer")
    };
    let queues: Value = ask("operator@*", "/v1/queues").await.json().await.expect("JSON");
    let north = &queues["sites"]["north"];
    assert_eq!((&north["ready"], &north["in_flight"]), (&json!(2), &json!(0)));
    assert_eq!(north["unfinished"], json!({ "stat": 1, "routine": 1 }));
    assert!(north["oldest_age_seconds"].as_f64().is_some_and(|age| age >= 0.0));
    assert_eq!(queues["sites"]["other"]["images"]["ready"], 1);
    for path in ["/v1/queues", "/metrics"] {
        for grant in ["clinician@north", "clinician@*", "uploader@north", "auditor@*"] {
            assert_eq!(ask(grant, path).await.status(), 403, "{grant} {path}");
        }
        assert_eq!(
            fixture.http.get(fixture.url(path)).send().await.expect("an answer").status(),
            401
        );
    }
}

#[tokio::test]
async fn metrics_carry_routes_as_patterns_and_never_as_addresses() {
    let fixture = Fixture::open().await;
    fixture.get("/v1/images/6c6f6261-722d-5a17-9e1d-696d61676573").await;
    fixture.get("/v1/queues").await;
    let answer = fixture.http.get(fixture.url("/metrics")).send().await.expect("an answer");
    let text = answer.text().await.expect("text");
    assert!(text.contains(r#"route="/v1/images/{id}""#), "{text}");
    assert!(text.contains(r#"lobar_queue_depth{lane="stat",queue="jobs"} 0"#), "{text}");
    assert!(!text.contains("6c6f6261"));
}

#[tokio::test]
async fn the_page_is_served_with_a_strict_policy_and_kept_until_it_changes() {
    let fixture = Fixture::open().await;
    let page = fixture.http.get(fixture.url("/?show=flagged")).send().await.expect("an answer");
    assert_eq!(page.status(), 200);
    let headers = page.headers().clone();
    let policy = headers["content-security-policy"].to_str().expect("text");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    let tag = headers["etag"].to_str().expect("text");
    let html = page.text().await.expect("text");
    let again = fixture.http.get(fixture.url("/")).header("if-none-match", tag).send().await;
    assert_eq!(again.expect("an answer").status(), 304);
    // Every file that the page names is there.
    let files: Vec<&str> = html.split('"').filter(|text| text.starts_with("/web/")).collect();
    assert!(files.len() > 4, "{files:?}");
    for file in files {
        let answer = fixture.http.get(fixture.url(file)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{file}");
    }
}

#[tokio::test]
async fn the_documentation_is_complete_on_its_own() {
    let fixture = Fixture::open().await;
    let (status, document) = fixture.get("/openapi.json").await;
    assert_eq!(status, 200);
    assert!(document["paths"]["/v1/images"]["post"].is_object());
    for path in ["/docs", "/docs/", "/docs/swagger-ui.css", "/docs/swagger-initializer.js"] {
        let answer = fixture.http.get(fixture.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
    }
    let (status, problem) = fixture.get("/problems/too-large").await;
    assert_eq!((status, &problem["status"]), (200, &json!(413)));
}

#[tokio::test]
async fn while_the_store_is_away_no_figure_of_it_is_shown_and_the_queues_are_no_number() {
    let fixture = Fixture::open().await;
    fixture.admit((0..5).map(|n| format!("incoming/north/{n}.jpg"))).await;
    let of_store = [
        "lobar_oldest_unfinished_seconds",
        "lobar_images{",
        "lobar_quarantined",
        "lobar_backlog_seconds",
        "lobar_workers_wanted",
    ];
    let shown = |metrics: &str, name: &str| metrics.lines().any(|line| line.starts_with(name));
    eventually("the images are counted", async || {
        let metrics = fixture.metrics().await;
        let counted = metrics.contains("lobar_images{state=\"queued\"} 5");
        (counted && of_store.iter().all(|name| shown(&metrics, name))).then_some(())
    })
    .await;
    fixture.close_store().await;
    let metrics = eventually("nothing is shown of the store", async || {
        let metrics = fixture.metrics().await;
        (!of_store.iter().any(|name| shown(&metrics, name))).then_some(metrics)
    })
    .await;
    for lane in ["stat", "routine"] {
        let line = format!("lobar_queue_depth{{lane=\"{lane}\",queue=\"jobs\"}} NaN\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
    let (status, _) = fixture.get("/v1/queues").await;
    assert!(status >= 500, "{status}");
}
