//! How smooth the list is with ten thousand rows while results arrive, and what it holds after (`docs/benchmarks.md`).

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::{Duration, Instant};

use lobar_core::object::ImageId;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::fixture::{Fixture, eventually, ready};

const ROWS: usize = 10_000;
const RESULTS_A_SECOND: usize = 100;
/// Results that are written together.
const TOGETHER: usize = 10;
/// How long results arrive, in seconds: another figure in the environment makes it an hour.
const SECONDS: &str = "LOBAR_BENCH_SECONDS";

/// When the first row of a page has come into it, in ms since the page was asked for.
const FIRST_ROW: &str = "new MutationObserver((_, self) => { \
    if (!document.querySelector('tr[data-id]')) return; \
    self.disconnect(); \
    requestAnimationFrame(() => { window.firstRow = performance.now(); }); \
}).observe(document, { childList: true, subtree: true })";

/// Goes up and down through the list, and keeps the time from each frame to the next.
const SCROLLED: &str = "window.frames_ms = []; let last = performance.now(); let by = 90; \
    const frame = (now) => { \
      window.frames_ms.push(now - last); last = now; \
      if (scrollY + innerHeight >= document.body.scrollHeight - 200) by = -90; \
      if (scrollY <= 0) by = 90; \
      scrollBy(0, by); \
      requestAnimationFrame(frame); \
    }; requestAnimationFrame(frame)";

fn at(times: &[f64], share: f64) -> f64 {
    times[((times.len() - 1) as f64 * share) as usize]
}

/// Figures of the browser's process for the page: heap in MB after garbage went, and nodes.
async fn held(browser: &Browser) -> (f64, u64) {
    browser.devtools("HeapProfiler.collectGarbage", json!({})).await;
    let metrics = browser.devtools("Performance.getMetrics", json!({})).await;
    let of = |name: &str| {
        let metrics = metrics["metrics"].as_array().expect("a list");
        let one = metrics.iter().find(|one| one["name"] == name).expect("it is told");
        one["value"].as_f64().expect("a number")
    };
    (of("JSHeapUsedSize") / 1e6, of("Nodes") as u64)
}

async fn times(browser: &Browser, script: &str) -> Vec<f64> {
    let Value::Array(times) = browser.run(script).await else { panic!("no list") };
    let mut times: Vec<f64> = times.iter().filter_map(Value::as_f64).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Finishes images at the rate, one batch after another, as long as it is told to.
async fn finish_at_the_rate(fixture: &Fixture, ids: &[ImageId], long: Duration) -> usize {
    let began = Instant::now();
    let mut every =
        tokio::time::interval(Duration::from_secs(1) * TOGETHER as u32 / RESULTS_A_SECOND as u32);
    let mut finished = 0;
    for ids in ids.chunks(TOGETHER) {
        every.tick().await;
        if began.elapsed() > long {
            break;
        }
        fixture.finish(ids, &ready(finished as f64 % 100.0 / 100.0)).await;
        finished += ids.len();
    }
    finished
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a figure of benchmarks.md, which depends on the machine"]
async fn the_list_while_results_arrive() {
    let long = std::env::var(SECONDS).map_or(60, |seconds| seconds.parse().expect("seconds"));
    let long = Duration::from_secs(long);
    let fixture = Fixture::open().await;
    let wanted = ROWS.max(long.as_secs() as usize * RESULTS_A_SECOND);
    let mut ids = Vec::new();
    for thousand in 0..wanted.div_ceil(1_000) {
        let keys = (0..1_000).map(|n| format!("incoming/north/{}.jpg", thousand * 1_000 + n));
        ids.extend(fixture.admit(keys).await);
    }
    let browser = Browser::open(&fixture.url("/")).await;
    browser.devtools("Performance.enable", json!({})).await;
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": FIRST_ROW })).await;
    let mut first = Vec::new();
    for _ in 0..9 {
        browser.page.refresh().await.expect("reloads");
        let row = eventually("the first row comes", async || {
            browser.run("return window.firstRow ?? null").await.as_f64()
        });
        first.push(row.await);
    }
    first.sort_by(f64::total_cmp);
    println!(
        "first rows: median of 9 reloads {:.0} ms, longest {:.0} ms",
        at(&first, 0.5),
        at(&first, 1.0)
    );

    let far = format!(
        "history.replaceState({{ list: {{ query: '', loaded: {ROWS}, id: null, offset: 0 }} }}, '')"
    );
    browser.run(&far).await;
    browser.page.refresh().await.expect("reloads");
    eventually("ten thousand rows", async || {
        browser.text("#count").await.starts_with("Showing 10,000 of").then_some(())
    })
    .await;
    let (heap, nodes) = held(&browser).await;
    browser.run(SCROLLED).await;
    let finished = finish_at_the_rate(&fixture, &ids, long).await;
    let frames = times(&browser, "return window.frames_ms").await;
    let (heap_after, nodes_after) = held(&browser).await;
    println!(
        "{ROWS} rows, {finished} results in {} s: {} frames, median {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, longest {:.0} ms",
        long.as_secs(),
        frames.len(),
        at(&frames, 0.5),
        at(&frames, 0.95),
        at(&frames, 0.99),
        at(&frames, 1.0)
    );
    println!(
        "heap {heap:.1} MB before, {heap_after:.1} MB after; {nodes} nodes before, {nodes_after} after"
    );
    browser.close().await;
}
