//! The alerts: their pages, their tests, and who is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lobar_testkit::services::prometheus::Prometheus;
use lobar_testkit::services::{Server, free_port};
use serde_json::{Value, json};

use crate::tools::{at, file, run, text, yaml};

const RULES: &str = "ops/prometheus/rules.yml";
const RECEIVERS: &str = "ops/prometheus/alertmanager.yml";

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn alerts() -> Vec<Value> {
    let rules = yaml(&file(RULES)).remove(0);
    let all = list(&rules["groups"]).flat_map(|group| list(&group["rules"]));
    all.filter(|rule| rule["alert"].is_string()).cloned().collect()
}

fn name(alert: &Value) -> &str {
    alert["alert"].as_str().expect("a name")
}

fn names() -> BTreeSet<String> {
    alerts().iter().map(|alert| name(alert).to_owned()).collect()
}

/// Where the links of a page lead, without what is after `#`.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter_map(|target| target.split('#').next()).filter(|target| !target.is_empty())
}

#[test]
fn each_alert_has_its_page_and_each_page_its_alert() {
    let folder = file("docs/runbooks");
    let mut pages = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let page = std::fs::read_to_string(&path).expect("readable");
        for link in links(&page) {
            assert!(folder.join(link).exists(), "{stem} leads to {link}");
        }
        if stem != "README" {
            assert!(page.starts_with(&format!("# {stem}\n")), "{stem} is called otherwise");
            for part in
                ["**It means**", "**Who notices:**", "**Look**", "**Mend:**", "**It clears**"]
            {
                assert!(page.contains(part), "{stem} has no {part}");
            }
            pages.insert(stem);
        }
    }
    assert_eq!(pages, names());
    let listed = text("docs/runbooks/README.md");
    for page in pages {
        assert!(listed.contains(&format!("| [{page}]({page}.md) | ")), "{page} is not listed");
    }
}

#[test]
fn each_alert_says_how_urgent_it_is_what_it_means_and_where_its_page_is() {
    for alert in alerts() {
        let name = name(&alert);
        let severity = at(&alert, "/labels/severity").as_str().expect("text");
        assert!(["critical", "warning"].contains(&severity), "{name}: {severity}");
        for told in ["summary", "description"] {
            let told = alert["annotations"][told].as_str().unwrap_or_default();
            assert!(told.ends_with('.'), "{name}: {told}");
        }
        let page = format!("{{{{ $externalURL }}}}/user/runbooks/{name}.md");
        assert_eq!(at(&alert, "/annotations/runbook_url"), &page);
    }
}

#[test]
fn each_alert_is_tested_firing_and_silent() {
    let tests = yaml(&file("ops/prometheus/rules_test.yml")).remove(0);
    let mut seen = BTreeMap::<String, BTreeSet<bool>>::new();
    for case in list(&tests["tests"]).flat_map(|test| list(&test["alert_rule_test"])) {
        let name = case["alertname"].as_str().expect("a name").to_owned();
        seen.entry(name).or_default().insert(list(&case["exp_alerts"]).next().is_some());
    }
    for name in names() {
        let both = seen.get(&name).is_some_and(|seen| seen.len() == 2);
        assert!(both, "{name}: only {:?}", seen.get(&name));
    }
}

#[test]
fn promtool_finds_configuration_and_rules_right() {
    let folder = file("ops/prometheus");
    let promtool = |arguments: &[&str], name: &str| {
        run(Command::new("promtool").args(arguments).arg(Path::new(&folder).join(name)))
    };
    promtool(&["check", "config"], "prometheus.yml");
    promtool(&["check", "rules"], "rules.yml");
    promtool(&["test", "rules"], "rules_test.yml");
}

#[test]
fn amtool_finds_the_receivers_right_and_each_severity_has_one() {
    let config = file(RECEIVERS);
    run(Command::new("amtool").arg("check-config").arg(&config));
    for (severity, receiver) in [("critical", "page"), ("warning", "ticket")] {
        let mut routes = Command::new("amtool");
        routes.args(["config", "routes", "test", "--verify.receivers", receiver, "--config.file"]);
        run(routes.arg(&config).args([format!("severity={severity}"), "alertname=A".into()]));
    }
    let names = names();
    let held_back = yaml(&config).remove(0)["inhibit_rules"].to_string();
    let words = held_back.split(|c: char| !c.is_ascii_alphanumeric());
    for word in words.filter(|word| word.starts_with("Lobar")) {
        assert!(names.contains(word), "{word} is no alert");
    }
}

#[test]
fn prometheus_serves_the_pages_and_tells_an_alertmanager_that_the_compose_file_has() {
    let compose = yaml(&file("ops/compose/compose.yaml")).remove(0);
    let words = |pointer: &str| -> Vec<String> {
        list(at(&compose, pointer)).filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let flags = words("/services/prometheus/command");
    let assets = flags.iter().find_map(|flag| flag.strip_prefix("--web.user-assets="));
    let mount = format!("../../docs:{}:ro", assets.expect("a folder of pages"));
    assert!(words("/services/prometheus/volumes").contains(&mount));
    let external = flags.iter().find_map(|flag| flag.strip_prefix("--web.external-url=http://"));
    let port = format!("{}:9090", external.expect("its own address"));
    assert!(words("/services/prometheus/ports").contains(&port));

    let prometheus = yaml(&file("ops/prometheus/prometheus.yml")).remove(0);
    let told = at(&prometheus, "/alerting/alertmanagers/0/static_configs/0/targets/0");
    let service = told.as_str().and_then(|told| told.strip_suffix(":9093")).expect("its port");
    let service = &compose["services"][service];
    let used = text(RECEIVERS);
    for secret in list(&service["secrets"]).filter_map(Value::as_str) {
        assert!(used.contains(&format!("/run/secrets/{secret}\n")), "nobody reads {secret}");
    }
}

#[tokio::test]
async fn the_address_in_an_alert_leads_to_its_page() {
    let prometheus = Prometheus::scraping(&[("lobar-api", "http://127.0.0.1:1")]).await;
    // It waits a minute before it fires, and has its annotations meanwhile.
    let pending = async || {
        let alerts = prometheus.page("/api/v1/alerts").await.expect("answers");
        let alerts: Value = serde_json::from_str(&alerts).expect("JSON");
        let away = |alert: &&Value| alert["labels"]["alertname"] == "LobarProcessAway";
        list(&alerts["data"]["alerts"]).find(away).cloned()
    };
    prometheus.until("a process is missed", async |_| pending().await.is_some()).await;
    let alert = pending().await.expect("an alert");
    let address = at(&alert, "/annotations/runbook_url").as_str().expect("an address");
    let path = &address[address.find("/user/").expect("a page of Prometheus's own")..];
    let page = prometheus.page(path).await.expect("a page");
    assert_eq!(page, text("docs/runbooks/LobarProcessAway.md"));
}

/// Path and body of a request, which is answered.
fn taken(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(given) = header.strip_prefix("content-length: ") {
            length = given.parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok((path, String::from_utf8(body).expect("UTF-8")))
}

/// Somebody who is told: what comes by HTTP, and the address that it comes to.
fn told() -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let (send, messages) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Ok(message) = taken(&mut stream) else { continue };
            if send.send(message).is_err() {
                break;
            }
        }
    });
    (address, messages)
}

#[tokio::test]
async fn alertmanager_tells_by_severity_and_keeps_to_itself_what_another_alert_explains() {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let (address, messages) = told();
    for receiver in ["page", "ticket"] {
        let secret = folder.join(format!("alerts_{receiver}"));
        std::fs::write(secret, format!("{address}/{receiver}")).expect("written");
    }
    // Otherwise as it is, but with little patience.
    let config = text(RECEIVERS)
        .replace("/run/secrets", &folder.display().to_string())
        .replace("group_wait: 30s", "group_wait: 1s")
        .replace("group_wait: 10s", "group_wait: 1s");
    std::fs::write(folder.join("alertmanager.yml"), config).expect("written");
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = [
        format!("--config.file={}", folder.join("alertmanager.yml").display()),
        format!("--storage.path={}", folder.join("data").display()),
        format!("--web.listen-address={listen}"),
        "--cluster.listen-address=".to_owned(),
    ];
    let command: Vec<&str> = ["prometheus-alertmanager"]
        .into_iter()
        .chain(arguments.iter().map(String::as_str))
        .collect();
    let server = Server::new(folder, &command, &[]);
    server.start();

    let alert = |name: &str, severity: &str| {
        json!({
            "labels": { "alertname": name, "severity": severity },
            "annotations": { "summary": format!("{name} it is."), "runbook_url": "http://page" },
        })
    };
    let alerts = json!([
        alert("LobarNoBatch", "critical"),
        alert("LobarRoutineSlow", "critical"),
        alert("LobarWorkersAtCeiling", "warning"),
        alert("LobarRoutineSlow", "warning"),
    ]);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let mut patience = 300;
    let url = format!("http://{listen}/api/v2/alerts");
    while !http.post(&url).json(&alerts).send().await.is_ok_and(|it| it.status().is_success()) {
        patience -= 1;
        assert!(patience > 0, "Alertmanager does not answer: {}", server.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut found = BTreeSet::new();
    while found.len() < 2 {
        let message = messages.recv_timeout(Duration::from_secs(30)).expect("a message");
        assert!(message.1.contains(" it is. ") && message.1.contains("http://page"), "{message:?}");
        let names = ["LobarNoBatch it is", "LobarWorkersAtCeiling it is", "LobarRoutineSlow it is"];
        let name = names.into_iter().find(|name| message.1.contains(name)).expect("a name");
        found.insert((message.0, name));
    }
    let page = ("/page".to_owned(), "LobarNoBatch it is");
    let ticket = ("/ticket".to_owned(), "LobarWorkersAtCeiling it is");
    assert_eq!(found, BTreeSet::from([page, ticket]));
    let more = messages.recv_timeout(Duration::from_secs(3));
    assert!(more.is_err(), "the slow images are explained by the ceiling: {more:?}");
}
