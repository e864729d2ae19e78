//! The list in a real browser: its geometry, whatever is in it; the way through it by pointer, finger, keys and address; and
//! lists of thousands.

use std::collections::BTreeSet;

use fantoccini::key::Key;
use lobar_core::object::ImageId;
use lobar_core::quarantine::NO_IMAGE;
use lobar_core::study::{Attributes, Uid};
use serde_json::{Value, json};

use crate::browser::{Browser, rows};
use crate::fixture::{Fixture, blank, eventually, ready};
use crate::page::resize;

/// A site with as long a name as there may be.
const LONG: &str = "st-marys-childrens-hospital-emergency-radiology-department-east";

/// Widths and edges of the columns that are shown, heights of the rows, and what makes the page scroll sideways.
const GEOMETRY: &str = "
    const shown = (e) => e.checkVisibility();
    const heads = [...document.querySelectorAll('#columns th')].filter(shown);
    const heights = [...document.querySelectorAll('tr[data-id]')].map((row) => row.getBoundingClientRect().height);
    return {
      columns: heads.map((head) => { const { left, width } = head.getBoundingClientRect(); return [head.textContent, left, width]; }),
      heights: [...new Set(heights)],
      over: Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth),
    };";

/// Whom an image shows.
fn of(patient: &str, name: &str, accession: &str) -> Attributes {
    let mut known = Attributes::default();
    known.patient.id.id = patient.into();
    known.patient.name = Some(name.into());
    known.patient.birth_date = Some("20220110".into());
    known.patient.sex = Some("F".into());
    known.study.uid = Uid::parse(&format!("1.2.826.0.1.3680043.10.3.{patient}"));
    known.study.date = Some("20260301".into());
    known.study.time = Some("142500".into());
    known.study.accession = Some(accession.into());
    known
}

async fn list_of(fixture: &Fixture, count: usize) -> Vec<ImageId> {
    fixture.admit((0..count).map(|n| format!("incoming/north/{n}.jpg"))).await
}

/// The ids as the list has them.
async fn in_order(fixture: &Fixture, count: usize) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), String::new());
    while ids.len() < count {
        let (_, page) = fixture.get(&format!("/v1/images?limit=200{after}")).await;
        let items = page["items"].as_array().expect("a list");
        ids.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_have_one_height_and_columns_one_width_whatever_is_in_them() {
    let fixture = Fixture::open().await;
    let ids = list_of(&fixture, 5).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 5 of 5").await;
    let mut before = Vec::new();
    let sizes = [(1400, 1000), (1024, 768), (768, 1024), (390, 844)];
    for (width, height) in sizes {
        resize(&browser, width, height).await;
        before.push(browser.run(GEOMETRY).await);
    }
    resize(&browser, 1400, 1000).await;

    let name = "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine Adolph Charles";
    let long = of("7777777777777777777777777777777777777777", name, "A-1");
    fixture.finish_known(&ids[..1], &ready(0.9), Some(&long)).await;
    fixture.finish(&ids[1..2], &blank()).await;
    fixture.finish(&ids[2..3], &ready(0.1)).await;
    fixture.admit([format!("incoming/{LONG}/stat/1.jpg")]).await;
    browser.text_becomes("#news", "1 new: show").await;
    browser.click("#news").await;
    browser.text_becomes("#count", "Showing 6 of 6").await;
    browser.text_becomes(&format!("tr[data-id='{}'] .patient", ids[0]), "Wolfeschlegel").await;
    let site = format!("return document.querySelector('.cell.site').title === '{LONG}'");
    browser.becomes(&site).await;
    for ((width, height), before) in sizes.into_iter().zip(before) {
        resize(&browser, width, height).await;
        let after = browser.run(GEOMETRY).await;
        assert_eq!(after, before, "{width} × {height}");
        assert_eq!(after["over"], 0, "{width} × {height}");
        assert_eq!(after["heights"].as_array().map(Vec::len), Some(1), "{after}");
        browser.screenshot(&format!("list-{width}.png")).await;
    }
    resize(&browser, 1400, 1000).await;
    let roomy = browser.run(GEOMETRY).await["heights"][0].as_f64();
    browser.click("#density").await;
    let dense = browser.run(GEOMETRY).await;
    assert_eq!(dense["heights"].as_array().map(Vec::len), Some(1), "{dense}");
    assert!(dense["heights"][0].as_f64() < roomy);
    browser.screenshot("list-dense.png").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_or_a_click_anywhere_in_a_row_opens_its_image() {
    let fixture = Fixture::open().await;
    list_of(&fixture, 12).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 12 of 12").await;
    let touch = json!({ "enabled": true });
    browser.devtools("Emulation.setTouchEmulationEnabled", touch).await;
    resize(&browser, 768, 1024).await;
    // What has just come under a finger is not taken for what it was aimed at.
    browser
        .becomes("window.since ??= performance.now(); return performance.now() - since > 400")
        .await;
    for (row, part) in [(3, 0.05), (7, 0.5), (9, 0.97)] {
        let at = format!(
            "const row = document.querySelectorAll('tr[data-id]')[{row}]; \
             const {{ left, top, width, height }} = row.getBoundingClientRect(); \
             return [row.dataset.id, left + width * {part}, top + height / 2]"
        );
        let at = browser.run(&at).await;
        let fingers = json!([{ "x": at[1], "y": at[2] }]);
        for (kind, points) in [("touchStart", fingers), ("touchEnd", json!([]))] {
            let touch = json!({ "type": kind, "touchPoints": points });
            browser.devtools("Input.dispatchTouchEvent", touch).await;
        }
        let id = at[0].as_str().expect("an id");
        browser.becomes(&format!("return location.hash === '#/images/{id}'")).await;
        browser.press(&Key::Escape.to_string()).await;
        let back = format!(
            "return location.hash === '' && document.activeElement.closest('tr').dataset.id === '{id}'"
        );
        browser.becomes(&back).await;
    }
    // Who marks text to copy it opens nothing.
    let mark = "const box = document.querySelector('.cell.patient small'); getSelection().selectAllChildren(box); box.click(); \
        return [getSelection().toString(), location.hash]";
    assert_eq!(browser.run(mark).await, json!(["no patient is named", ""]));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_image_is_reached_from_a_deep_link_and_past_the_rows_that_are_loaded() {
    let fixture = Fixture::open().await;
    list_of(&fixture, 60).await;
    let ids = in_order(&fixture, 60).await;
    let browser = Browser::open(&fixture.url(&format!("/#/images/{}", ids[48]))).await;
    browser.text_becomes("#viewer h1", &ids[48][..8]).await;
    for next in &ids[49..53] {
        browser.press("j").await;
        browser.text_becomes("#viewer h1", &next[..8]).await;
    }
    browser.press("k").await;
    browser.text_becomes("#viewer h1", &ids[51][..8]).await;

    // From the last one, which was not loaded, and from the first one there is no further way, and the page says so.
    browser.page.goto("about:blank").await.expect("goes");
    browser.page.goto(&fixture.url(&format!("/#/images/{}", ids[59]))).await.expect("goes");
    browser.text_becomes("#viewer h1", &ids[59][..8]).await;
    browser.text_becomes("#viewer .facts", "Queued").await;
    browser.press("j").await;
    browser.text_becomes("#said", "This is the last image in the list.").await;
    browser.press("k").await;
    browser.text_becomes("#viewer h1", &ids[58][..8]).await;
    browser.press(&Key::Escape.to_string()).await;
    let there =
        format!("return document.activeElement.closest('tr')?.dataset.id === '{}'", ids[58]);
    browser.becomes(&there).await;

    // One that is not among those that the filter shows leads to its neighbours among them.
    let shown: Vec<ImageId> = [10, 30].map(|place| ids[place].parse().expect("an id")).into();
    fixture.finish(&shown, &blank()).await;
    browser.page.goto("about:blank").await.expect("goes");
    let address = format!("/?show=human#/images/{}", ids[20]);
    for (key, place) in [("j", 30), ("k", 10)] {
        browser.page.goto(&fixture.url(&address)).await.expect("goes");
        browser.text_becomes("#viewer h1", &ids[20][..8]).await;
        browser.text_becomes("#viewer .facts", "Queued").await;
        browser.press(key).await;
        browser.text_becomes("#viewer h1", &ids[place][..8]).await;
        browser.page.goto("about:blank").await.expect("goes");
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loaded_rows_and_the_place_among_them_survive_a_reload_and_an_image() {
    let fixture = Fixture::open().await;
    list_of(&fixture, 180).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 50 of 180").await;
    eventually("the end of the list loads what comes after it", async || {
        browser.run("scrollTo(0, document.body.scrollHeight)").await;
        (browser.text("#count").await == "Showing 180 of 180").then_some(())
    })
    .await;
    let first = "const row = [...document.querySelectorAll('tr[data-id]')].find((one) => one.getBoundingClientRect().top > 150); \
        return [row.dataset.id, Math.round(row.getBoundingClientRect().top)]";
    browser.run("scrollTo(0, 3000)").await;
    // The place is kept a moment after the list has moved: it is that of the first row in the window.
    browser
        .becomes(
            "const row = document.querySelector(`tr[data-id='${history.state?.list?.id}']`); \
             const { top, bottom } = row?.getBoundingClientRect() ?? {}; \
             return scrollY === 3000 && top <= 0 && bottom > 0",
        )
        .await;
    let place = browser.run(first).await;
    browser.page.refresh().await.expect("reloads");
    browser.text_becomes("#count", "Showing 180 of 180").await;
    let id = place[0].as_str().expect("an id");
    let again = format!(
        "return Math.abs(document.querySelector(\"tr[data-id='{id}']\")?.getBoundingClientRect().top - {}) < 2",
        place[1]
    );
    browser.becomes(&again).await;

    // Through an image, and a reload there.
    browser.click(&format!("tr[data-id='{id}'] .open")).await;
    browser.text_becomes("#viewer h1", &id[..8]).await;
    browser.press(&Key::Escape.to_string()).await;
    browser.becomes("return document.activeElement.matches('tr[data-id] .open')").await;
    browser.becomes(&again).await;
    // By the key: a click on what has just come under a resting pointer does nothing.
    browser.press(&Key::Enter.to_string()).await;
    browser.text_becomes("#viewer h1", &id[..8]).await;
    browser.page.refresh().await.expect("reloads");
    browser.text_becomes("#viewer h1", &id[..8]).await;
    browser.text_becomes("#viewer .facts", "Queued").await;
    browser.press(&Key::Escape.to_string()).await;
    browser.text_becomes("#count", "Showing 180 of 180").await;
    let focused = format!("return document.activeElement.closest('tr')?.dataset.id === '{id}'");
    browser.becomes(&focused).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_rows_few_have_elements_and_all_have_their_places() {
    const ROWS: usize = 10_000;
    let fixture = Fixture::open().await;
    for thousand in 0..ROWS / 1_000 {
        let keys = (0..1_000).map(|n| format!("incoming/north/{}.jpg", thousand * 1_000 + n));
        fixture.admit(keys).await;
    }
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 50 of 10,000").await;
    // As somebody has it who has gone so far down, and loads the page anew.
    let far =
        "history.replaceState({ list: { query: '', loaded: 10000, id: null, offset: 0 } }, '')";
    browser.run(far).await;
    browser.page.refresh().await.expect("reloads");
    browser.text_becomes("#count", "Showing 10,000 of 10,000").await;
    let few = "return document.querySelectorAll('tr[data-id]').length";
    let told = "return document.querySelector('#images').getAttribute('aria-rowcount')";
    assert_eq!(browser.run(told).await, "10001");
    assert!(browser.run(few).await.as_u64() < Some(200));

    // Each place is where it would be if all rows were there, and each row is told of by its number.
    let ids = in_order(&fixture, ROWS).await;
    for place in [0, 4_321, 9_999, 37] {
        let look = "const [place, id] = arguments; \
            const height = document.querySelector('tr[data-id]').getBoundingClientRect().height; \
            const top = document.querySelector('#rows').getBoundingClientRect().top + scrollY + place * height; \
            scrollTo(0, top - innerHeight / 2); \
            const row = document.querySelector(`tr[data-id='${id}']`); \
            return row && row.getAttribute('aria-rowindex') === String(place + 2) \
              && Math.abs(row.getBoundingClientRect().top + scrollY - top) < 2";
        eventually(&format!("row {place} is in its place"), async || {
            let asked = vec![json!(place), json!(ids[place])];
            (browser.page.execute(look, asked).await.expect("a script") == true).then_some(())
        })
        .await;
        assert!(browser.run(few).await.as_u64() < Some(200));
    }

    // What has the focus keeps it, however far its reader scrolls.
    browser.run("document.querySelectorAll('tr[data-id] .open')[20].focus()").await;
    let focused = browser.run("return document.activeElement.closest('tr').dataset.id").await;
    browser.run("scrollTo(0, 200000)").await;
    browser.becomes("return [...document.querySelectorAll('tr[data-id]')].some((row) => row.getAttribute('aria-rowindex') > 3000)").await;
    assert_eq!(
        browser.run("return document.activeElement.closest('tr')?.dataset.id").await,
        focused
    );

    // How it runs while results come, for whoever looks: no machine's speed is asserted.
    let finished: Vec<ImageId> = ids[..200].iter().map(|id| id.parse().expect("an id")).collect();
    let frames = "window.frames_ = []; let last = performance.now(); \
        const next = (now) => { frames_.push(now - last); last = now; scrollBy(0, 60); if (frames_.length < 120) requestAnimationFrame(next); }; \
        requestAnimationFrame(next);";
    browser.run(frames).await;
    for some in finished.chunks(20) {
        fixture.finish(some, &ready(0.1)).await;
    }
    browser.becomes("return frames_.length === 120").await;
    let times = "const sorted = frames_.toSorted((a, b) => a - b); return [sorted[60], sorted[114], sorted[119]].map(Math.round)";
    eprintln!("ms between frames, p50, p95, most: {}", browser.run(times).await);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_searched_by_id_name_and_accession_and_the_address_holds_it() {
    let fixture = Fixture::open().await;
    let ids = list_of(&fixture, 4).await;
    for (id, known) in ids.iter().zip([
        of("71", "Müller^Jana", "A-100"),
        of("72", "Doe^Jane", "A-200"),
        of("73", "Doe^John", "A-300"),
    ]) {
        fixture.finish_known(&[*id], &ready(0.1), Some(&known)).await;
    }
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 4 of 4").await;
    let row = format!("tr[data-id='{}']", ids[1]);
    browser.text_becomes(&format!("{row} .patient"), "Doe, Jane").await;
    browser.text_becomes(&format!("{row} .patient"), "ID 72 · 4 y · F").await;
    browser.text_becomes(&format!("{row} .study"), "2026-03-01 14:25").await;
    for (text, found) in [
        ("muller", &ids[..1]),
        ("doe", &ids[1..3]),
        ("Doe, Ja", &ids[1..2]),
        ("73", &ids[2..3]),
        ("A-200", &ids[1..2]),
        ("nobody", &ids[..0]),
    ] {
        browser.fill("#search", &format!("{text}{}", Key::Enter)).await;
        browser.text_becomes("#count", &format!("Showing {0} of {0}", found.len())).await;
        let expected: BTreeSet<_> = found.iter().map(ToString::to_string).collect();
        // The search before may have found as many.
        eventually(text, async || {
            let there = BTreeSet::from_iter(rows(&browser).await);
            (there == expected).then_some(())
        })
        .await;
    }
    browser.text_becomes("#empty", "No image matches this filter.").await;
    browser.page.goto(&fixture.url("/?patient=Doe")).await.expect("goes");
    browser.text_becomes("#count", "Showing 2 of 2").await;
    browser.becomes("return document.querySelector('#search').value === 'Doe'").await;
    // What arrives of somebody else is not among them, and a result of theirs is drawn in place.
    fixture.finish(&ids[3..], &ready(0.9)).await;
    list_of(&fixture, 6).await;
    browser.text_becomes("#connection", "live").await;
    assert_eq!(rows(&browser).await.len(), 2);
    browser.screenshot("list-search.png").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_dropped_anywhere_are_sent_and_nothing_in_the_list_moves() {
    let fixture = Fixture::open().await;
    list_of(&fixture, 3).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 3 of 3").await;
    browser.text_becomes("#connection", "live").await;
    let places = "return [...document.querySelectorAll('tr[data-id], #list-head, #columns th, #add, #views')].map((e) => { \
        const { left, top, width, height } = e.getBoundingClientRect(); return [left, top, width, height].join(); })";
    let before = browser.run(places).await;
    let drag = "const files = new DataTransfer(); \
        files.items.add(new File(['no picture'], 'DOE JANE.jpg')); files.items.add(new File(['Dear colleague'], 'letter.txt')); \
        window.drag = (name, on) => document.querySelector(on).dispatchEvent(new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer: files })); \
        drag('dragover', 'tr[data-id] .site')";
    browser.run(drag).await;
    browser.text_becomes("#drop-here", "Drop X-rays anywhere").await;
    browser.screenshot("drop-anywhere.png").await;
    assert_eq!(browser.run(places).await, before);
    // Somebody has the focus in the list: what comes waits behind the bar.
    browser.run("document.querySelector('tr[data-id] .open').focus({ preventScroll: true })").await;
    browser.run("drag('drop', 'tr[data-id] .site')").await;
    browser.text_becomes("#sending-words", "2 of 2 sent, 1 put aside").await;
    assert_eq!(browser.text("#drop-here").await, "");
    browser.text_becomes("#news", "1 new: show").await;
    assert_eq!(browser.run(places).await, before);

    // What by name and content is no image never comes.
    eventually("the text is put aside", async || {
        let waiting = fixture.quarantine.waiting().await.expect("answers");
        (waiting == [(NO_IMAGE.to_owned(), 1)]).then_some(())
    })
    .await;
    browser.click("#news").await;
    browser.text_becomes("#count", "Showing 4 of 4").await;

    // The dialog has the files, and gives the focus back.
    browser.click("#sending-chip").await;
    browser.text_becomes("#sending-files", "DOE JANE.jpg").await;
    browser.text_becomes("#sending-files li:last-child", "letter.txt").await;
    browser
        .text_becomes("#sending-files li:last-child", "put aside: no image by name and content")
        .await;
    browser.screenshot("upload-dialog.png").await;
    browser.press(&Key::Escape.to_string()).await;
    browser.becomes("return document.activeElement.id === 'sending-chip' && !document.querySelector('dialog[open]')").await;
    assert_eq!(browser.text("#sending-files").await, "");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_dark_until_its_reader_chooses_otherwise_and_keeps_the_choice() {
    let fixture = Fixture::open().await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#empty", "No image yet").await;
    let light = "const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number); return r + g + b > 600";
    assert_eq!(browser.run(light).await, false);
    browser.click("#theme").await;
    assert_eq!(browser.run(light).await, true);
    browser.click("#density").await;
    browser.page.refresh().await.expect("reloads");
    browser.text_becomes("#empty", "No image yet").await;
    assert_eq!(browser.run(light).await, true);
    browser.becomes("return document.documentElement.dataset.density === 'dense'").await;
    browser.text_becomes("#theme", "Dark").await;
    browser.click("#theme").await;
    browser.click("#density").await;
    assert_eq!(browser.run(light).await, false);
    assert_eq!(browser.run("return localStorage.length").await, Value::from(0));
    browser.close().await;
}
