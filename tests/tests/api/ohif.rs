//! OHIF, a viewer in the browser: behind one proxy with Lobar its list of studies is what QIDO-RS finds, and from an
//! address of its own that is listed it opens images and paints the pixels that Lobar renders.

use std::path::Path;

use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use lobar_api::ViewerOrigin;
use lobar_core::study::{Attributes, Uid, Uids};
use lobar_testkit::services::{Server, free_port};
use lobar_testkit::{python_program, workspace};

use crate::browser::Browser;
use crate::fixture::{Fixture, eventually, ready};
use crate::shown::{Difference, Painted, Place};

/// OHIF's server. Ended when dropped. OHIF asks for DICOMweb at `root`.
fn serve_ohif(port: u16, lobar: &str, token: &str, root: &str) -> Server {
    let program = workspace().join(".ohif");
    assert!(program.exists(), "{} is missing: run `make test`", program.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/ohif.py");
    let (python, port) = (python_program("python3"), port.to_string());
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let command = [text(&python), text(&script), text(&program)];
    let [python, script, program] = &command;
    let folder = tempfile::tempdir().expect("a folder").keep();
    let lobar = lobar.trim_start_matches("http://");
    let server = Server::new(folder, &[python, script, program, &port, lobar, token, root], &[]);
    server.start();
    server
}

/// What is known of a film of this patient.
fn film(patient: &str, name: &str, number: &str) -> Attributes {
    let study = format!("1.2.826.0.1.3680043.10.3.{number}");
    let mut known = Attributes::default();
    known.patient.id.id = patient.into();
    known.patient.name = Some(name.into());
    known.study.date = Some(format!("2026010{number}"));
    known.study.accession = Some(format!("A-{number}"));
    known.study.uid = Uid::parse(&study);
    known.series.uid = Uid::parse(&format!("{study}.1"));
    known.series.modality = Some("CR".into());
    known.instance.uid = Uid::parse(&format!("{study}.1.1"));
    known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ohif_lists_the_studies_of_the_own_site_and_finds_a_patients() {
    let fixture = Fixture::open().await;
    let token = fixture.token("reader@north").await;
    let ids = fixture
        .admit(["north/1", "north/2", "south/3"].map(|key| format!("incoming/{key}.dcm")))
        .await;
    for (id, known) in ids.iter().zip([
        film("4711", "Mustermann^Erika", "1"),
        film("4712", "Müller^Jörg", "2"),
        film("4713", "Elsewhere^Person", "3"),
    ]) {
        fixture.finish_known(&[*id], &ready(0.9), Some(&known)).await;
    }
    let port = free_port();
    let origin = format!("http://127.0.0.1:{port}");
    let _ohif = serve_ohif(port, &fixture.base, &token, "/dicom-web");
    eventually("OHIF is served", async || fixture.http.get(&origin).send().await.ok()).await;

    let browser = Browser::open_with_graphics(&origin).await;
    for part in ["1-2 of 2", "Mustermann, Erika", "Müller, Jörg", "A-2", "02-Jan-2026", "CR"] {
        browser.text_becomes("#root", part).await;
    }
    browser.page.goto(&format!("{origin}/?mrn=4712")).await.expect("the page");
    browser.text_becomes("#root", "1-1 of 1").await;
    browser.text_becomes("#root", "Müller, Jörg").await;
    browser.screenshot("ohif-studies.png").await;
    browser.close().await;
    fixture.stop().await;
}

/// A picture that is another one when it is mirrored, turned or inverted, from 0 to 1 a pixel.
fn drawing(width: u32, height: u32) -> Vec<f32> {
    let mut pixels = Vec::with_capacity((width * height) as usize);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            let lung = ((u - 0.34) / 0.14).powi(2) + ((v - 0.5) / 0.28).powi(2) < 1.0;
            let mark = (0.6..0.72).contains(&u) && (0.25..0.4).contains(&v);
            pixels.push(match () {
                () if lung => 0.12 + 0.1 * v,
                () if mark => 0.95,
                () => 0.3 + 0.3 * u + 0.2 * v,
            });
        }
    }
    pixels
}

/// The same as the content of a JPEG file.
fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let grey: Vec<u8> = drawing(width, height).iter().map(|value| (value * 255.0) as u8).collect();
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.write_image(&grey, width, height, ExtendedColorType::L8).expect("encodes");
    bytes
}

/// The pixels of a file.
enum Pixels {
    /// 12 bits in MONOCHROME1, not compressed.
    Words(Vec<u16>),
    /// 8 bits in MONOCHROME2, a JPEG file.
    Baseline(Vec<u8>),
}

/// A file of these pixels, with a window that not all of their values lie in.
fn file(known: &Attributes, [width, height]: [u32; 2], pixels: Pixels) -> Vec<u8> {
    let uids = [&known.instance.uid, &known.study.uid, &known.series.uid];
    let [instance, study, series] = uids.map(|uid| uid.as_ref().expect("a UID").as_str());
    let is_baseline = matches!(pixels, Pixels::Baseline(_));
    let (photometric, bits, window) = match is_baseline {
        true => ("MONOCHROME2", 8, ("110", "180")),
        false => ("MONOCHROME1", 12, ("1900", "2600")),
    };
    let mut object = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.1"),
        (tags::SOP_INSTANCE_UID, VR::UI, instance),
        (tags::STUDY_INSTANCE_UID, VR::UI, study),
        (tags::SERIES_INSTANCE_UID, VR::UI, series),
        (tags::MODALITY, VR::CS, "CR"),
        (tags::PATIENT_ID, VR::LO, known.patient.id.id.as_str()),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric),
        (tags::WINDOW_CENTER, VR::DS, window.0),
        (tags::WINDOW_WIDTH, VR::DS, window.1),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, height as u16),
        (tags::COLUMNS, width as u16),
        (tags::BITS_ALLOCATED, if is_baseline { 8 } else { 16 }),
        (tags::BITS_STORED, bits),
        (tags::HIGH_BIT, bits - 1),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let syntax = match pixels {
        Pixels::Words(words) => {
            object.put(DataElement::new(
                tags::PIXEL_DATA,
                VR::OW,
                PrimitiveValue::U16(words.into()),
            ));
            uids::EXPLICIT_VR_LITTLE_ENDIAN
        }
        Pixels::Baseline(mut jpeg) => {
            jpeg.resize(jpeg.len().next_multiple_of(2), 0);
            let frame = PixelFragmentSequence::new_fragments(vec![jpeg]);
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, frame));
            uids::JPEG_BASELINE8_BIT
        }
    };
    let file = object.with_meta(FileMetaTableBuilder::new().transfer_syntax(syntax));
    let mut bytes = Vec::new();
    file.expect("a file").write_all(&mut bytes).expect("written");
    bytes
}

/// Opens a study in OHIF; what it paints comes to be what Lobar renders.
async fn opens(browser: &Browser, ohif: &str, study: &str, rendered: &image::GrayImage) -> Painted {
    let address = format!("{ohif}/viewer?StudyInstanceUIDs={study}");
    browser.page.goto(&address).await.expect("the viewer");
    eventually("OHIF paints the pixels that Lobar renders", async || {
        let painted = Painted::in_ohif(browser).await?;
        let Difference { mean, largest } = painted.differs_from(rendered);
        eprintln!("{study}: {mean:.2} grey levels in the mean, {largest:.2} at most");
        (mean <= MEAN && largest <= LARGEST).then_some(painted)
    })
    .await
}

/// By how many grey levels of 255 what OHIF paints may differ from what Lobar renders: in the mean of all cells of the
/// grid, and in each. OHIF scales the picture and rounds otherwise, and another decoder reads the JPEG.
const MEAN: f64 = 2.0;
const LARGEST: f64 = 12.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ohif_at_a_listed_address_of_its_own_paints_the_pixels_that_lobar_renders() {
    let port = free_port();
    // Another site than Lobar's 127.0.0.1.
    let ohif = format!("http://localhost:{port}");
    let listed: ViewerOrigin = ohif.parse().expect("an origin");
    let fixture = Fixture::open_with(|settings| {
        settings.viewers = vec![listed];
        settings.limits.max_bytes = 2 << 20;
    })
    .await;
    let words = drawing(640, 480).iter().map(|value| (value * 4095.0) as u16).collect();
    let baseline = Pixels::Baseline(jpeg(500, 600));
    let mut places = Vec::new();
    for (number, size, syntax, pixels) in [
        ("1", [640, 480], uids::EXPLICIT_VR_LITTLE_ENDIAN, Pixels::Words(words)),
        ("2", [500, 600], uids::JPEG_BASELINE8_BIT, baseline),
    ] {
        let mut known = film("4711", "Mustermann^Erika", number);
        known.instance.class = Uid::parse("1.2.840.10008.5.1.4.1.1.1");
        known.instance.transfer_syntax = Uid::parse(syntax);
        fixture.stored("north", &file(&known, size, pixels), &known).await;
        let uids = [&known.study.uid, &known.series.uid, &known.instance.uid];
        places.push(uids.map(|uid| uid.clone().expect("a UID")));
    }
    let id = fixture.pictured("north", &jpeg(700, 600)).await;
    let Uids { study, series, instance } = Uids::of_image(id);
    places.push([study, series, instance]);

    let token = fixture.token("reader@north").await;
    let root = fixture.url("/dicom-web");
    let _ohif = serve_ohif(port, &fixture.base, &token, &root);
    let served = format!("http://127.0.0.1:{port}");
    eventually("OHIF is served", async || fixture.http.get(&served).send().await.ok()).await;
    let browser = Browser::open_with_graphics(&ohif).await;
    for place in &places {
        let path = Place(place).rendered();
        let png = fixture.wado(&path, "image/png", Some(&token)).await;
        let rendered = image::load_from_memory(&png.body).expect("a picture").into_luma8();
        let painted = opens(&browser, &ohif, place[0].as_str(), &rendered).await;
        browser.screenshot(&format!("ohif-{}.png", rendered.width())).await;

        // Another picture is not taken for it.
        for (what, other) in [
            ("inverted", {
                let mut other = rendered.clone();
                image::imageops::invert(&mut other);
                other
            }),
            ("mirrored", image::imageops::flip_horizontal(&rendered)),
            ("upside down", image::imageops::flip_vertical(&rendered)),
        ] {
            let Difference { mean, largest } = painted.differs_from(&other);
            assert!(mean > 4.0 * MEAN && largest > 4.0 * LARGEST, "{what}: {mean} {largest}");
        }
        // Nor what OHIF paints when its reader inverts it.
        browser.run("document.querySelector('canvas.cornerstone-canvas').focus()").await;
        browser.press("i").await;
        eventually("OHIF paints it inverted", async || {
            let Difference { mean, .. } = Painted::in_ohif(&browser).await?.differs_from(&rendered);
            (mean > 4.0 * MEAN).then_some(())
        })
        .await;
    }
    browser.close().await;
    fixture.stop().await;
}
