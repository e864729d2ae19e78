//! A client of WADO-RS, and what it asks for.

use std::io::Cursor as Bytes;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, FileMetaTableBuilder, InMemDicomObject};
use lobar_core::object::ImageId;
use lobar_core::study::{Attributes, Uid};
use lobar_tests::kit::workspace;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use crate::fixture::{Fixture, eventually, ready};
use crate::patients::known;

pub(crate) const PARTS: &str = "multipart/related; type=\"application/dicom\"";
pub(crate) const AS_STORED: &str =
    "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
pub(crate) const COMPUTED: &str = "1.2.840.10008.5.1.4.1.1.1";

/// Study, series and instance.
pub(crate) type Place<'a> = [&'a str; 3];

pub(crate) const FILM: Place<'_> = ["1.2.3", "1.2.3.1", "1.2.3.1.1"];

pub(crate) fn path([study, series, instance]: Place<'_>) -> String {
    format!("/dicom-web/studies/{study}/series/{series}/instances/{instance}")
}

/// The pixels of [`film`]: 12 bits of 16.
pub(crate) fn grey() -> Vec<u16> {
    (0..70 * 50).map(|n| n % 4_096).collect()
}

/// A file of an instance of a patient 7, not compressed.
pub(crate) fn film(place: Place<'_>, syntax: &str) -> Vec<u8> {
    file(image(place), syntax)
}

/// The data set of [`film`].
pub(crate) fn image([study, series, instance]: Place<'_>) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, COMPUTED),
        (tags::SOP_INSTANCE_UID, VR::UI, instance),
        (tags::STUDY_INSTANCE_UID, VR::UI, study),
        (tags::SERIES_INSTANCE_UID, VR::UI, series),
        (tags::PATIENT_ID, VR::LO, "7"),
        (tags::PATIENT_NAME, VR::PN, "Wrong^Name"),
        (tags::MANUFACTURER, VR::LO, "Somebody"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1_u16),
        (tags::ROWS, 50),
        (tags::COLUMNS, 70),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let pixels = PrimitiveValue::U16(grey().into());
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, pixels));
    object
}

/// The file of a data set.
pub(crate) fn file(object: InMemDicomObject, syntax: &str) -> Vec<u8> {
    let file = object.with_meta(FileMetaTableBuilder::new().transfer_syntax(syntax));
    let mut bytes = Vec::new();
    file.expect("a file").write_all(&mut bytes).expect("written");
    bytes
}

/// A file that others wrote: study 1.2.3, series 1.2.5, instance 1.2.3.4.
pub(crate) fn compressed(name: &str) -> Vec<u8> {
    std::fs::read(workspace().join("imaging/tests/fixtures").join(name)).expect("a file")
}

pub(crate) fn opened(bytes: &[u8]) -> DefaultDicomObject {
    dicom_object::from_reader(Bytes::new(bytes)).expect("a DICOM file")
}

pub(crate) fn pixels(file: &DefaultDicomObject) -> Vec<u8> {
    file.element(tags::PIXEL_DATA).expect("pixels").to_bytes().expect("bytes").into_owned()
}

pub(crate) fn text(file: &DefaultDicomObject, tag: dicom_core::Tag) -> String {
    file.element(tag).expect("there").to_str().expect("text").into_owned()
}

/// What the worker would find in a file of the place.
pub(crate) fn of([study, series, instance]: Place<'_>, syntax: &str) -> Attributes {
    let mut known = known("7", study, "20260301");
    known.series.uid = Uid::parse(series);
    known.instance.uid = Uid::parse(instance);
    known.instance.class = Uid::parse(COMPUTED);
    known.instance.transfer_syntax = Uid::parse(syntax);
    known
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    /// What it is warned of.
    pub(crate) warning: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The parts: the type of each and its content.
    pub(crate) fn parts(&self) -> Vec<(String, Vec<u8>)> {
        self.located().into_iter().map(|(kind, _, content)| (kind, content)).collect()
    }

    /// The parts: the type of each, where it is had by itself, and its content.
    pub(crate) fn located(&self) -> Vec<(String, String, Vec<u8>)> {
        let boundary = self.kind.split("boundary=").nth(1).expect("a boundary");
        let mark = format!("--{boundary}").into_bytes();
        let at: Vec<usize> =
            (0..self.body.len()).filter(|at| self.body[*at..].starts_with(&mark)).collect();
        assert!(self.body.ends_with(&[&mark[..], b"--\r\n"].concat()));
        at.windows(2)
            .map(|pair| {
                let part = &self.body[pair[0] + mark.len() + 2..pair[1] - 2];
                let end = part.windows(4).position(|it| it == b"\r\n\r\n").expect("a header");
                let head = String::from_utf8_lossy(&part[..end]).into_owned();
                let of = |name| {
                    let line = head.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().to_owned()
                };
                (of("Content-Type: "), of("Content-Location: "), part[end + 4..].to_vec())
            })
            .collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl Fixture {
    /// Asks as the local user, or with a token.
    pub(crate) async fn wado(&self, path: &str, accept: &str, token: Option<&str>) -> Answer {
        let request = self.http.get(self.url(path)).header("accept", accept);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let kind = answer.headers().get(CONTENT_TYPE).expect("a type");
        let kind = kind.to_str().expect("text").to_owned();
        let warning = answer.headers().get("warning").map(|it| it.to_str().expect("text"));
        let warning = warning.unwrap_or_default().to_owned();
        Answer { status, kind, warning, body: answer.bytes().await.expect("a body").to_vec() }
    }

    /// The image that was uploaded, once ingest has admitted it, finished.
    pub(crate) async fn finished(&self, known: Option<&Attributes>) -> ImageId {
        let id = eventually("the image", async || {
            let (_, list) = self.get("/v1/images").await;
            let items = list["items"].as_array()?;
            let queued = items.iter().find(|item| item["status"] == "queued")?;
            queued["id"].as_str()?.parse().ok()
        });
        let id = id.await;
        self.finish_known(&[id], &ready(0.9), known).await;
        id
    }

    /// Stores a file at a site.
    pub(crate) async fn stored(&self, site: &str, file: &[u8], known: &Attributes) -> ImageId {
        let head = b"--b\r\nContent-Type: application/dicom\r\n\r\n";
        let request = self.http.post(self.url(&format!("/dicom-web/studies?site={site}")));
        let request = request.header(CONTENT_TYPE, format!("{PARTS}; boundary=b"));
        let sent = request.body([&head[..], file, b"\r\n--b--\r\n"].concat()).send().await;
        assert_eq!(sent.expect("an answer").status(), 200);
        self.finished(Some(known)).await
    }

    /// Uploads a JPEG file of which nothing is known.
    pub(crate) async fn pictured(&self, site: &str, jpeg: &[u8]) -> ImageId {
        let head = "--x\r\ncontent-disposition: form-data; name=";
        let site = format!("\r\n{head}\"site\"\r\n\r\n{site}\r\n--x--\r\n");
        let head = format!("{head}\"file\"; filename=\"a.jpg\"\r\n\r\n");
        let request = self.http.post(self.url("/v1/images"));
        let request = request.header(CONTENT_TYPE, "multipart/form-data; boundary=x");
        let sent = request.body([head.as_bytes(), jpeg, site.as_bytes()].concat()).send().await;
        assert_eq!(sent.expect("an answer").status(), 202);
        self.finished(None).await
    }
}

/// Every address under a place: of attributes, and of what shows the image.
pub(crate) fn addresses(place: Place<'_>) -> Vec<String> {
    let (study, instance) = (format!("/dicom-web/studies/{}", place[0]), path(place));
    let series = format!("{study}/series/{}", place[1]);
    let frame = format!("{instance}/frames/1");
    let levels = [study, series, instance.clone()];
    let under = |name: &str| levels.clone().map(|level| format!("{level}/{name}"));
    let of_frame = ["rendered", "thumbnail"].map(|name| format!("{frame}/{name}"));
    let further = ["metadata", "rendered", "thumbnail", "bulkdata"].map(under);
    let value = format!("{instance}/bulkdata/7FE00010");
    let all = levels.iter().cloned().chain(further.into_iter().flatten());
    all.chain(of_frame).chain([frame, value]).collect()
}
