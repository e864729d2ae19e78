//! The pictures of the documents, `docs/pictures/`: made of drawn radiographs and of people who do not exist.
//!
//! `cargo test --workspace --test api -- --ignored pictures_of_the_documents` makes them anew.

use std::io::Cursor;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageEncoder as _, ImageReader};
use lobar_core::finding::Heatmap;
use lobar_core::object::ImageId;
use lobar_core::store::Outcome;
use lobar_core::study::{Attributes, Uid};
use lobar_tests::kit::workspace;
use serde_json::{Value, json};

use super::resize;
use crate::browser::Browser;
use crate::fixture::{Fixture, blank, eventually, ready};

/// Columns and rows of a drawn film.
const SIDES: (u32, u32) = (820, 900);
/// The most that a picture may weigh, in bytes.
const MOST: usize = 200_000;

/// From 0 to 1 as `x` goes from one edge to the other.
fn smooth(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A hill of height 1 at 0, `width` wide.
fn hill(x: f32, width: f32) -> f32 {
    (-(x / width).powi(2)).exp()
}

/// How bright a drawn chest is at a place, 0 to 1; `u` and `v` run from -1 to 1. With a shadow in the right lung where
/// that is asked for.
fn chest(u: f32, v: f32, shadow: f32) -> f32 {
    let side = u.abs();
    let outline = 0.24 + 0.72 * smooth(-0.98, -0.55, v);
    let body = smooth(outline + 0.02, outline - 0.06, side);
    let lung = |centre: f32, width: f32| {
        let (x, y) = ((u - centre) / width, (v + 0.08) / 0.7);
        smooth(1.05, 0.75, (x * x + y * y).sqrt())
    };
    let air = lung(-0.42, 0.34).max(lung(0.42, 0.33));
    let floor = smooth(0.42, 0.6, v - 0.16 * hill(side - 0.42, 0.3) + 0.14);
    let heart = smooth(1.1, 0.7, (((u - 0.12) / 0.34).powi(2) + ((v - 0.3) / 0.34).powi(2)).sqrt());
    let ribs: f32 = (0..10)
        .map(|n| {
            let middle = -0.66 + 0.14 * n as f32 + 0.35 * (side - 0.3).powi(2) - 0.1 * side;
            hill(v - middle, 0.02) * smooth(0.1, 0.25, side) * smooth(0.86, 0.76, side)
        })
        .sum();
    let collar = hill(v + 0.72 + 0.16 * (side - 0.1), 0.026)
        * smooth(0.08, 0.14, side)
        * smooth(0.75, 0.6, side);
    let spine = hill(u, 0.07) * (0.8 + 0.2 * (v * 34.0).sin());
    let vessels = air * hill(side - 0.2, 0.14) * hill(v - 0.05, 0.3) * 0.1;
    let ill = shadow * hill(u + 0.45, 0.17) * hill(v - 0.2, 0.18);
    let tissue =
        0.6 - 0.4 * air * (1.0 - floor) * (1.0 - 0.8 * heart) + 0.1 * heart * air + 0.06 * floor;
    body * (tissue + 0.09 * ribs + 0.12 * collar + 0.17 * spine + vessels + 0.26 * ill * air) + 0.02
}

/// A drawn film of 12 bits as a DICOM file.
fn film(uid: u32, shadow: f32) -> Vec<u8> {
    let (columns, rows) = SIDES;
    let mut object = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION),
        (tags::SOP_INSTANCE_UID, VR::UI, &*format!("1.2.826.0.1.3680043.10.9.{uid}")),
        (tags::MODALITY, VR::CS, "DX"),
        (tags::BODY_PART_EXAMINED, VR::CS, "CHEST"),
        (tags::VIEW_POSITION, VR::CS, "PA"),
        (tags::PATIENT_ORIENTATION, VR::CS, "L\\F"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        (tags::WINDOW_CENTER, VR::DS, "1700"),
        (tags::WINDOW_WIDTH, VR::DS, "3300"),
        (tags::IMAGER_PIXEL_SPACING, VR::DS, "0.3\\0.3"),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, rows as u16),
        (tags::COLUMNS, columns as u16),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let place = |n: u32, of: u32| 2.0 * n as f32 / of as f32 - 1.0;
    let at = |x, y| (chest(place(x, columns), place(y, rows), shadow) * 4_095.0) as u16;
    let pixels: Vec<u16> = (0..rows).flat_map(|y| (0..columns).map(move |x| at(x, y))).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    object.with_meta(meta).expect("a file").write_all(&mut bytes).expect("written");
    bytes
}

/// Somebody who does not exist, and their examination.
fn person(n: usize, name: &str, id: &str, born: &str, sex: &str, day: &str) -> Attributes {
    let mut known = Attributes::default();
    known.patient.id.id = id.into();
    known.patient.name = Some(name.into());
    known.patient.birth_date = Some(born.into());
    known.patient.sex = Some(sex.into());
    known.study.uid = Uid::parse(&format!("1.2.826.0.1.3680043.10.8.{n}"));
    known.study.date = Some(day.into());
    known.study.time = Some(format!("{:02}{:02}00", 8 + n % 9, n * 17 % 60));
    known.study.accession = Some(format!("A-20260{n:02}"));
    known.series.modality = Some("DX".into());
    known.instance.view_position = Some("PA".into());
    known
}

/// Flagged, with what influenced the score in the lower right lung.
fn flagged(score: f64) -> Outcome {
    let Outcome::Ready(mut finding) = ready(score) else { unreachable!("it is ready") };
    let cell = |n: u32| {
        let (x, y) = ((n % 14) as f32 / 13.0 * 2.0 - 1.0, (n / 14) as f32 / 13.0 * 2.0 - 1.0);
        hill(x + 0.45, 0.3) * hill(y - 0.2, 0.32)
    };
    finding.heatmap = Some(Heatmap { width: 14, height: 14, cells: (0..196).map(cell).collect() });
    finding.warnings.clear();
    Outcome::Ready(finding)
}

fn clear(score: f64) -> Outcome {
    let Outcome::Ready(mut finding) = ready(score) else { unreachable!("it is ready") };
    finding.warnings.clear();
    Outcome::Ready(finding)
}

/// Writes what is on the screen into the documents, as small as it gets.
async fn keep(browser: &Browser, name: &str) {
    browser.drawn().await;
    let png = browser.png().await;
    let read = ImageReader::new(Cursor::new(png)).with_guessed_format().expect("read");
    let picture = read.decode().expect("a picture").to_rgb8();
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive)
        .write_image(&picture, picture.width(), picture.height(), image::ExtendedColorType::Rgb8)
        .expect("encoded");
    let folder = workspace().join("docs/pictures");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(name), &bytes).expect("written");
    assert!(bytes.len() < MOST, "{name}: {} bytes", bytes.len());
}

/// A morning's images, the newest last. Answers one that has a prior.
async fn morning(fixture: &Fixture) -> ImageId {
    let people = [
        ("Okafor^Ada", "N-10233", "20220110", "F"),
        ("Lind^Mika", "N-10241", "20230804", "M"),
        ("Moreau^Léa", "S-20817", "20210923", "F"),
        ("Tanaka^Ren", "N-10258", "20241130", "M"),
        ("Novak^Jana", "S-20822", "20220617", "F"),
        ("Silva^Tomás", "N-10260", "20230228", "M"),
        ("Haddad^Noor", "N-10262", "20211219", "F"),
        ("Berg^Elias", "S-20830", "20240402", "M"),
        ("Kaya^Deniz", "N-10271", "20220813", "O"),
        ("Owusu^Kofi", "N-10274", "20230519", "M"),
        ("Rossi^Giulia", "S-20841", "20211105", "F"),
    ];
    let send = async |n: u32, shadow: f32, query: String| {
        let path = fixture.url(&format!("/v1/images?{query}"));
        let sent = fixture.http.post(path).body(film(n, shadow)).send().await;
        let receipt: Value = sent.expect("an answer").json().await.expect("JSON");
        let image: ImageId = receipt["id"].as_str().expect("an id").parse().expect("an id");
        eventually("it is admitted", async || fixture.store.image(image).await.expect("asked"))
            .await;
        image
    };
    // The first of them has a prior, which was not flagged.
    let (name, id, born, sex) = people[0];
    let prior = send(90, 0.0, "site=north".into()).await;
    let before = person(40, name, id, born, sex, "20251114");
    fixture.finish_known(&[prior], &clear(0.12), Some(&before)).await;
    let mut ids = Vec::new();
    for (n, (name, id, born, sex)) in people.into_iter().enumerate() {
        let site = if id.starts_with('S') { "south" } else { "north" };
        let urgent = if n % 5 == 3 { "&priority=stat" } else { "" };
        let shadow = if n % 3 == 0 { 1.0 } else { 0.0 };
        let image = send(n as u32, shadow, format!("site={site}{urgent}")).await;
        let known = person(n, name, id, born, sex, "20260301");
        match n {
            9 => {}
            4 => fixture.finish_known(&[image], &blank(), Some(&known)).await,
            _ if n % 3 == 0 => {
                fixture.finish_known(&[image], &flagged(0.62 + n as f64 * 0.03), Some(&known)).await
            }
            _ => fixture.finish_known(&[image], &clear(0.05 + n as f64 * 0.03), Some(&known)).await,
        }
        ids.push(image);
    }
    for (id, opinion) in [(ids[2], "agree"), (ids[6], "agree")] {
        let verdict = json!({ "opinion": opinion, "model_version": "test-1" });
        let path = fixture.url(&format!("/v1/images/{id}/verdicts"));
        let said = fixture.http.post(path).json(&verdict).send().await.expect("an answer");
        assert_eq!(said.status(), 201);
    }
    ids[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "makes the pictures of the documents"]
async fn pictures_of_the_documents() {
    let fixture = Fixture::open_for_films().await;
    let shown = morning(&fixture).await;
    let browser = Browser::open_with_graphics(&fixture.url("/")).await;
    resize(&browser, 1280, 640).await;
    browser.text_becomes("#count", "Showing 12 of 12").await;
    browser.text_becomes("#connection", "live").await;
    keep(&browser, "list.png").await;
    browser.click("#theme").await;
    keep(&browser, "list-light.png").await;
    browser.click("#theme").await;
    resize(&browser, 390, 760).await;
    keep(&browser, "list-narrow.png").await;

    resize(&browser, 1200, 780).await;
    browser.view(&fixture, shown).await;
    browser.text_becomes(".priors", "2025-11-14").await;
    browser.becomes("return document.querySelector('.picture').naturalWidth > 0").await;
    keep(&browser, "viewer.png").await;
    browser.press("s").await;
    browser.becomes("return document.querySelector('.twin .heat').naturalWidth === 448").await;
    keep(&browser, "heatmap.png").await;
    browser.press("s").await;
    browser.click(".priors button").await;
    browser.text_becomes(".prior figcaption", "Prior, 2025-11-14").await;
    browser.becomes("const film = document.querySelector('.prior .film'); return film !== null && !film.hidden").await;
    browser
        .run("document.querySelector('.stage').focus({ preventScroll: true }); scrollTo(0, 0)")
        .await;
    keep(&browser, "priors.png").await;
    browser.close().await;
}

#[test]
fn each_picture_of_the_documents_is_small_and_shown_in_one() {
    let root = workspace();
    let documents = std::fs::read_dir(root.join("docs")).expect("a folder");
    let pages: String = documents
        .map(|entry| entry.expect("a file").path())
        .chain([root.join("README.md")])
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .map(|path| std::fs::read_to_string(path).expect("a page"))
        .collect();
    let pictures = std::fs::read_dir(root.join("docs/pictures")).expect("a folder");
    for picture in pictures {
        let picture = picture.expect("a file");
        let name = picture.file_name().into_string().expect("a name");
        assert!(picture.metadata().expect("known").len() < MOST as u64, "{name} is too large");
        assert!(pages.contains(&format!("pictures/{name})")), "no document shows {name}");
    }
}
