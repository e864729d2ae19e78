//! WADO-RS: values that are left out of the attributes are had under the addresses that these name.

use dicom_core::value::{DataSetSequence, PixelFragmentSequence, Value as DicomValue};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use lobar_core::study::{Attributes, Uids};
use lobar_tests::kit::radiograph_jpeg;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::wado::{FILM, Place, compressed, file, film, image, of, opened, path};

const EXPLICIT: &str = uids::EXPLICIT_VR_LITTLE_ENDIAN;
const RLE: &str = "1.2.840.10008.1.2.5";
const PARTS: &str = "multipart/related; type=\"application/octet-stream\"";
const PRIVATE: Tag = Tag(0x0009, 0x1001);

/// Bytes that tell themselves from others.
fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8 ^ seed).collect()
}

fn element(tag: Tag, vr: VR, bytes: Vec<u8>) -> InMemElement {
    DataElement::new(tag, vr, PrimitiveValue::from(bytes))
}

fn sequence(tag: Tag, item: InMemElement) -> InMemElement {
    let items = DataSetSequence::from(vec![InMemDicomObject::from_element_iter([item])]);
    DataElement::new(tag, VR::SQ, DicomValue::from(items))
}

fn put(object: &mut InMemDicomObject, words: &[(Tag, u16)], texts: &[(Tag, VR, &str)]) {
    for (tag, value) in words {
        object.put(DataElement::new(*tag, VR::US, PrimitiveValue::from(*value)));
    }
    for (tag, vr, value) in texts {
        object.put(DataElement::new(*tag, *vr, PrimitiveValue::from(*value)));
    }
}

/// A film with large values in it: a private one, one in a sequence, and a lookup table that is no small one.
fn with_large_values(place: Place<'_>) -> InMemDicomObject {
    let mut object = image(place);
    object.put(DataElement::new(Tag(0x0009, 0x0010), VR::LO, PrimitiveValue::from("SOMEBODY")));
    object.put(element(PRIVATE, VR::OB, bytes(1, 20_000)));
    object.put(sequence(
        tags::ICON_IMAGE_SEQUENCE,
        element(tags::LUT_DATA, VR::OW, bytes(2, 40_000)),
    ));
    object.put(sequence(
        tags::MODALITY_LUT_SEQUENCE,
        element(tags::LUT_DATA, VR::OW, bytes(3, 300_000)),
    ));
    object
}

/// Every address that the attributes name.
fn named(told: &Value, found: &mut Vec<String>) {
    match told {
        Value::Object(members) => {
            if let Some(uri) = members.get("BulkDataURI") {
                found.push(uri.as_str().expect("text").to_owned());
            }
            members.values().for_each(|value| named(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| named(item, found)),
        _ => {}
    }
}

/// Files of many kinds, with what is known of each and how many addresses its attributes name.
fn files() -> Vec<(Vec<u8>, Attributes, usize)> {
    let mut all = Vec::new();
    let place = |n: usize| [format!("1.2.{n}"), format!("1.2.{n}.1"), format!("1.2.{n}.1.1")];
    let mut add =
        |change: &dyn Fn(&mut InMemDicomObject), frames: Option<u32>, syntax: &str, addresses| {
            let place = place(all.len() + 10);
            let place = [place[0].as_str(), place[1].as_str(), place[2].as_str()];
            let mut object = with_large_values(place);
            if addresses < 3 {
                object = image(place);
            }
            change(&mut object);
            let mut known = of(place, syntax);
            known.instance.frames = frames;
            all.push((file(object, syntax), known, addresses));
        };
    add(&|_| {}, None, EXPLICIT, 4);
    add(&|_| {}, None, uids::IMPLICIT_VR_LITTLE_ENDIAN, 4);
    let pixels = |object: &mut InMemDicomObject, vr, length| {
        object.put(element(tags::PIXEL_DATA, vr, bytes(4, length)));
    };
    // Several frames; single bits; sampled colours; fewer bytes than a frame has; none.
    add(
        &|object| {
            put(object, &[], &[(tags::NUMBER_OF_FRAMES, VR::IS, "3")]);
            pixels(object, VR::OW, 21_000);
        },
        Some(3),
        EXPLICIT,
        1,
    );
    add(
        &|object| {
            put(
                object,
                &[(tags::BITS_ALLOCATED, 1), (tags::BITS_STORED, 1), (tags::HIGH_BIT, 0)],
                &[],
            );
            pixels(object, VR::OB, 438);
        },
        None,
        EXPLICIT,
        1,
    );
    add(
        &|object| {
            put(
                object,
                &[
                    (tags::BITS_ALLOCATED, 8),
                    (tags::BITS_STORED, 8),
                    (tags::HIGH_BIT, 7),
                    (tags::SAMPLES_PER_PIXEL, 3),
                ],
                &[(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "YBR_FULL_422")],
            );
            pixels(object, VR::OB, 7_000);
        },
        None,
        EXPLICIT,
        1,
    );
    add(&|object| pixels(object, VR::OW, 6_000), None, EXPLICIT, 1);
    add(&|object| pixels(object, VR::OW, 0), None, EXPLICIT, 0);
    // Compressed: one frame; two; two in three fragments, of which nothing tells which is whose.
    let fragments = |object: &mut InMemDicomObject, frames: &'static str, fragments: &[usize]| {
        let fragments: Vec<Vec<u8>> = fragments.iter().map(|length| bytes(5, *length)).collect();
        let value = DicomValue::from(PixelFragmentSequence::new_fragments(fragments));
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, value));
        put(object, &[], &[(tags::NUMBER_OF_FRAMES, VR::IS, frames)]);
    };
    add(&|object| fragments(object, "1", &[100, 200]), None, RLE, 1);
    add(&|object| fragments(object, "2", &[100, 200]), Some(2), RLE, 1);
    add(&|object| fragments(object, "2", &[100, 200, 100]), Some(2), RLE, 0);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_address_that_attributes_name_is_answered_to_who_may_see_it_and_to_nobody_else() {
    let fixture = Fixture::open_with(|settings| settings.limits.max_bytes = 1 << 20).await;
    let [south, north] =
        [fixture.token("clinician@south").await, fixture.token("clinician@north").await];
    let mut places = Vec::new();
    for (file, known, addresses) in files() {
        fixture.stored("south", &file, &known).await;
        let uid =
            |uid: &Option<lobar_core::study::Uid>| uid.as_ref().expect("a UID").as_str().to_owned();
        let place = [uid(&known.study.uid), uid(&known.series.uid), uid(&known.instance.uid)];
        places.push((place, addresses));
    }
    let made = Uids::of_image(fixture.pictured("south", &radiograph_jpeg(320, 300, 1)).await);
    places.push(([made.study, made.series, made.instance].map(|uid| uid.as_str().to_owned()), 1));
    for (place, addresses) in places {
        let place = path([place[0].as_str(), place[1].as_str(), place[2].as_str()]);
        let told = fixture.wado(&format!("{place}/metadata"), "*/*", Some(&south)).await.json();
        let mut uris = Vec::new();
        named(&told, &mut uris);
        assert_eq!(uris.len(), addresses, "{place}: {uris:?}");
        for uri in uris {
            let address = uri.strip_prefix(&fixture.url("")).expect("an own address");
            let given = fixture.wado(address, "*/*", Some(&south)).await;
            assert_eq!(given.status, 200, "{address}");
            assert!(given.parts().iter().all(|(_, content)| !content.is_empty()), "{address}");
            assert_eq!(fixture.wado(address, "*/*", Some(&north)).await.status, 404, "{address}");
        }
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_what_the_file_has_and_what_is_not_named_is_none() {
    let fixture = Fixture::open_with(|settings| settings.limits.max_bytes = 1 << 20).await;
    let file = file(with_large_values(FILM), EXPLICIT);
    fixture.stored("north", &file, &of(FILM, EXPLICIT)).await;
    let path = path(FILM);
    let told = fixture.wado(&format!("{path}/metadata"), "*/*", None).await.json();
    let place = fixture.url(&path);
    for (pointer, vr, end, expected) in [
        ("/0/00091001", "OB", "00091001", bytes(1, 20_000)),
        ("/0/00880200/Value/0/00283006", "OW", "00880200.1.00283006", bytes(2, 40_000)),
        ("/0/00283000/Value/0/00283006", "OW", "00283000.1.00283006", bytes(3, 300_000)),
    ] {
        let value = told.pointer(pointer).expect("named");
        let uri = format!("{place}/bulkdata/{end}");
        assert_eq!(*value, json!({ "vr": vr, "BulkDataURI": uri }));
        let address = format!("{path}/bulkdata/{end}");
        let alone = fixture.wado(&address, "application/octet-stream", None).await;
        assert_eq!((alone.status, alone.kind.as_str()), (200, "application/octet-stream"));
        assert!(alone.body == expected, "{end}");
        let parts = fixture.wado(&address, PARTS, None).await.located();
        assert!(parts == [("application/octet-stream".to_owned(), uri, expected)], "{end}");
        assert_eq!(fixture.wado(&address, "image/jpeg", None).await.status, 406);
    }
    // All at once, each with its address; pixels first.
    for level in ["/dicom-web/studies/1.2.3", "/dicom-web/studies/1.2.3/series/1.2.3.1", &path] {
        let parts = fixture.wado(&format!("{level}/bulkdata"), "*/*", None).await.located();
        let ends: Vec<_> =
            parts.iter().map(|(_, at, _)| at.strip_prefix(&place).expect("of it")).collect();
        let expected = [
            "/frames/1",
            "/bulkdata/00091001",
            "/bulkdata/00283000.1.00283006",
            "/bulkdata/00880200.1.00283006",
        ];
        assert_eq!(ends, expected, "{level}");
        assert_eq!(parts[0].2.len(), 7_000);
        assert_eq!(
            fixture
                .wado(&format!("{level}/bulkdata"), "application/octet-stream", None)
                .await
                .status,
            406
        );
    }
    for end in [
        "00100010",
        "00283006",
        "00283000",
        "00283000.2.00283006",
        "00283000.0.00283006",
        "00091001.1.00091001",
        "0009100G",
        "7FE00010.1",
        "x",
        &"1.".repeat(500),
    ] {
        let answer = fixture.wado(&format!("{path}/bulkdata/{end}"), "*/*", None).await;
        assert_eq!(answer.status, 404, "{end}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pixels_are_had_whole_and_compressed_ones_frame_by_frame() {
    let fixture = Fixture::open_with(|settings| settings.limits.max_bytes = 1 << 20).await;
    fixture.stored("north", &film(FILM, EXPLICIT), &of(FILM, EXPLICIT)).await;
    let whole = format!("{}/bulkdata/7FE00010", path(FILM));
    let whole = fixture.wado(&whole, "application/octet-stream", None).await;
    let frame = format!("{}/frames/1", path(FILM));
    let frame = fixture.wado(&frame, "application/octet-stream", None).await;
    assert!(whole.body.len() == 7_000 && whole.body == frame.body);
    let place = ["1.2.4", "1.2.5", "1.2.3.4"];
    let original = compressed("rle_8.dcm");
    fixture.stored("north", &original, &of(place, RLE)).await;
    let fragments = opened(&original);
    let fragments = fragments.element(tags::PIXEL_DATA).expect("pixels").value().fragments();
    let fragments = fragments.expect("fragments").concat();
    let pixels = format!("{}/bulkdata/7FE00010", path(place));
    let parts = fixture.wado(&pixels, "multipart/related; type=\"image/dicom-rle\"", None).await;
    let kind = format!("image/dicom-rle; transfer-syntax={RLE}");
    let at = fixture.url(&format!("{}/frames/1", path(place)));
    assert!(parts.located() == [(kind, at, fragments)]);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_study_that_was_moved_no_value_is_had_that_its_attributes_do_not_name() {
    let fixture = Fixture::open_with(|settings| settings.limits.max_bytes = 1 << 20).await;
    let file = file(with_large_values(FILM), EXPLICIT);
    let id = fixture.stored("north", &file, &of(FILM, EXPLICIT)).await;
    let url = fixture.url(&format!("/v1/images/{id}/patient"));
    let moved = fixture.http.post(url).json(&json!({ "patient": { "id": "9" } })).send().await;
    assert_eq!(moved.expect("an answer").status(), 200);
    let path = path(FILM);
    for (end, status) in [
        ("00091001", 404),
        ("00880200.1.00283006", 404),
        ("00283000.1.00283006", 200),
        ("7FE00010", 200),
    ] {
        let answer = fixture.wado(&format!("{path}/bulkdata/{end}"), "*/*", None).await;
        assert_eq!(answer.status, status, "{end}");
    }
    let parts = fixture.wado(&format!("{path}/bulkdata"), "*/*", None).await.parts();
    assert_eq!(parts.len(), 2);
    fixture.stop().await;
}
