//! A click opens the image that it was aimed at, whatever arrives meanwhile, or nothing.

use fantoccini::actions::{InputSource as _, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use lobar_core::object::ImageId;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

use crate::browser::{Browser, rows};
use crate::fixture::{Fixture, blank, eventually, ready};

/// Counts the clicks that the page stopped, and finds rows to aim at.
const SET_UP: &str = "
    window.stopped = 0;
    const prevent = Event.prototype.preventDefault;
    Event.prototype.preventDefault = function () {
      if (this.type === 'click') window.stopped += 1;
      return prevent.call(this);
    };
    window.visible = () => [...document.querySelectorAll('tr[data-id]')].flatMap((row) => {
      const box = row.querySelector('.open').getBoundingClientRect();
      const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
      const there = document.elementFromPoint(x, y)?.closest('tr');
      return there === row ? [{ id: row.dataset.id, x, y }] : [];
    });
    window.places = () => Object.fromEntries([...document.querySelectorAll('tr[data-id]')].map((row) => {
      const { left, top, width, height } = row.getBoundingClientRect();
      return [row.dataset.id, [left, top + scrollY, width, height].join()];
    }));
    window.opened = () => location.hash.split('/')[2] ?? null;
    window.back = () => {
      history.replaceState(null, '', location.pathname);
      dispatchEvent(new PopStateEvent('popstate'));
      document.activeElement?.blur();
    };";

/// What came of the clicks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counters {
    clicks: usize,
    opened_the_one_aimed_at: usize,
    opened_another: usize,
    ignored: usize,
    arrived: usize,
    finished: usize,
    rows_moved_under_a_pointer: usize,
}

/// Somebody who reads the list while images arrive.
struct Reader<'a> {
    fixture: &'a Fixture,
    browser: Browser,
    random: StdRng,
    unfinished: Vec<ImageId>,
    last: String,
    said: Counters,
}

impl<'a> Reader<'a> {
    async fn open(fixture: &'a Fixture, shown: usize, seed: u64) -> Self {
        let keys = (0..shown).map(|n| format!("incoming/north/{n}.jpg"));
        let unfinished = fixture.admit(keys).await;
        let browser = Browser::open(&fixture.url("/")).await;
        browser.text_becomes("#connection", "live").await;
        browser.text_becomes("#count", &format!("Showing {}", shown.min(50))).await;
        browser.run(SET_UP).await;
        let (random, last) = (StdRng::seed_from_u64(seed), String::new());
        Self { fixture, browser, random, unfinished, last, said: Counters::default() }
    }

    /// Lets some images arrive and some come to their ends, in whatever way makes a row change most.
    async fn happen(&mut self, arriving: usize) {
        let first = self.said.arrived;
        let keys = (first..first + arriving).map(|n| format!("incoming/s{}/new-{n}.jpg", n % 7));
        self.unfinished.extend(self.fixture.admit(keys).await);
        self.said.arrived += arriving;
        for _ in 0..self.random.random_range(0..4) {
            if self.unfinished.is_empty() {
                break;
            }
            let id =
                self.unfinished.swap_remove(self.random.random_range(0..self.unfinished.len()));
            let outcome = if self.random.random() { ready(self.random.random()) } else { blank() };
            self.fixture.finish(&[id], &outcome).await;
            self.said.finished += 1;
        }
    }

    /// A row that can be seen, other than the last one, and where its link is.
    async fn aim(&mut self) -> (String, f64, f64) {
        let seen = self.browser.run("return visible()").await;
        let seen: Vec<&Value> = seen
            .as_array()
            .expect("a list")
            .iter()
            .filter(|row| row["id"] != self.last.as_str())
            .collect();
        let row = seen[self.random.random_range(0..seen.len())];
        let number = |name: &str| row[name].as_f64().expect("a number");
        self.last = row["id"].as_str().expect("text").to_owned();
        (self.last.clone(), number("x"), number("y"))
    }

    async fn act(&self, actions: impl IntoIterator<Item = PointerAction>) {
        let mouse = MouseActions::new("mouse".into());
        let mouse = actions.into_iter().fold(mouse, MouseActions::then);
        self.browser.page.perform_actions(mouse).await.expect("acted");
    }

    /// Which image is open, once a click was either taken or stopped.
    async fn outcome(&self) -> Option<String> {
        let script = "const id = opened(); const done = id !== null || stopped > 0; \
            stopped = 0; if (id) back(); return done ? [id] : null";
        eventually("the click has come to something", async || {
            let said = self.browser.run(script).await;
            said.get(0).map(|id| id.as_str().map(str::to_owned))
        })
        .await
    }

    async fn judge(&mut self, aimed: &str) -> bool {
        let opened = self.outcome().await;
        self.said.clicks += 1;
        match &opened {
            None => self.said.ignored += 1,
            Some(id) if id == aimed => self.said.opened_the_one_aimed_at += 1,
            Some(_) => self.said.opened_another += 1,
        }
        opened.is_some()
    }

    /// Goes to a row and clicks at once.
    async fn click_at_once(&mut self, arriving: usize) {
        let (aimed, x, y) = self.aim().await;
        self.happen(arriving).await;
        self.act([to(x, y), DOWN, UP]).await;
        assert!(self.judge(&aimed).await, "a quick deliberate click is taken");
    }

    /// Goes to a row, rests there while images arrive, and clicks without moving.
    async fn click_after_a_rest(&mut self, arriving: usize) {
        let (aimed, x, y) = self.aim().await;
        self.act([to(x, y)]).await;
        let before = self.browser.run("return places()").await;
        self.happen(arriving).await;
        if arriving > 0 {
            // Wherever the list shows that it has heard of them.
            let heard = "const n = Number(document.querySelector('#count').textContent.split(' of ')[1]?.replaceAll(',', '')); return n";
            let total = self.fixture.get("/v1/images?limit=1").await.1["total"].as_f64();
            eventually("the page has heard of them", async || {
                (self.browser.run(heard).await.as_f64() >= total).then_some(())
            })
            .await;
        }
        let after = self.browser.run("return places()").await;
        self.said.rows_moved_under_a_pointer += differences(&before, &after);
        self.act([DOWN, UP]).await;
        self.judge(&aimed).await;
    }

    /// Asks for what is new, as the bar offers.
    async fn show_news(&mut self) {
        let place = "const box = document.querySelector('#news').getBoundingClientRect(); \
            return box.width ? [box.left + box.width / 2, box.top + box.height / 2] : null";
        let place = self.browser.run(place).await;
        if let (Some(x), Some(y)) = (place[0].as_f64(), place[1].as_f64()) {
            self.act([to(x, y), DOWN, UP]).await;
            self.browser.becomes("return document.querySelector('#news').hidden").await;
            self.browser.run("stopped = 0").await;
        }
    }
}

const DOWN: PointerAction = PointerAction::Down { button: MOUSE_BUTTON_LEFT };
const UP: PointerAction = PointerAction::Up { button: MOUSE_BUTTON_LEFT };

fn to(x: f64, y: f64) -> PointerAction {
    PointerAction::MoveTo { duration: None, x, y }
}

/// Rows that stand elsewhere, or have another size, or are there or not.
fn differences(before: &Value, after: &Value) -> usize {
    let (before, after) = (before.as_object().expect("rows"), after.as_object().expect("rows"));
    let changed = before.iter().filter(|(id, place)| after.get(*id) != Some(place)).count();
    changed + after.keys().filter(|id| !before.contains_key(*id)).count()
}

/// `clicks` clicks, half of them at once and half after a rest, while `arriving` images come.
async fn read_on(clicks: usize, arriving: usize, seed: u64) -> Counters {
    let fixture = Fixture::open().await;
    let mut reader = Reader::open(&fixture, 60, seed).await;
    for click in 0..clicks {
        let left = arriving - reader.said.arrived;
        let burst = reader.random.random_range(0..4);
        let share = (left * 2).div_ceil(clicks - click);
        let now = burst.min(left).min(share).max(if click + 1 == clicks { left } else { 0 });
        if reader.random.random() {
            reader.click_at_once(now).await;
        } else {
            reader.click_after_a_rest(now).await;
        }
        if reader.random.random_ratio(1, 20) {
            reader.show_news().await;
        }
    }
    let Reader { browser, said, .. } = reader;
    browser.close().await;
    eprintln!("{said:?}");
    said
}

fn check(said: &Counters, clicks: usize, arriving: usize) {
    assert_eq!((said.clicks, said.arrived), (clicks, arriving), "{said:?}");
    assert_eq!((said.opened_another, said.rows_moved_under_a_pointer), (0, 0), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_images_arrive_no_click_opens_another_one_and_no_row_moves_under_a_pointer() {
    check(&read_on(60, 60, 7).await, 60, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: a thousand clicks of a real pointer"]
async fn of_a_thousand_clicks_while_500_images_arrive_none_opens_another_one() {
    check(&read_on(1_000, 500, 11).await, 1_000, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_on_what_has_just_come_under_a_resting_pointer_does_nothing() {
    let fixture = Fixture::open().await;
    let mut reader = Reader::open(&fixture, 20, 3).await;
    // Whatever it is that moves the list by a row, and back, all the time.
    let restless = "const [first, second] = document.querySelectorAll('tr[data-id]'); \
        const row = second.getBoundingClientRect().top - first.getBoundingClientRect().top; \
        window.shift = () => { const { style } = document.querySelector('#table'); \
            style.marginTop = style.marginTop ? '' : `${row}px`; }; \
        shift(); window.restless = setInterval(shift, 40); \
        addEventListener('pointerup', shift, true);"; // also where the machine is too busy for timers
    let (_, x, y) = reader.aim().await;
    reader.act([to(x, y)]).await;
    reader.browser.run(restless).await;
    eventually("five clicks were stopped, and none was taken", async || {
        // Some are let go on another row than they were pressed on, and are none.
        reader.act([DOWN, UP]).await;
        assert_eq!(reader.browser.run("return opened()").await, Value::Null);
        (reader.browser.run("return stopped >= 5").await == true).then_some(())
    })
    .await;
    // Once it stands still, the same click is taken.
    reader
        .browser
        .run("clearInterval(restless); removeEventListener('pointerup', shift, true); window.since = performance.now(); stopped = 0")
        .await;
    reader.browser.becomes("return performance.now() - since > 400").await;
    reader.act([DOWN, UP]).await;
    assert!(reader.outcome().await.is_some());
    // It moves once more, and a pointer that then moves to a row has seen that.
    reader.browser.run("shift()").await;
    let (aimed, x, y) = reader.aim().await;
    reader.act([to(x, y), DOWN, UP]).await;
    assert_eq!(reader.outcome().await, Some(aimed));
    reader.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_appears_above_the_list_or_beside_it_takes_no_room_from_it() {
    let fixture = Fixture::open().await;
    let reader = Reader::open(&fixture, 8, 5).await;
    let browser = &reader.browser;
    let before = browser.run("return places()").await;
    let files = tempfile::TempDir::new().expect("a folder");
    let mut chosen = Vec::new();
    for n in 0..9 {
        let file =
            files.path().join(format!("a rather long name of a file of somebody, number {n}.jpg"));
        std::fs::write(&file, format!("no image {n}")).expect("written");
        chosen.push(file);
    }
    // Somebody has the focus in the list, so that the uploads wait behind the bar.
    browser.run("document.querySelector('tr[data-id] .open').focus({ preventScroll: true })").await;
    browser.choose(&chosen).await;
    browser.run("document.querySelector('tr[data-id] .open').focus({ preventScroll: true })").await;
    browser.text_becomes("#sending-words", "9 of 9 sent").await;
    browser.text_becomes("#news", "9 new: show").await;
    browser.screenshot("uploads.png").await;
    assert_eq!(rows(browser).await.len(), 8);
    let shown: Vec<ImageId> = reader.unfinished.clone();
    fixture.finish(&shown[..4], &ready(0.99)).await;
    fixture.finish(&shown[4..], &blank()).await;
    for id in &shown[..4] {
        browser.text_becomes(&format!("tr[data-id='{id}']"), "Suspected pneumonia").await;
    }
    for id in &shown[4..] {
        browser.text_becomes(&format!("tr[data-id='{id}']"), "Not assessed").await;
    }
    assert_eq!(differences(&before, &browser.run("return places()").await), 0);
    browser.screenshot("rows.png").await;
    let Reader { browser, .. } = reader;
    fixture.stop().await;
    browser.text_becomes("#stale", "may be out of date").await;
    assert_eq!(differences(&before, &browser.run("return places()").await), 0);
    browser.screenshot("stale-over-the-list.png").await;
    browser.close().await;
}
