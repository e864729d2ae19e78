//! WADO-RS: instances, their attributes, frames and pictures, to callers of their sites.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, DicomValue, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use lobar_core::audit::{Action, Cursor, Filter};
use lobar_core::study::{SECONDARY_CAPTURE, Uids};
use lobar_imaging::Limits;
use lobar_tests::kit::radiograph_jpeg;
use serde_json::json;

use crate::fixture::{Fixture, eventually};
use crate::wado::{
    AS_STORED, FILM, PARTS, addresses, compressed, film, grey, of, opened, path, pixels, text,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_given_as_it_is_stored_and_in_explicit_little_endian() {
    let fixture = Fixture::open().await;
    let file = film(FILM, uids::IMPLICIT_VR_LITTLE_ENDIAN);
    fixture.stored("north", &file, &of(FILM, uids::IMPLICIT_VR_LITTLE_ENDIAN)).await;
    let path = path(FILM);
    let same = fixture.wado(&path, "application/dicom; transfer-syntax=*", None).await;
    assert_eq!((same.status, same.kind.as_str()), (200, "application/dicom"));
    assert!(same.body == file, "the same bytes");
    let parts = fixture.wado(&path, AS_STORED, None).await.parts();
    assert!(parts == [("application/dicom".to_owned(), file)], "the same bytes");
    let single = fixture.wado(&path, "application/dicom", None).await.body;
    let parts = fixture.wado(&path, PARTS, None).await.parts();
    assert!(parts[0].1 == single, "both ways the same");
    let explicit = opened(&single);
    let syntax = explicit.meta().transfer_syntax().trim_end_matches('\0');
    assert_eq!(syntax, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let words: Vec<u8> = grey().into_iter().flat_map(u16::to_le_bytes).collect();
    assert!(pixels(&explicit) == words, "the same pixels");
    assert_eq!(text(&explicit, tags::MANUFACTURER).trim(), "Somebody");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_and_a_study_come_in_as_many_parts_as_they_have_instances() {
    let fixture = Fixture::open().await;
    let places = [FILM, ["1.2.3", "1.2.3.1", "1.2.3.1.2"], ["1.2.3", "1.2.3.2", "1.2.3.2.1"]];
    let mut files = Vec::new();
    for place in places {
        let file = film(place, uids::EXPLICIT_VR_LITTLE_ENDIAN);
        fixture.stored("north", &file, &of(place, uids::EXPLICIT_VR_LITTLE_ENDIAN)).await;
        files.push(file);
    }
    let study = "/dicom-web/studies/1.2.3";
    for (path, expected) in [
        (study.to_owned(), &files[..]),
        (format!("{study}/series/1.2.3.1"), &files[..2]),
        (format!("{study}/series/1.2.3.2"), &files[2..]),
    ] {
        let parts = fixture.wado(&path, AS_STORED, None).await.parts();
        let mut parts: Vec<_> = parts.into_iter().map(|(_, file)| file).collect();
        let mut expected = expected.to_vec();
        parts.sort_unstable();
        expected.sort_unstable();
        assert!(parts == expected, "{path}: {} parts", parts.len());
        let told = fixture.wado(&format!("{path}/metadata"), "*/*", None).await;
        assert_eq!(told.json().as_array().map(Vec::len), Some(expected.len()), "{path}");
        let refused = fixture.wado(&path, "application/dicom", None).await;
        assert_eq!(refused.status, 406, "several instances are no one file");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_come_without_pixels_and_of_the_patient_as_corrected() {
    let fixture = Fixture::open().await;
    let file = film(FILM, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    fixture.stored("north", &file, &of(FILM, uids::EXPLICIT_VR_LITTLE_ENDIAN)).await;
    let path = path(FILM);
    let right = json!({ "site": "north", "patient": { "id": "7" }, "name": "Roe^Ann", "birth_date": "2020-03-02" });
    let put = fixture.http.put(fixture.url("/v1/patients")).json(&right).send().await;
    assert_eq!(put.expect("an answer").status(), 200);
    let told = fixture.wado(&format!("{path}/metadata"), "application/dicom+json", None).await;
    assert_eq!((told.status, told.kind.as_str()), (200, "application/dicom+json"));
    let told = told.json();
    let [told] = told.as_array().expect("a list").as_slice() else { panic!("{told}") };
    assert_eq!(told["00100010"]["Value"], json!([{ "Alphabetic": "Roe^Ann" }]));
    assert_eq!(told["00100030"]["Value"], json!(["20200302"]));
    assert_eq!(told["00101010"]["Value"], json!(["005Y"]));
    assert_eq!(told["00080018"]["Value"], json!([FILM[2]]));
    assert_eq!(told["00080070"]["Value"], json!(["Somebody"]), "what the file says else stays");
    assert_eq!(told["00280010"]["Value"], json!([50]));
    let place = fixture.url(&path);
    assert_eq!(told["00081190"]["Value"], json!([place]));
    let pixels = json!({ "vr": "OW", "BulkDataURI": format!("{place}/frames/1") });
    assert_eq!(told["7FE00010"], pixels);
    // What it says of its pixels is so.
    let uri = format!("{path}/frames/1");
    assert_eq!(fixture.wado(&uri, "application/octet-stream", None).await.body.len(), 7_000);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_a_file_names_otherwise_under_the_same_id_is_not_called_by_another_s_name() {
    let fixture = Fixture::open().await;
    let explicit = uids::EXPLICIT_VR_LITTLE_ENDIAN;
    fixture.stored("north", &film(FILM, explicit), &of(FILM, explicit)).await;
    let second = ["1.2.9", "1.2.9.1", "1.2.9.1.1"];
    let mut other = of(second, explicit);
    other.patient.name = Some("Wrong^Name".into());
    other.patient.birth_date = Some("19500101".into());
    fixture.stored("north", &film(second, explicit), &other).await;
    let told = fixture.wado(&format!("{}/metadata", path(second)), "*/*", None).await.json();
    assert_eq!(told[0]["00100010"]["Value"], json!([{ "Alphabetic": "Wrong^Name" }]));
    assert_eq!(told[0]["00100030"]["Value"], json!(["19500101"]));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_study_that_was_moved_nothing_names_who_it_was_said_to_be_of() {
    let fixture = Fixture::open().await;
    let explicit = uids::EXPLICIT_VR_LITTLE_ENDIAN;
    let mut file = opened(&film(FILM, explicit));
    let former = |tag, vr| DataElement::new(tag, vr, PrimitiveValue::from("Former"));
    let mut before = InMemDicomObject::new_empty();
    before.put(former(tags::PATIENT_NAME, VR::PN));
    let before = DicomValue::from(DataSetSequence::from(vec![before]));
    file.put(DataElement::new(tags::ORIGINAL_ATTRIBUTES_SEQUENCE, VR::SQ, before));
    file.put(former(tags::OTHER_PATIENT_NAMES, VR::PN));
    file.put(former(tags::PATIENT_COMMENTS, VR::LT));
    file.put(former(dicom_core::Tag(0x0009, 0x0010), VR::LO));
    let mut bytes = Vec::new();
    file.write_all(&mut bytes).expect("written");
    let mut known = of(FILM, explicit);
    (known.patient.birth_date, known.patient.age) = (None, Some("064Y".into()));
    let id = fixture.stored("north", &bytes, &known).await;
    let url = fixture.url(&format!("/v1/images/{id}/patient"));
    let moved = fixture.http.post(url).json(&json!({ "patient": { "id": "9" } })).send().await;
    assert_eq!(moved.expect("an answer").status(), 200);
    let told = fixture.wado(&format!("{}/metadata", path(FILM)), "*/*", None).await.json();
    assert_eq!(told[0]["00100020"]["Value"], json!(["9"]));
    for absent in ["00101010", "04000561", "00090010"] {
        assert!(told[0][absent].is_null(), "{absent}");
    }
    for name in ["Former", "Wrong", "Müller"] {
        assert!(!told.to_string().contains(name), "{name}");
    }
    assert_eq!(told[0]["00280010"]["Value"], json!([50]), "what is of the image stays");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_are_the_pixels_of_the_file_or_as_they_are_compressed_in_it() {
    let fixture = Fixture::open().await;
    let file = film(FILM, uids::IMPLICIT_VR_LITTLE_ENDIAN);
    fixture.stored("north", &file, &of(FILM, uids::IMPLICIT_VR_LITTLE_ENDIAN)).await;
    let path = path(FILM);
    let words: Vec<u8> = grey().into_iter().flat_map(u16::to_le_bytes).collect();
    let octets = "multipart/related; type=\"application/octet-stream\"";
    let parts = fixture.wado(&format!("{path}/frames/1"), octets, None).await.parts();
    let kind =
        format!("application/octet-stream; transfer-syntax={}", uids::EXPLICIT_VR_LITTLE_ENDIAN);
    assert!(parts == [(kind, words)], "the same pixels");
    for (frames, accept, status) in [
        ("1", "multipart/related; type=\"image/jpeg\"", 406),
        ("2", octets, 404),
        ("0", octets, 400),
        ("1,1", octets, 400),
        ("x", octets, 400),
    ] {
        let answer = fixture.wado(&format!("{path}/frames/{frames}"), accept, None).await;
        assert_eq!(answer.status, status, "{frames} {accept}");
    }
    let place = ["1.2.3.9", "1.2.5", "1.2.3.4"];
    for (n, (name, kind, syntax)) in [
        ("dicom/baseline.dcm", "image/jpeg", "1.2.840.10008.1.2.4.50"),
        ("rle_8.dcm", "image/dicom-rle", "1.2.840.10008.1.2.5"),
    ]
    .into_iter()
    .enumerate()
    {
        let study = format!("{}.{n}", place[0]);
        let place = [study.as_str(), place[1], place[2]];
        let file = compressed(name);
        fixture.stored("north", &file, &of(place, syntax)).await;
        let frame = opened(&file);
        let frame = frame.element(tags::PIXEL_DATA).expect("pixels").value().fragments();
        let frame = frame.expect("fragments").concat();
        let frames = format!("{}/frames/1", self::path(place));
        for accept in [
            format!("multipart/related; type=\"{kind}\""),
            "multipart/related; type=\"application/octet-stream\"; transfer-syntax=*".to_owned(),
            "*/*".to_owned(),
        ] {
            let parts = fixture.wado(&frames, &accept, None).await.parts();
            let kind = format!("{kind}; transfer-syntax={syntax}");
            assert!(parts == [(kind, frame.clone())], "{name} {accept}");
        }
        let instance = self::path(place);
        assert!(fixture.wado(&instance, AS_STORED, None).await.parts()[0].1 == file, "{name}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jpeg_file_is_had_as_a_secondary_capture_of_the_pixels_that_people_see() {
    let fixture = Fixture::open().await;
    let jpeg = radiograph_jpeg(321, 301, 1);
    let id = fixture.pictured("north", &jpeg).await;
    let Uids { study, series, instance } = Uids::of_image(id);
    let path = path([study.as_str(), series.as_str(), instance.as_str()]);
    let seen = lobar_imaging::decode(&jpeg, &Limits::default()).expect("decodes");
    let mut padded = seen.pixels.clone();
    padded.push(0);
    for accept in ["application/dicom", "application/dicom; transfer-syntax=*"] {
        let made = opened(&fixture.wado(&path, accept, None).await.body);
        let uid = |tag| text(&made, tag).trim_end_matches('\0').to_owned();
        assert_eq!(uid(tags::SOP_CLASS_UID), SECONDARY_CAPTURE);
        assert_eq!(uid(tags::STUDY_INSTANCE_UID), study.as_str());
        assert_eq!(uid(tags::SERIES_INSTANCE_UID), series.as_str());
        assert_eq!(uid(tags::SOP_INSTANCE_UID), instance.as_str());
        let number = |tag| made.element(tag).expect("there").to_int::<u32>().expect("a number");
        assert_eq!((number(tags::ROWS), number(tags::COLUMNS)), (301, 321));
        assert!(pixels(&made) == padded, "the pixels that are decoded");
    }
    let frames = format!("{path}/frames/1");
    let frame = fixture.wado(&frames, "application/octet-stream", None).await;
    assert!(frame.body == seen.pixels, "without padding");
    let told = fixture.wado(&format!("{path}/metadata"), "application/dicom+json", None).await;
    assert_eq!(told.json()[0]["00080016"]["Value"], json!([SECONDARY_CAPTURE]));
    assert_eq!(told.json()[0]["00100020"], json!({ "vr": "LO" }), "of nobody");
    // What may be anything is the same instance, in parts or not.
    assert_eq!(fixture.wado(&path, "*/*", None).await.parts().len(), 1);

    let picture = fixture.wado(&format!("/v1/images/{id}/picture"), "*/*", None).await;
    let rendered = fixture.wado(&format!("{path}/rendered"), "image/png", None).await;
    assert_eq!((rendered.status, rendered.kind.as_str()), (200, "image/png"));
    assert!(rendered.body == picture.body, "the picture of the page");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_another_site_is_as_unknown_as_what_is_not_there() {
    let fixture = Fixture::open().await;
    let implicit = uids::IMPLICIT_VR_LITTLE_ENDIAN;
    fixture.stored("south", &film(FILM, implicit), &of(FILM, implicit)).await;
    let id = fixture.pictured("south", &radiograph_jpeg(320, 300, 1)).await;
    let made = Uids::of_image(id);
    let made = [made.study.as_str(), made.series.as_str(), made.instance.as_str()];
    // The same study at both sites: to each its own.
    let shared = ["1.2.4", "1.2.4.1", "1.2.4.1.1"];
    let other = ["1.2.4", "1.2.4.1", "1.2.4.1.2"];
    fixture.stored("south", &film(shared, implicit), &of(shared, implicit)).await;
    fixture.stored("north", &film(other, implicit), &of(other, implicit)).await;
    let south = fixture.token("clinician@south").await;
    let north = fixture.token("clinician@north").await;
    let nothing = fixture.wado("/dicom-web/studies/1.2.99", "*/*", Some(&north)).await.json();
    for place in [FILM, made] {
        for address in addresses(place) {
            assert_eq!(fixture.wado(&address, "*/*", Some(&south)).await.status, 200, "{address}");
            let hidden = fixture.wado(&address, "*/*", Some(&north)).await;
            assert_eq!(hidden.status, 404, "{address}");
            for member in ["type", "title", "detail", "status"] {
                assert_eq!(hidden.json()[member], nothing[member], "{address}");
            }
        }
    }
    for (token, own, foreign) in [(&north, other, shared), (&south, shared, other)] {
        let parts = fixture.wado("/dicom-web/studies/1.2.4", AS_STORED, Some(token)).await.parts();
        assert_eq!(parts.len(), 1);
        assert_eq!(
            text(&opened(&parts[0].1), tags::SOP_INSTANCE_UID).trim_end_matches('\0'),
            own[2]
        );
        let told = fixture.wado("/dicom-web/studies/1.2.4/metadata", "*/*", Some(token)).await;
        assert_eq!(told.json().as_array().map(Vec::len), Some(1));
        for address in &addresses(foreign)[2..] {
            let of_instance = address.contains("/instances/");
            let status = fixture.wado(address, "*/*", Some(token)).await.status;
            assert_eq!(status, if of_instance { 404 } else { 200 }, "{address}");
        }
    }
    // Who has both would see one patient's name over the other's film.
    let both = fixture.wado("/dicom-web/studies/1.2.4/metadata", "*/*", None).await;
    assert_eq!((both.status, &both.json()["type"]), (409, &json!("/problems/several-patients")));
    // Who may not see images has none, whatever their site.
    let uploader = fixture.token("uploader@south").await;
    for address in addresses(FILM) {
        assert_eq!(fixture.wado(&address, "*/*", Some(&uploader)).await.status, 403, "{address}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_does_not_take_is_not_sent_and_what_is_no_uid_is_told() {
    let fixture = Fixture::open().await;
    let implicit = uids::IMPLICIT_VR_LITTLE_ENDIAN;
    fixture.stored("north", &film(FILM, implicit), &of(FILM, implicit)).await;
    for address in addresses(FILM) {
        for accept in ["text/html", "application/dicom+xml", "*/*;q=0"] {
            assert_eq!(
                fixture.wado(&address, accept, None).await.status,
                406,
                "{address} {accept}"
            );
        }
    }
    let jpeg_2000 = "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90";
    assert_eq!(fixture.wado(&path(FILM), jpeg_2000, None).await.status, 406);
    for address in addresses(["Doe", "1.2.3.1", "1.2.3.1.1"]) {
        assert_eq!(fixture.wado(&address, "*/*", None).await.status, 400, "{address}");
    }
    // By the address, whatever the header says.
    let asked = format!("{}?accept=application/dicom%3Btransfer-syntax=*", path(FILM));
    let answer = fixture.wado(&asked, "text/html", None).await;
    assert_eq!((answer.status, answer.kind.as_str()), (200, "application/dicom"));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_an_instance_was_erased_is_told_at_its_site_only() {
    let fixture = Fixture::open().await;
    let id = fixture.pictured("north", &radiograph_jpeg(320, 300, 1)).await;
    let erased = fixture.http.delete(fixture.url(&format!("/v1/images/{id}?reason=request")));
    assert_eq!(erased.send().await.expect("an answer").status(), 200);
    let made = Uids::of_image(id);
    let [north, south] =
        [fixture.token("clinician@north").await, fixture.token("clinician@south").await];
    for address in addresses([made.study.as_str(), made.series.as_str(), made.instance.as_str()]) {
        assert_eq!(fixture.wado(&address, "*/*", Some(&north)).await.status, 410, "{address}");
        assert_eq!(fixture.wado(&address, "*/*", Some(&south)).await.status, 404, "{address}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_had_which_instance_is_on_record() {
    let fixture = Fixture::open().await;
    let implicit = uids::IMPLICIT_VR_LITTLE_ENDIAN;
    let id = fixture.stored("north", &film(FILM, implicit), &of(FILM, implicit)).await;
    for address in addresses(FILM) {
        let action = match address.ends_with("/metadata") {
            true => Action::Viewed,
            false => Action::PictureViewed,
        };
        // Each is another caller: what one sees again at once is recorded once.
        let token = fixture.token("clinician@north").await;
        let filter = Filter { action: Some(action), ..Filter::default() };
        let entries =
            async || fixture.audit.page(&filter, Cursor::After(0), 100).await.expect("read");
        let before = entries().await.len();
        assert_eq!(fixture.wado(&address, "*/*", Some(&token)).await.status, 200, "{address}");
        let entry = eventually("the entry", async || {
            let all = entries().await;
            (all.len() > before).then(|| all.last().cloned()).flatten()
        });
        let entry = entry.await;
        assert_eq!((entry.image, entry.site.as_deref()), (Some(id.0), Some("north")), "{address}");
        assert_eq!(entry.role.as_deref(), Some("clinician"), "{address}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_as_it_should_be_is_had_as_it_is_stored_and_not_otherwise() {
    let fixture = Fixture::open().await;
    // It does not say how long its file meta information is. Once it is known whose it is, and once nothing is.
    let file = compressed("native_8.dcm");
    let place = ["1.2.3", "1.2.5", "1.2.3.4"];
    let explicit = uids::EXPLICIT_VR_LITTLE_ENDIAN;
    fixture.stored("north", &file, &of(place, explicit)).await;
    let id = fixture.pictured("north", &file).await;
    let made = Uids::of_image(id);
    let unknown = [made.study.as_str(), made.series.as_str(), made.instance.as_str()];
    for place in [place, unknown] {
        let parts = fixture.wado(&path(place), AS_STORED, None).await.parts();
        assert!(parts == [("application/dicom".to_owned(), file.clone())], "the same bytes");
        let answer = fixture.wado(&format!("{}/frames/1", path(place)), "*/*", None).await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.json()["type"], "/problems/no-picture");
        // What is known of it is told, so that it does not hide the others of its study.
        let told = fixture.wado(&format!("{}/metadata", path(place)), "*/*", None).await.json();
        assert_eq!(told[0]["00080018"]["Value"], json!([place[2]]));
        assert!(told[0]["7FE00010"].is_null(), "{told}");
    }
    let good = ["1.2.3", "1.2.5", "1.2.3.5"];
    fixture.stored("north", &film(good, explicit), &of(good, explicit)).await;
    let told = fixture.wado("/dicom-web/studies/1.2.3/metadata", "*/*", None).await.json();
    assert_eq!(told.as_array().map(Vec::len), Some(2));
    fixture.stop().await;
}
