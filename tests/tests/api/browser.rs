//! The page in a real browser: headless Chromium, driven over WebDriver.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use lobar_tests::kit::{radiograph_jpeg, workspace};
use serde_json::{Value, json};

use crate::fixture::{PATIENCE, eventually};

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

    /// What is on the screen, as PNG. The driver gives the page ten seconds for it, which a busy machine may exceed.
    pub async fn png(&self) -> Vec<u8> {
        let began = Instant::now();
        loop {
            match self.page.screenshot().await {
                Ok(png) => return png,
                Err(error) => {
                    let is_late = error.to_string().contains("Timed out receiving message");
                    assert!(is_late && began.elapsed() < PATIENCE, "a screenshot: {error}");
                }
            }
        }
    }

    /// Keeps a picture of the page for people to look at.
    pub async fn screenshot(&self, name: &str) {
        let folder = workspace().join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(name), self.png().await).expect("written");
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
