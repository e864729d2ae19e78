//! WADO-RS: rendered pictures and thumbnails of studies, series, instances and frames.

use dicom_core::value::{PixelFragmentSequence, Value};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use lobar_core::audit::{Action, Cursor, Filter};
use lobar_core::study::Uids;
use lobar_imaging::{Format, Limits, sniff};
use lobar_tests::kit::radiograph_jpeg;

use crate::fixture::{Fixture, eventually};
use crate::wado::{FILM, Place, compressed, file, film, grey, image, of, opened, path};

const EXPLICIT: &str = uids::EXPLICIT_VR_LITTLE_ENDIAN;
const PNGS: &str = "multipart/related; type=\"image/png\"";

/// Size and grey values of a picture.
fn seen(picture: &[u8]) -> ((u32, u32), Vec<u8>) {
    let read = lobar_imaging::decode(picture, &Limits::default()).expect("a picture");
    ((read.width, read.height), read.pixels)
}

/// PS3.3, C.11.2.1.2.1, of black 0 and white 255.
fn linear(value: f64, center: f64, width: f64) -> f64 {
    let (low, high) = (center - 0.5 - (width - 1.0) / 2.0, center - 0.5 + (width - 1.0) / 2.0);
    if value <= low {
        0.0
    } else if value > high {
        255.0
    } else {
        ((value - (center - 0.5)) / (width - 1.0) + 0.5) * 255.0
    }
}

fn exact(value: f64, center: f64, width: f64) -> f64 {
    (((value - center) / width + 0.5) * 255.0).clamp(0.0, 255.0)
}

fn sigmoid(value: f64, center: f64, width: f64) -> f64 {
    255.0 / (1.0 + (-4.0 * (value - center) / width).exp())
}

impl Fixture {
    async fn rendered(&self, query: &str) -> ((u32, u32), Vec<u8>) {
        let address = format!("{}/rendered{query}", path(FILM));
        let answer = self.wado(&address, "image/png", None).await;
        assert_eq!((answer.status, answer.kind.as_str()), (200, "image/png"), "{query}");
        seen(&answer.body)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_is_of_the_values_after_the_modality_lookup_table_whatever_the_file_s_own() {
    let fixture = Fixture::open().await;
    let mut object = image(FILM);
    // Values from -1,000 to 5,998, low ones bright, and a window of its own.
    for (tag, vr, value) in [
        (tags::RESCALE_SLOPE, VR::DS, "2"),
        (tags::RESCALE_INTERCEPT, VR::DS, "-1000"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1"),
        (tags::WINDOW_CENTER, VR::DS, "300"),
        (tags::WINDOW_WIDTH, VR::DS, "500"),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    fixture.stored("north", &file(object, EXPLICIT), &of(FILM, EXPLICIT)).await;
    type Formula = fn(f64, f64, f64) -> f64;
    for (function, formula, center, width) in [
        ("linear", linear as Formula, 2_000.0, 4_000.0),
        ("linear", linear, 0.0, 1.0),
        ("linear-exact", exact, 1_500.5, 800.0),
        ("sigmoid", sigmoid, -100.0, 900.0),
    ] {
        let (size, pixels) =
            fixture.rendered(&format!("?window={center},{width},{function}")).await;
        assert_eq!(size, (70, 50));
        for (sample, pixel) in grey().into_iter().zip(pixels) {
            let value = f64::from(sample) * 2.0 - 1_000.0;
            let expected = 255.0 - formula(value, center, width);
            let off = (f64::from(pixel) - expected).abs();
            assert!(off <= 0.51, "{function} {center} {width}: {value}: {pixel}, not {expected}");
        }
    }
    // Without one it is the file's, and asking for that changes nothing.
    assert!(fixture.rendered("").await == fixture.rendered("?window=300,500,linear").await);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_of_the_type_size_and_quality_that_are_asked_for() {
    let fixture = Fixture::open().await;
    fixture.stored("north", &film(FILM, EXPLICIT), &of(FILM, EXPLICIT)).await;
    let address = format!("{}/rendered", path(FILM));
    // JPEG by default, PNG on demand, by the header or the address.
    let jpeg = fixture.wado(&address, "*/*", None).await;
    assert_eq!((jpeg.status, jpeg.kind.as_str()), (200, "image/jpeg"));
    assert_eq!(sniff(&jpeg.body), Some(Format::Jpeg));
    let png = fixture.wado(&format!("{address}?accept=image/png"), "image/jpeg", None).await;
    assert_eq!((png.kind.as_str(), sniff(&png.body)), ("image/png", Some(Format::Png)));
    let parts = fixture.wado(&address, PNGS, None).await.located();
    let [(kind, location, content)] = parts.as_slice() else { panic!("one part") };
    assert_eq!((kind.as_str(), location), ("image/png", &fixture.url(&address)));
    assert!(*content == png.body, "the same picture in a part");
    let (size, whole) = seen(&png.body);
    assert_eq!(size, (70, 50), "a pixel for a pixel");
    let far = whole.iter().zip(seen(&jpeg.body).1).map(|(a, b)| a.abs_diff(b)).max();
    assert!(far < Some(24), "{far:?}");
    let low = fixture.wado(&format!("{address}?quality=5"), "image/jpeg", None).await;
    assert!(low.body.len() < jpeg.body.len(), "{} {}", low.body.len(), jpeg.body.len());
    for (query, size) in [
        ("?viewport=35,35", (35, 25)),
        ("?viewport=1000,100", (140, 100)),
        ("?viewport=7,7,0,0,7,7", (7, 7)),
        ("?viewport=70%2C50", (70, 50)),
    ] {
        assert_eq!(fixture.rendered(query).await.0, size, "{query}");
    }
    // A region, and the same from the other side.
    let region: Vec<u8> = (10..14).flat_map(|y| whole[y * 70 + 20..y * 70 + 25].to_vec()).collect();
    assert_eq!(fixture.rendered("?viewport=5,4,20,10,5,4").await, ((5, 4), region.clone()));
    let turned: Vec<u8> = region.chunks(5).flat_map(|row| row.iter().rev().copied()).collect();
    assert_eq!(fixture.rendered("?viewport=5,4,20,10,-5,4").await, ((5, 4), turned));
    // What the standard has and changes nothing here is told of.
    let asked = format!("{address}?annotation=patient,technique&iccprofile=no");
    let warned = fixture.wado(&asked, "image/png", None).await;
    assert_eq!((warned.status, &warned.body), (200, &png.body));
    assert_eq!(warned.warning, "299 lobar \"Ignored: annotation, iccprofile\"");
    assert_eq!(fixture.wado(&address, "image/gif", None).await.status, 406);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jpeg_file_has_a_window_of_its_grey_values() {
    let fixture = Fixture::open().await;
    let jpeg = radiograph_jpeg(321, 301, 1);
    let id = fixture.pictured("north", &jpeg).await;
    let Uids { study, series, instance } = Uids::of_image(id);
    let path = path([study.as_str(), series.as_str(), instance.as_str()]);
    let asked = format!("{path}/rendered?window=128,100,linear");
    let rendered = fixture.wado(&asked, "image/png", None).await;
    let (_, greys) = seen(&jpeg);
    for (grey, pixel) in greys.into_iter().zip(seen(&rendered.body).1) {
        let expected = linear(f64::from(grey), 128.0, 100.0);
        assert!((f64::from(pixel) - expected).abs() <= 0.51, "{grey}: {pixel}, not {expected}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_a_study_come_in_parts_and_one_that_cannot_be_shown_is_told_of() {
    let fixture = Fixture::open().await;
    let places = [FILM, ["1.2.3", "1.2.3.1", "1.2.3.1.2"], ["1.2.3", "1.2.3.2", "1.2.3.2.1"]];
    for place in &places[..2] {
        fixture.stored("north", &film(*place, EXPLICIT), &of(*place, EXPLICIT)).await;
    }
    let mut colour = image(places[2]);
    let palette = PrimitiveValue::from("PALETTE COLOR");
    colour.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, palette));
    fixture.stored("north", &file(colour, EXPLICIT), &of(places[2], EXPLICIT)).await;
    for (level, expected) in [("1.2.3", 3), ("1.2.3/series/1.2.3.1", 2)] {
        let address = format!("/dicom-web/studies/{level}/rendered");
        assert_eq!(fixture.wado(&address, "image/jpeg", None).await.status, 406, "several");
        let answer = fixture.wado(&address, PNGS, None).await;
        assert_eq!(answer.status, 200);
        let mut parts = answer.located();
        parts.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!(parts.len(), expected, "{level}");
        for (place, (kind, location, content)) in places.iter().zip(parts) {
            let alone = format!("{}/rendered", path(*place));
            assert_eq!(location, fixture.url(&alone));
            let answer = fixture.wado(&alone, "image/png", None).await;
            if *place == places[2] {
                assert_eq!((answer.status, kind.as_str()), (404, "application/problem+json"));
                let told: serde_json::Value = serde_json::from_slice(&content).expect("JSON");
                for member in ["type", "title", "status", "detail", "reason"] {
                    assert_eq!(told[member], answer.json()[member], "{member}");
                }
            } else {
                assert_eq!(kind, "image/png");
                assert!(content == answer.body, "the same picture");
            }
        }
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_frame_of_several_has_a_picture() {
    let fixture = Fixture::open().await;
    // Three frames, each 100 brighter than the one before, in a window that shows it.
    let mut object = image(FILM);
    let frames = [0, 100, 200];
    let samples = |more: u16| grey().into_iter().map(move |sample| (sample / 2 + more) % 4_096);
    let pixels: Vec<u16> = frames.into_iter().flat_map(samples).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    object.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, PrimitiveValue::from("3")));
    let mut known = of(FILM, EXPLICIT);
    known.instance.frames = Some(3);
    fixture.stored("north", &file(object, EXPLICIT), &known).await;
    // The same JPEG twice, in two fragments each.
    let place: Place<'_> = ["1.2.4", "1.2.5", "1.2.3.4"];
    let baseline = "1.2.840.10008.1.2.4.50";
    let original = compressed("dicom/baseline.dcm");
    let mut twice = opened(&original);
    let frame = twice.element(tags::PIXEL_DATA).expect("pixels").value().fragments();
    let mut frame = frame.expect("fragments").concat();
    frame.resize(frame.len().next_multiple_of(2), 0);
    let (first, second) = frame.split_at(frame.len() / 4 * 2);
    let fragments = [first, second, first, second].map(<[u8]>::to_vec).to_vec();
    let fragments = PixelFragmentSequence::new_fragments(fragments);
    twice.put(DataElement::new(tags::PIXEL_DATA, VR::OB, Value::from(fragments)));
    twice.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, PrimitiveValue::from("2")));
    let mut bytes = Vec::new();
    twice.write_all(&mut bytes).expect("written");
    let mut known = of(place, baseline);
    known.instance.frames = Some(2);
    fixture.stored("north", &bytes, &known).await;

    let window = "?window=1000,2001,linear-exact";
    let rendered = async |place: Place<'_>, frames: &str, accept: &str| {
        let address = format!("{}{frames}/rendered{window}", path(place));
        fixture.wado(&address, accept, None).await
    };
    for (index, more) in frames.into_iter().enumerate() {
        let answer = rendered(FILM, &format!("/frames/{}", index + 1), "image/png").await;
        assert_eq!(answer.status, 200);
        let expected: Vec<u8> = samples(more)
            .map(|sample| (exact(sample.into(), 1_000.0, 2_001.0) + 0.5) as u8)
            .collect();
        let far = expected.iter().zip(seen(&answer.body).1).map(|(a, b)| a.abs_diff(b)).max();
        assert!(far <= Some(1), "frame {index}: {far:?}");
    }
    let (_, whole) = seen(&original);
    let asked = format!("{}/frames/2/rendered", path(place));
    assert!(seen(&fixture.wado(&asked, "image/png", None).await.body).1 == whole);
    // Of an instance of several, and of a list, each frame is a part.
    for (place, frames, expected) in
        [(FILM, "", vec![1, 2, 3]), (FILM, "/frames/3,1", vec![3, 1]), (place, "", vec![1, 2])]
    {
        assert_eq!(rendered(place, frames, "image/png").await.status, 406, "{frames}");
        let parts = rendered(place, frames, PNGS).await.located();
        assert_eq!(parts.len(), expected.len());
        for ((_, location, content), number) in parts.into_iter().zip(expected) {
            assert_eq!(location, fixture.url(&format!("{}/frames/{number}/rendered", path(place))));
            let alone = rendered(place, &format!("/frames/{number}"), "image/png").await;
            assert!(alone.body == content, "{number}");
        }
    }
    for (frames, status) in [("/frames/4", 404), ("/frames/0", 400), ("/frames/1,1", 400)] {
        assert_eq!(rendered(FILM, frames, "image/png").await.status, status, "{frames}");
    }
    // And a thumbnail.
    let thumbnail = format!("{}/thumbnail", path(FILM));
    assert_eq!(fixture.wado(&thumbnail, "*/*", None).await.status, 200);
    let third = format!("{}/frames/3/thumbnail", path(FILM));
    assert_eq!(fixture.wado(&third, "*/*", None).await.status, 200);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thumbnail_is_a_small_jpeg_of_the_first_instance_that_can_be_shown() {
    let fixture = Fixture::open_with(|settings| settings.limits.max_bytes = 1 << 20).await;
    let numbered = |place, number| {
        let mut known = of(place, EXPLICIT);
        known.instance.number = Some(number);
        known
    };
    let mut colour = image(FILM);
    let palette = PrimitiveValue::from("PALETTE COLOR");
    colour.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, palette));
    fixture.stored("north", &file(colour, EXPLICIT), &numbered(FILM, 1)).await;
    let large = ["1.2.3", "1.2.3.1", "1.2.3.1.2"];
    let mut object = image(large);
    for (tag, value) in [(tags::ROWS, 500_u16), (tags::COLUMNS, 700)] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let pixels: Vec<u16> = (0..350_000_u32).map(|n| (n % 4_096) as u16).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    let shown = fixture.stored("north", &file(object, EXPLICIT), &numbered(large, 2)).await;
    let token = fixture.token("clinician@north").await;
    let levels = [
        "/dicom-web/studies/1.2.3".to_owned(),
        "/dicom-web/studies/1.2.3/series/1.2.3.1".to_owned(),
        path(large),
        format!("{}/frames/1", path(large)),
    ];
    for level in levels {
        let address = format!("{level}/thumbnail");
        let answer = fixture.wado(&address, "*/*", Some(&token)).await;
        assert_eq!((answer.status, answer.kind.as_str()), (200, "image/jpeg"), "{level}");
        assert_eq!(seen(&answer.body).0, (256, 183), "{level}");
        let asked = format!("{address}?viewport=64,64");
        let small = fixture.wado(&asked, "image/png", Some(&token)).await;
        assert_eq!((small.kind.as_str(), seen(&small.body).0), ("image/png", (64, 46)), "{level}");
        for wrong in ["?viewport=0,64", "?viewport=64,64,1,1,9,9", "?window=1,2,linear"] {
            let answer = fixture.wado(&format!("{address}{wrong}"), "*/*", Some(&token)).await;
            assert_eq!(answer.status, 400, "{wrong}");
        }
    }
    assert_eq!(fixture.wado(&format!("{}/thumbnail", path(FILM)), "*/*", None).await.status, 404);
    // What was given is on record, and nothing else.
    let filter = Filter { action: Some(Action::PictureViewed), ..Filter::default() };
    let entries = eventually("the entry", async || {
        let entries = fixture.audit.page(&filter, Cursor::After(0), 100).await.expect("read");
        (!entries.is_empty()).then_some(entries)
    });
    assert!(entries.await.iter().all(|entry| entry.image == Some(shown.0)));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_picture_can_be_drawn_by_is_refused_before_anything_is_drawn() {
    let fixture = Fixture::open().await;
    fixture.stored("north", &film(FILM, EXPLICIT), &of(FILM, EXPLICIT)).await;
    for level in ["/dicom-web/studies/1.2.3".to_owned(), path(FILM)] {
        for query in [
            "window=NaN,400,linear",
            "window=40,inf,linear",
            "window=40,0,linear",
            "window=40,-1,sigmoid",
            "window=40,400",
            "window=40,400,cubic",
            "viewport=0,100",
            "viewport=-100,100",
            "viewport=100000,100000",
            "viewport=4294967297,4294967297",
            "viewport=100,100,NaN,0,10,10",
            "viewport=100,100,0,0,0,0",
            "viewport=100,100,0,0,1e-300,10",
            // Beyond the picture.
            "viewport=100,100,70,0,10,10",
            "viewport=100,100,1e300,0,10,10",
            "quality=0",
            "quality=101",
            "quality=-1",
            "quality=50&quality=60",
            "presentation=1.2.3",
        ] {
            let asked = format!("{level}/rendered?{query}");
            let answer = fixture.wado(&asked, "*/*", None).await;
            assert_eq!(answer.status, 400, "{asked}");
            assert_eq!(answer.json()["type"], "/problems/bad-parameter", "{asked}");
        }
    }
    // The largest region of the smallest picture is cut off at its edge.
    assert_eq!(fixture.rendered("?viewport=4096,1,69,49,1e300,1e300").await.0, (1, 1));
    fixture.stop().await;
}
