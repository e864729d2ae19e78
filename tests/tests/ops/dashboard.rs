//! The dashboards and the rules, on a real Prometheus that scrapes a running Lobar with work to do.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use futures::StreamExt;
use lobar_testkit::services::prometheus::Prometheus;
use lobar_tests::kit::{Client, Lobar, broken_files, executable, radiograph_jpeg};
use serde_json::Value;

use crate::tools::{at, file, run, text, yaml};

/// A panel's query with Grafana's variables replaced.
struct Query {
    panel: String,
    text: String,
}

/// Panels that show something only where the test has not what it is of: TLS.
const WITHOUT_VALUE: [&str; 1] = ["How many days has the TLS certificate left?"];

/// The dashboards by their files' names.
fn dashboards() -> BTreeMap<String, Value> {
    let mut dashboards = BTreeMap::new();
    for entry in std::fs::read_dir(file("grafana/dashboards")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        let dashboard = serde_json::from_str(&text(&format!("grafana/dashboards/{name}")));
        dashboards.insert(name, dashboard.expect("JSON"));
    }
    dashboards
}

/// Every panel, with the name of its dashboard's file.
fn panels(dashboards: &BTreeMap<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    dashboards.iter().flat_map(|(name, dashboard)| {
        let panels = dashboard["panels"].as_array().expect("panels");
        panels.iter().map(|panel| (name.as_str(), panel))
    })
}

fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for (name, panel) in panels(&dashboards()) {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().expect("targets") {
            let query = target["expr"].as_str().expect("a query");
            // Four scrapes of the test's Prometheus, as Grafana would choose it; and all sites.
            let query = query.replace("$__rate_interval", "4s").replace("$site", ".*");
            assert!(
                !query.contains('$'),
                "{name}, {title}: a variable that this test does not know: {query}"
            );
            queries.push(Query { panel: title.to_owned(), text: query });
        }
    }
    queries
}

/// The names of Lobar's metrics in a query or a rule.
fn metrics(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("lobar_")).map(str::to_owned).collect()
}

/// Uploads radiographs and files that cannot be assessed, through the API as the page does; how many.
async fn upload(page: &str, round: u32) -> usize {
    let http = reqwest::Client::new();
    let radiographs = (0..24).map(|n| radiograph_jpeg(500, 400, round * 100 + n));
    let broken = broken_files().into_iter().map(|(_, bytes, _)| bytes);
    let all: Vec<Vec<u8>> = radiographs.chain(broken).collect();
    let sent = futures::stream::iter(all).map(|bytes| {
        let request = http.post(format!("{page}/v1/images")).body(bytes);
        async move { request.send().await.expect("answers").status().as_u16() }
    });
    let statuses: Vec<u16> = sent.buffer_unordered(8).collect().await;
    let accepted = statuses.iter().filter(|status| **status == 202).count();
    assert!(accepted >= 24, "{statuses:?}");
    accepted
}

/// Finite numbers that a query found.
fn numbers(found: &[Value]) -> Vec<f64> {
    let value = |series: &Value| series["value"][1].as_str()?.parse::<f64>().ok();
    found.iter().filter_map(value).filter(|value| value.is_finite()).collect()
}

#[tokio::test]
async fn every_panel_and_rule_finds_data_in_a_prometheus_that_scrapes_a_working_system() {
    let dir = tempfile::tempdir().expect("a folder");
    let lobar = Lobar::up(&dir.path().join("data"));
    // Only a registered site has figures of its own.
    let mut site = Command::new(executable());
    run(site.args(["site", "add", "north", "--data"]).arg(dir.path().join("data")));
    let prometheus = Prometheus::scraping(&[("lobar-api", &lobar.page)]).await;
    let watching = reqwest::get(format!("{}/v1/events?after=0", lobar.page)).await;
    let mut watching = watching.expect("a stream").bytes_stream();

    // A rate needs figures from before and after: work until every panel has data at once.
    let mut missing: Vec<String> = Vec::new();
    let mut uploaded = 0;
    for round in 0..12 {
        uploaded += upload(&lobar.page, round).await;
        Client::new(&lobar.page).settled(uploaded).await;
        missing.clear();
        for query in queries() {
            let found = prometheus.query(&query.text).await;
            let has_data = match WITHOUT_VALUE.contains(&&*query.panel) {
                true => !found.is_empty(),
                false => !numbers(&found).is_empty(),
            };
            if !has_data {
                missing.push(format!("{}: {}", query.panel, query.text));
            }
        }
        if round > 0 && missing.is_empty() {
            break;
        }
    }
    assert!(missing.is_empty(), "panels without data:\n{}", missing.join("\n"));
    assert_known(&prometheus).await;
    assert!(watching.next().await.is_some_and(|part| part.is_ok()), "the event stream is open");
    let clients = numbers(&prometheus.query("sum(lobar_sse_clients)").await);
    assert!(clients[0] >= 1.0, "the open stream is counted: {clients:?}");

    for trigger in scaling_queries() {
        let found = prometheus.query(&trigger).await;
        assert_eq!(found.len(), 1, "KEDA needs one number: {trigger}");
        assert_eq!(numbers(&found).len(), 1, "a number: {trigger}");
    }
    drop(watching);
    assert_eq!(lobar.stop(), 0);
}

/// Every metric that a panel or a rule names is one that was scraped.
async fn assert_known(prometheus: &Prometheus) {
    let known: BTreeSet<String> = prometheus.names().await.into_iter().collect();
    let used: BTreeSet<String> = queries().iter().flat_map(|query| metrics(&query.text)).collect();
    for metric in used.iter().chain(&metrics(&text("ops/prometheus/rules.yml"))) {
        assert!(known.contains(metric), "{metric} is no metric of Lobar's");
    }
}

/// The queries by which KEDA scales the workers.
fn scaling_queries() -> Vec<String> {
    let mut queries = Vec::new();
    for name in ["by-need", "by-depth"] {
        for document in yaml(&file(&format!("ops/kubernetes/keda/{name}/scaledobject.yaml"))) {
            let triggers = document.pointer("/spec/triggers").and_then(Value::as_array);
            for trigger in triggers.into_iter().flatten() {
                if trigger["type"] == "prometheus" {
                    let query = at(trigger, "/metadata/query").as_str().expect("text");
                    queries.push(query.to_owned());
                }
            }
        }
    }
    assert!(!queries.is_empty());
    queries
}

#[test]
fn a_query_is_read_for_the_metrics_in_it() {
    let found = metrics("sum by (le) (rate(lobar_batch_size_bucket[4s])) / lobar_workers");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["lobar_batch_size_bucket", "lobar_workers"]);
}

#[test]
fn the_dashboards_answer_each_question_that_operators_have() {
    let used: BTreeSet<String> = queries().iter().flat_map(|query| metrics(&query.text)).collect();
    let has = |name: &str| used.iter().any(|metric| metric.starts_with(name));
    for name in [
        "lobar_queue_depth",
        "lobar_backlog_seconds",
        "lobar_images",
        "lobar_images_total",
        "lobar_stage_seconds",
        "lobar_finished_seconds",
        "lobar_event_delay_seconds",
        "lobar_batch_size",
        "lobar_workers",
        "lobar_workers_wanted",
        "lobar_sse_clients",
        "lobar_oldest_unfinished_seconds",
        "lobar_engine_busy_ratio",
        "lobar_site_images",
        "lobar_site_oldest_unfinished_seconds",
        "lobar_dependency_up",
    ] {
        assert!(has(name), "no panel shows {name}");
    }
}

#[test]
fn grafana_is_given_a_dashboard_folder_and_a_data_source_that_the_compose_file_has() {
    let provider = &yaml(&file("grafana/provisioning/dashboards/lobar.yaml"))[0];
    let source = &yaml(&file("grafana/provisioning/datasources/prometheus.yaml"))[0];
    let compose = &yaml(&file("ops/compose/compose.yaml"))[0];
    let mounts = at(compose, "/services/grafana/volumes").as_array().expect("mounts");
    let mounts: Vec<&str> = mounts.iter().filter_map(Value::as_str).collect();
    let folder = at(provider, "/providers/0/options/path").as_str().expect("a path");
    let shows = |target: &str| mounts.iter().any(|mount| mount.contains(&format!(":{target}:")));
    assert!(shows(folder) && shows("/etc/grafana/provisioning"), "{mounts:?}");
    assert_eq!(at(source, "/datasources/0/url"), "http://prometheus:9090");
    assert!(compose.pointer("/services/prometheus").is_some());
    for (name, dashboard) in dashboards() {
        let variable = at(&dashboard, "/templating/list/0");
        assert_eq!(variable["current"]["value"], *at(source, "/datasources/0/uid"), "{name}");
    }
    let home =
        at(compose, "/services/grafana/environment/GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH");
    let home = home.as_str().and_then(|home| home.strip_prefix(folder)).expect("in the folder");
    assert!(dashboards().contains_key(home.trim_start_matches('/')), "{home}");
}

#[test]
fn each_dashboard_leads_to_the_others_and_each_panel_asks_one_question() {
    let dashboards = dashboards();
    let ids: BTreeSet<&str> = dashboards.values().filter_map(|one| one["uid"].as_str()).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
    for (name, dashboard) in &dashboards {
        let link = at(dashboard, "/links/0");
        assert_eq!(link["type"], "dashboards", "{name}");
        assert_eq!(link["tags"], dashboard["tags"], "{name}: what it leads to and what it is");
    }
    let mut places = BTreeSet::new();
    for (name, panel) in panels(&dashboards) {
        let title = panel["title"].as_str().expect("a title");
        assert!(title.ends_with('?'), "{name}: {title}");
        assert!(panel["description"].is_string(), "{name}: {title} is not explained");
        let of = |side: &str| panel["gridPos"][side].as_u64().expect("a number");
        for x in of("x")..of("x") + of("w") {
            for y in of("y")..of("y") + of("h") {
                assert!(x < 24 && places.insert((name, x, y)), "{name}: {title} lies on another");
            }
        }
    }
}
