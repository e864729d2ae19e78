//! The page in a real browser: headless Chromium, driven over WebDriver.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use lobar_core::model_registry::NewModel;
use lobar_tests::kit::{radiograph_jpeg, workspace};
use serde_json::{Value, json};

use crate::fixture::{Fixture, PATIENCE, blank, eventually, ready};

/// A browser with a profile of its own; ends with the test.
pub struct Browser {
    driver: Driver,
    driver_address: String,
    pub page: Client,
    profile: tempfile::TempDir,
}

/// The driver's process, and the profile by which its browser is known. When a test fails the driver ends and may leave
/// its browser behind, so that one is ended by its id.
struct Driver(Child, PathBuf);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
        let profile = format!("--user-data-dir={}", self.1.display());
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if line.split(|byte| *byte == 0).any(|word| word == profile.as_bytes()) {
                let _ = Command::new("kill").arg("-KILL").arg(process.file_name()).status();
            }
        }
    }
}

/// Whether the page may only be in the middle of something: an element is replaced, covered, or not shown yet.
fn is_passing(error: &CmdError) -> bool {
    let words = error.to_string();
    ["stale element", "click intercepted", "not interactable"].iter().any(|why| words.contains(why))
}

/// Does something to an element, again where the page was in the middle of something: nothing was done then.
async fn as_soon_as_possible(what: &str, act: impl AsyncFn() -> Result<(), CmdError>) {
    let began = Instant::now();
    while let Err(error) = act().await {
        assert!(is_passing(&error) && began.elapsed() < PATIENCE, "{what}: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A driver, what it goes on writing, and its port. It chooses a port for IPv4 and IPv6 that may be taken for one of them
/// by then, and ends: it is started again.
fn start_driver() -> (Child, Lines<BufReader<ChildStdout>>, String) {
    for _ in 0..10 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed: `make test` does it");
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let mut said = lines.by_ref().map_while(Result::ok);
        let port = said
            .find_map(|line| line.split_once("successfully on port ").map(|(_, p)| p.to_owned()));
        match port {
            Some(port) => return (driver, lines, port),
            None => drop(driver.wait()),
        }
    }
    panic!("chromedriver ended ten times before it named its port");
}

impl Browser {
    pub async fn open(address: &str) -> Self {
        Self::open_with(address, &[]).await
    }

    /// With further arguments of Chromium's.
    pub async fn open_with(address: &str, more: &[String]) -> Self {
        let without_graphics = ["--disable-gpu".to_owned()];
        Self::start(address, &[&without_graphics, more].concat()).await
    }

    /// With WebGL, drawn by the processor.
    pub async fn open_with_graphics(address: &str) -> Self {
        let drawn = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"];
        Self::start(address, &drawn.map(str::to_owned)).await
    }

    async fn start(address: &str, more: &[String]) -> Self {
        let (driver, lines, port) = start_driver();
        // It goes on writing; nobody may leave it waiting.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::TempDir::new().expect("a folder");
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=1400,1000",
            "--force-prefers-reduced-motion",
        ]
        .map(String::from)
        .into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        arguments.extend_from_slice(more);
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(options.as_object().expect("an object").clone());
        let driver_address = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
        let page = builder.connect(&driver_address).await.expect("a browser");
        let driver = Driver(driver, profile.path().to_owned());
        let browser = Self { driver, driver_address, page, profile };
        if let Ok(milliseconds) = std::env::var("SLOW_PAGE_MS") {
            browser.slow_down(milliseconds.parse().expect("a number")).await;
        }
        browser.page.goto(address).await.expect("the page");
        browser
    }

    /// Answers come so many milliseconds later, and scripts run at a quarter of their speed: what a busy machine does now
    /// and then, all the time. A test that looks at the page before it can have changed fails then, each time.
    async fn slow_down(&self, milliseconds: u32) {
        let network = json!({ "offline": false, "latency": milliseconds, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.devtools("Network.enable", json!({})).await;
        self.devtools("Network.emulateNetworkConditions", network).await;
        self.devtools("Emulation.setCPUThrottlingRate", json!({ "rate": 4 })).await;
    }

    /// A command of the DevTools protocol, for what WebDriver has no word for.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let session = self.page.session_id().await.expect("asked").expect("a session");
        let url = format!("{}/session/{session}/goog/cdp/execute", self.driver_address);
        let body = json!({ "cmd": command, "params": parameters });
        let answer = reqwest::Client::new().post(url).json(&body).send().await.expect("an answer");
        let mut said: Value = answer.json().await.expect("JSON");
        assert!(said["value"]["error"].is_null(), "{command}: {said}");
        said["value"].take()
    }

    /// What the browser has written into its profile by now, file by file.
    pub fn kept(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut kept = Vec::new();
        let mut folders = vec![self.profile.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let kind = entry.file_type().expect("a kind");
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    kept.extend(std::fs::read(entry.path()).map(|bytes| (entry.path(), bytes)));
                }
            }
        }
        kept
    }

    /// The text of the first element that matches; empty when there is none or it is hidden.
    pub async fn text(&self, css: &str) -> String {
        let script = "const e = document.querySelector(arguments[0]); \
            return e && e.checkVisibility() ? e.innerText : ''";
        let text = self.page.execute(script, vec![json!(css)]).await.expect("a script");
        text.as_str().expect("text").to_owned()
    }

    pub async fn run(&self, script: &str) -> Value {
        self.page.execute(script, Vec::new()).await.expect("a script")
    }

    pub async fn text_becomes(&self, css: &str, part: &str) {
        let began = Instant::now();
        loop {
            let text = self.text(css).await;
            if text.contains(part) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{css} says {text:?}, not {part:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether a script comes to say true.
    pub async fn becomes(&self, script: &str) {
        eventually(script, async || (self.run(script).await == true).then_some(())).await;
    }

    /// Waits until the picture of the open image, 700 pixels wide, is painted; it counts as seen only then.
    pub async fn shows_its_picture(&self) {
        let painted = "return document.querySelector('.picture').naturalWidth === 700 \
            && performance.getEntriesByName('image painted').length > 0";
        self.becomes(painted).await;
    }

    /// The same of its heatmap.
    pub async fn shows_its_heatmap(&self) {
        let painted = "return document.querySelector('.heat').naturalWidth === 448 \
            && performance.getEntriesByName('heatmap painted').length > 0";
        self.becomes(painted).await;
    }

    /// Clicks on the first element that matches, as soon as it can be clicked on: on the next one, where it is replaced in
    /// the middle of that, and once nothing lies over it any more. Again, as people do, where the page took no notice of it
    /// because something had just come under the pointer (pointer.js).
    pub async fn click(&self, css: &str) {
        let began = Instant::now();
        loop {
            self.run("window.unnoticed = true; document.addEventListener('click', () => { window.unnoticed = false; }, true)").await;
            as_soon_as_possible(css, async || self.element(css).await?.click().await).await;
            // It may have led to another page.
            let unnoticed = self.page.execute("return window.unnoticed === true", Vec::new()).await;
            if !unnoticed.is_ok_and(|unnoticed| unnoticed == true) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{css} takes no click");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Types into the first field that matches, in the place of what is there, as soon as it takes letters.
    pub async fn fill(&self, css: &str, text: &str) {
        as_soon_as_possible(css, async || {
            self.element(css).await?.clear().await?;
            self.element(css).await?.send_keys(text).await
        })
        .await;
    }

    async fn element(&self, css: &str) -> Result<Element, CmdError> {
        self.page.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await
    }

    /// Has every request of a method whose path ends so wait in the page until `let_go`.
    pub async fn hold(&self, method: &str, end: &str) {
        let script = "const [method, end] = arguments; const real = window.fetch; \
            const go = new Promise((go) => { window.letGo = go; }); \
            window.holding = 0; \
            window.fetch = async (path, options) => { \
                if ((options?.method ?? 'GET') === method && String(path).endsWith(end)) { \
                    window.holding += 1; await go; \
                } \
                return real(path, options); };";
        self.page.execute(script, vec![json!(method), json!(end)]).await.expect("a script");
    }

    /// Waits until the page has made so many requests that are held.
    pub async fn holds(&self, many: usize) {
        self.becomes(&format!("return window.holding === {many}")).await;
    }

    /// What was held goes on its way, and what comes after it at once.
    pub async fn let_go(&self) {
        self.run("window.letGo()").await;
    }

    pub async fn press(&self, keys: &str) {
        as_soon_as_possible(keys, async || self.page.active_element().await?.send_keys(keys).await)
            .await;
    }

    /// Chooses files as the user's file dialog would.
    pub async fn choose(&self, files: &[PathBuf]) {
        let paths: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        let (input, paths) = ("#files", paths.join("\n"));
        as_soon_as_possible(input, async || self.element(input).await?.send_keys(&paths).await)
            .await;
    }

    /// Keeps a picture of the page for people to look at.
    pub async fn screenshot(&self, name: &str) {
        let folder = workspace().join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        let png = self.page.screenshot().await.expect("a screenshot");
        std::fs::write(folder.join(name), png).expect("written");
    }

    pub async fn close(self) {
        let Self { driver, page, profile, .. } = self;
        page.close().await.expect("it closes");
        drop(driver);
        drop(profile);
    }
}

pub fn file(folder: &Path, name: &str, seed: u32) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, radiograph_jpeg(700, 600, seed)).expect("written");
    path
}

/// Shows what waits, if anything does: in one step, since the page may show it by itself at any time.
pub const SHOW_NEWS: &str =
    "const news = document.querySelector('#news'); if (!news.hidden) news.click()";

/// The ids of the rows, from the top.
pub async fn rows(browser: &Browser) -> Vec<String> {
    let script = "return [...document.querySelectorAll('tr[data-id]')].map((r) => r.dataset.id)";
    let ids = browser.run(script).await;
    ids.as_array().expect("a list").iter().map(|id| id.as_str().expect("text").into()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_on_the_page_turns_live_opens_and_shows_its_heatmap_on_request() {
    let fixture = Fixture::open().await;
    let files = tempfile::TempDir::new().expect("a folder");
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#connection", "live").await;
    browser.text_becomes("#empty", "No image yet").await;

    browser.choose(&[file(files.path(), "DOE JOHN.jpg", 1)]).await;
    browser.text_becomes("tr[data-id]", "Queued").await;
    browser.text_becomes("#sending-words", "1 of 1 sent").await;
    browser.text_becomes("#count", "Showing 1 of 1").await;
    let id = rows(&browser).await.remove(0);

    fixture.finish(&[id.parse().expect("an id")], &ready(0.93)).await;
    browser.text_becomes("tr[data-id]", "Suspected pneumonia").await;
    browser.text_becomes("tr[data-id]", "above the threshold").await;
    browser.screenshot("worklist.png").await;

    browser.click("tr[data-id] .open").await;
    browser.text_becomes("#viewer .facts", "Suspected pneumonia").await;
    browser.text_becomes("#viewer .facts", "Decision support for research").await;
    browser.text_becomes("#viewer h1", "DOE JOHN.jpg").await;
    browser.shows_its_picture().await;
    assert_eq!(browser.run("return document.querySelector('.heat').hidden").await, true);
    browser.press("h").await;
    browser.shows_its_heatmap().await;
    browser.text_becomes(".legend", "influenced the score, not a lesion outline").await;
    let covered = "const a = document.querySelector('.heat').getBoundingClientRect(); \
        const b = document.querySelector('.picture').getBoundingClientRect(); \
        return Math.abs(a.width - b.width) < 1 && Math.abs(a.height - b.height) < 1";
    browser.becomes(covered).await;
    browser.screenshot("viewer.png").await;
    browser.press("h").await;
    browser.becomes("return document.querySelector('.heat').hidden").await;

    // A verdict, by its key, then by its button, with the picture before one's eyes.
    browser.text_becomes(".opinion", "No verdict was given yet").await;
    browser.press("d").await;
    browser.text_becomes(".opinion", "labelled: no pneumonia").await;
    assert!(!browser.text(".opinion").await.contains("nothing is learnt"), "it was painted");
    let pressed = "return document.querySelector('.opinion [data-key=d]').ariaPressed === 'true'";
    browser.becomes(pressed).await;
    browser.click(".opinion [data-key=a]").await;
    browser.text_becomes(".opinion", "agreed: pneumonia").await;
    let said = fixture.verdicts.of(id.parse().expect("an id")).await.expect("asked");
    assert_eq!(said.len(), 2);
    assert_eq!(said[0].verdict.displayed, ["picture"]);
    let rendering = said[0].verdict.rendering.as_deref().expect("it was painted");
    assert!(rendering.ends_with(&id.replace('-', "")), "{rendering}");
    assert_eq!(fixture.verdicts.labelled(None, 10).await.expect("asked").len(), 1);

    // After a reload the same image is open; its file's name was this page's memory alone.
    browser.page.refresh().await.expect("reloads");
    browser.text_becomes("#viewer .facts", "Suspected pneumonia").await;
    assert!(!browser.run("return document.body.innerText").await.to_string().contains("DOE"));
    browser.press(&Key::Escape.to_string()).await;
    browser.text_becomes("tr[data-id]", "Suspected pneumonia").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_keep_their_places_and_what_is_new_waits_until_it_is_asked_for() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit((0..3).map(|n| format!("incoming/north/{n}.jpg"))).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 3 of 3").await;
    let before = rows(&browser).await;

    fixture.admit(["incoming/south/new.jpg".to_owned()]).await;
    fixture.finish(&ids[..1], &ready(0.1)).await;
    fixture.finish(&ids[1..2], &blank()).await;
    let row = |n: usize| format!("tr[data-id='{}']", ids[n]);
    browser.text_becomes(&row(0), "Not flagged").await;
    browser
        .text_becomes(&row(1), "Not assessed: The image is blank. A person must look at it.")
        .await;
    browser.text_becomes("#news", "1 new: show").await;
    browser.text_becomes("#count", "Showing 3 of 4").await;
    assert_eq!(rows(&browser).await, before);

    browser.click("#news").await;
    browser.text_becomes("#count", "Showing 4 of 4").await;
    assert_eq!(rows(&browser).await[1..], before);
    browser.becomes("return document.querySelector('#news').hidden").await;

    // A filter stands in the address and survives a reload.
    browser.click("#views a:nth-child(3)").await;
    browser.text_becomes("#count", "Showing 1 of 1").await;
    browser.page.refresh().await.expect("reloads");
    browser.text_becomes("#count", "Showing 1 of 1").await;
    let words = browser.run("return document.body.innerText.toLowerCase()").await.to_string();
    assert!(!words.contains("normal"), "{words}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_cannot_be_read_is_shown_as_needing_a_human_wherever_it_is_listed() {
    let fixture = Fixture::open().await;
    let ids = fixture.admit((0..2).map(|n| format!("incoming/north/{n}.jpg"))).await;
    fixture.finish(&ids, &ready(0.1)).await;
    fixture
        .damage("update finding set body = '[]' where image = (select id from image where key like '%/0.jpg')")
        .await;
    let words = "Not assessed: The stored result cannot be read. A person must look at it.";
    let browser = Browser::open(&fixture.url("/")).await;
    let row = format!("tr[data-id='{}']", ids[0]);
    browser.text_becomes("#count", "Showing 2 of 2").await;
    browser.text_becomes(&row, words).await;
    browser.text_becomes(&format!("tr[data-id='{}']", ids[1]), "Not flagged").await;
    // Among those that were not flagged, where its result put it. The rows are drawn anew, and look the same.
    browser.run("document.querySelector('tr[data-id]').dataset.before = 'yes'").await;
    browser.click("#views a:nth-child(5)").await;
    browser.becomes("return document.querySelector('tr[data-before]') === null").await;
    browser.text_becomes("#count", "Showing 2 of 2").await;
    browser.text_becomes(&row, words).await;
    browser.click(&format!("{row} .open")).await;
    browser.text_becomes("#viewer .facts", words).await;
    let facts = browser.text("#viewer .facts").await;
    assert!(!facts.contains("Not flagged") && !facts.contains("%"), "{facts}");
    // A person says what is there, without having seen a result.
    browser.press("p").await;
    browser.text_becomes(".opinion", "labelled: pneumonia").await;
    browser.close().await;
}

/// Stands for a network that does something to the pictures, in a page that is open.
const SPOILT: &str = "const real = window.fetch; \
    window.fetch = async (path, options) => String(path).endsWith('/picture') ? await arguments_(real, path, options) : real(path, options);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_given_while_no_picture_was_painted_says_so_and_is_no_label() {
    let fixture = Fixture::open().await;
    // Nobody stored their objects: of the first the server answers that there is no picture.
    let ids = fixture.admit((0..3).map(|n| format!("incoming/north/{n}.jpg"))).await;
    fixture.finish(&ids, &ready(0.9)).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 3 of 3").await;
    let garbage = "async () => new Response('no PNG', { headers: { etag: '\"drawing1-1600-00000000000000000000000000000000\"' } })";
    for (id, network, words) in [
        (
            ids[0],
            "(real, path, options) => real(path, options)",
            "There is no picture of this image",
        ),
        (ids[1], garbage, "What arrived is no picture that can be shown."),
        (ids[2], "() => new Promise(() => {})", "Loading the picture"),
    ] {
        browser.run(&SPOILT.replace("arguments_", &format!("({network})"))).await;
        browser.click(&format!("tr[data-id='{id}'] .open")).await;
        browser.text_becomes(".opinion", "No verdict was given yet").await;
        browser.text_becomes(".stage", words).await;
        browser.press("d").await;
        browser.text_becomes(".opinion", "labelled: no pneumonia").await;
        browser.text_becomes(".opinion", "nothing is learnt from it").await;
        let said = fixture.verdicts.of(id).await.expect("asked").remove(0).verdict;
        assert_eq!(
            (said.displayed.as_slice(), said.rendering),
            (&[] as &[String], None),
            "{words}"
        );
        browser.page.refresh().await.expect("reloads");
        browser.text_becomes(".opinion", "nothing is learnt from it").await;
        browser.press(&Key::Escape.to_string()).await;
        browser.text_becomes("#count", "Showing 3 of 3").await;
    }
    assert_eq!(fixture.verdicts.labelled(None, 10).await.expect("asked"), []);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_score_is_shown_as_its_place_and_never_as_a_probability() {
    let fixture = Fixture::open().await;
    let validation = json!({ "images": 607, "specificity": 0.9870967741935484,
        "specificity_at_half": 0.9419354838709677,
        "confusion": { "true_negative": 153, "false_positive": 2, "true_positive": 430, "false_negative": 22 } });
    let model = NewModel {
        version: "test-1".into(),
        key: "test-1/a.safetensors".into(),
        sha256: "ab".repeat(32),
        bytes: 1_000,
        card: json!({ "version": "test-1", "threshold": 0.4, "validation": validation }),
    };
    fixture.models.register(&model, "ada").await.expect("registered");
    let ids = fixture.admit((0..2).map(|n| format!("incoming/north/{n}.jpg"))).await;
    fixture.finish(&ids[..1], &ready(0.78)).await;
    fixture.finish(&ids[1..], &ready(0.2)).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 2 of 2").await;
    let words = browser.text("#rows").await;
    assert!(words.contains("above the threshold") && words.contains("below the threshold"));
    assert!(!words.contains('%') && !words.contains("78"), "{words}");
    browser.screenshot("scores.png").await;
    browser.click(&format!("tr[data-id='{}'] .open", ids[0])).await;
    let standing = "higher than at least 98\u{a0}% of 155 normal validation images";
    browser.text_becomes("#viewer .facts", standing).await;
    let validated = "0.400; on 607 validation images, from where the model was trained: \
        sensitivity 0.951, specificity 0.987; other places may differ";
    browser.text_becomes("#viewer .facts", validated).await;
    browser.screenshot("viewer-without-picture.png").await;
    let facts = browser.text("#viewer .facts").await;
    assert_eq!(facts.matches('%').count(), 1, "{facts}");
    assert!(!facts.to_lowercase().contains("calibrated"), "{facts}");
    browser.press("j").await;
    browser.text_becomes("#viewer .facts", "below the threshold").await;
    let facts = browser.text("#viewer .facts").await;
    assert!(
        !facts.contains('%') && !facts.contains("higher than"),
        "the card does not tell: {facts}"
    );
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_without_its_server_says_so_and_looks_stale() {
    let fixture = Fixture::open().await;
    fixture.admit(["incoming/north/0.jpg".to_owned()]).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#connection", "live").await;
    fixture.stop().await;
    browser.text_becomes("#connection", "stale since").await;
    browser.text_becomes("#stale", "may be out of date").await;
    browser.screenshot("stale.png").await;
    browser.text_becomes("tr[data-id]", "Queued").await;
    browser.close().await;
}
