//! The server is killed while somebody reads and others upload.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use lobar_testkit::services::free_port;
use lobar_tests::kit::{Lobar, executable, radiograph_jpeg};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::browser::{Browser, SHOW_NEWS, rows};
use crate::fixture::eventually;

const ROUNDS: u32 = 3;
/// Images that come in each round.
const EACH: u32 = 3;

fn up(listen: &str, data: &Path) -> Lobar {
    Lobar::start(&executable(), &["up", "--listen", listen], data)
}

async fn get(http: &reqwest::Client, url: &str) -> Value {
    let answer = http.get(url).send().await.expect("an answer");
    answer.json().await.expect("JSON")
}

/// Uploads a picture until that is acknowledged; its id.
async fn upload(http: reqwest::Client, page: String, seed: u32) -> String {
    eventually("an upload is acknowledged", async || {
        let request = http.post(format!("{page}/v1/images")).body(radiograph_jpeg(700, 600, seed));
        let answer = request.send().await.ok()?.error_for_status().ok()?;
        let receipt: Value = answer.json().await.ok()?;
        receipt["id"].as_str().map(str::to_owned)
    })
    .await
}

/// The ids of all images, and of those that have a result.
async fn known(http: &reqwest::Client, page: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let list = get(http, &format!("{page}/v1/images?limit=100")).await;
    let items = list["items"].as_array().expect("a list").iter();
    let of = |one: &Value| one["id"].as_str().expect("an id").to_owned();
    let ready = items.clone().filter(|one| one["status"] == "ready").map(of).collect();
    (items.map(of).collect(), ready)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_of_the_server_loses_no_verdict_and_the_page_misses_no_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let listen = format!("127.0.0.1:{}", free_port());
    let mut random = StdRng::seed_from_u64(13);
    // Another test of this process may have chosen it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let mut lobar = up(&listen, &data);
    let page = lobar.page.clone();
    let mut acknowledged = BTreeSet::from([upload(http.clone(), page.clone(), 0).await]);
    let browser = Browser::open(&page).await;
    browser.text_becomes("#connection", "live").await;
    let mut read = BTreeSet::new();
    for round in 1..=ROUNDS {
        let next = eventually("one waits for its reader", async || {
            known(&http, &page).await.1.difference(&read).next().cloned()
        });
        let id = next.await;
        browser.run(&format!("location.hash = '#/images/{id}'")).await;
        browser.text_becomes("#viewer h1", &id[..8]).await;
        browser.text_becomes(".opinion", "No verdict was given yet").await;
        browser.hold("POST", "/verdicts").await;
        browser.press("a").await;
        browser.holds(1).await;
        let coming = (0..EACH)
            .map(|number| tokio::spawn(upload(http.clone(), page.clone(), round * 100 + number)));
        let coming: Vec<_> = coming.collect();
        browser.let_go().await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..200))).await;
        lobar.kill();
        lobar = up(&listen, &data);
        for one in coming {
            acknowledged.insert(one.await.expect("no panic"));
        }

        // What the page says is kept is kept; else it says that it is not, and takes it again.
        let page_says = ".opinion [role='status'].fault";
        let url = format!("{page}/v1/images/{id}/verdicts");
        eventually("the verdict is kept, and the page says so", async || {
            if browser.text(".opinion").await.contains("agreed") {
                return Some(());
            }
            if browser.text(page_says).await.contains("was not kept") {
                browser.press("a").await;
            }
            None
        })
        .await;
        let kept = get(&http, &url).await;
        assert_eq!(kept["items"].as_array().expect("a list").len(), 1, "{kept}");
        assert_eq!(kept["items"][0]["opinion"], "agree", "{kept}");
        read.insert(id);
    }

    browser.press("\u{e00c}").await;
    browser.text_becomes("#connection", "live").await;
    // One whose acknowledgement was lost came twice, and may be admitted at any time.
    eventually("the page shows every image, without being loaded anew", async || {
        browser.run(SHOW_NEWS).await;
        let (all, _) = known(&http, &page).await;
        let shown = BTreeSet::from_iter(rows(&browser).await);
        (acknowledged.is_subset(&all) && shown == all).then_some(())
    })
    .await;
    for id in &read {
        let row = format!("tr[data-id='{id}']");
        browser.text_becomes(&row, "Verified").await;
    }
    browser.close().await;
    assert_eq!(lobar.stop(), 0);
}
