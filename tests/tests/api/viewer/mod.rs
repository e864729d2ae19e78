//! The viewer of the page, at full depth: what is painted is compared with what the file's own numbers come to.

mod bench;
mod copies;
mod full;
mod hands;
mod lengths;
mod pixels;
mod side;
mod tones;

use std::io::Cursor;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use image::RgbImage;
use lobar_core::object::ImageId;
use serde_json::Value;

use crate::browser::Browser;
use crate::fixture::{Fixture, eventually, ready};
use crate::patients::known;

/// Pixels of a film.
pub(crate) const WIDTH: u32 = 600;
pub(crate) const HEIGHT: u32 = 500;

/// The stored value of a pixel: 12 bits, no two neighbours alike.
pub(crate) fn stored(x: u32, y: u32) -> u16 {
    (x * 6 + y).min(4_095) as u16
}

/// A film of a patient with two windows, the distance between its pixels and the sides of the patient.
pub(crate) fn film(photometric: &str) -> Vec<u8> {
    let mut object = InMemDicomObject::new_empty();
    let texts: [(Tag, VR, &str); 12] = [
        (tags::SOP_CLASS_UID, VR::UI, uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE),
        (tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4.5"),
        (tags::MODALITY, VR::CS, "CR"),
        (tags::BODY_PART_EXAMINED, VR::CS, "CHEST"),
        (tags::VIEW_POSITION, VR::CS, "PA"),
        (tags::PATIENT_ID, VR::LO, "7"),
        (tags::PATIENT_ORIENTATION, VR::CS, "L\\F"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric),
        (tags::WINDOW_CENTER, VR::DS, "2000\\1000"),
        (tags::WINDOW_WIDTH, VR::DS, "1500\\401"),
        (tags::WINDOW_CENTER_WIDTH_EXPLANATION, VR::LO, "WIDE\\NARROW"),
        (tags::IMAGER_PIXEL_SPACING, VR::DS, "0.2\\0.1"),
    ];
    for (tag, vr, value) in texts {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1_u16),
        (tags::ROWS, HEIGHT as u16),
        (tags::COLUMNS, WIDTH as u16),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let pixels: Vec<u16> =
        (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| stored(x, y))).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    object.with_meta(meta).expect("a file").write_all(&mut bytes).expect("written");
    bytes
}

impl Fixture {
    /// With room for films.
    pub(crate) async fn open_for_films() -> Self {
        Self::open_with(|settings| settings.limits.max_bytes = 2 << 20).await
    }

    /// Puts a file in and waits until it is admitted.
    pub(crate) async fn put(&self, file: Vec<u8>) -> ImageId {
        let sent = self.http.post(self.url("/v1/images")).body(file).send().await;
        let receipt: Value = sent.expect("an answer").json().await.expect("JSON");
        let id: ImageId = receipt["id"].as_str().expect("an id").parse().expect("an id");
        eventually("it is admitted", async || self.store.image(id).await.expect("asked")).await;
        id
    }

    /// The same, flagged, of patient 7 on a day.
    pub(crate) async fn put_known(&self, file: Vec<u8>, day: &str) -> ImageId {
        let id = self.put(file).await;
        let known = known("7", &format!("1.2.{day}"), day);
        self.finish_known(&[id], &ready(0.9), Some(&known)).await;
        id
    }
}

impl Browser {
    /// Opens an image and waits until it is painted at full depth.
    pub(crate) async fn view(&self, fixture: &Fixture, id: ImageId) {
        self.page.goto(&fixture.url(&format!("/#/images/{id}"))).await.expect("goes");
        self.film_is_there().await;
        self.text_becomes("#viewer .facts", "pneumonia").await;
    }

    pub(crate) async fn film_is_there(&self) {
        self.becomes("const film = document.querySelector('.layers .film'); return film !== null && !film.hidden").await;
    }

    /// Waits until everything that was asked for is drawn.
    pub(crate) async fn drawn(&self) {
        let script = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(true)))";
        self.page.execute_async(script, Vec::new()).await.expect("a script");
    }

    /// Presses a key, and waits until it is drawn.
    pub(crate) async fn strike(&self, key: &str) {
        self.press(key).await;
        self.drawn().await;
    }

    /// What a canvas holds, as text that is the same only for the same pixels.
    pub(crate) async fn canvas(&self) -> String {
        self.drawn().await;
        let script = "return document.querySelector('.layers .film').toDataURL()";
        self.run(script).await.as_str().expect("text").to_owned()
    }

    /// Waits until the lengths on the picture say this.
    pub(crate) async fn lines_say(&self, part: &str) {
        let script = "return document.querySelector('.lines').textContent.includes(arguments[0])";
        eventually(part, async || {
            let said = self.page.execute(script, vec![part.into()]).await.expect("a script");
            (said == true).then_some(())
        })
        .await;
    }

    /// Left, top, width and height of an element, in pixels of the page.
    pub(crate) async fn place(&self, css: &str) -> [f64; 4] {
        let script = "const { left, top, width, height } = document.querySelector(arguments[0]).getBoundingClientRect(); \
            return [left, top, width, height]";
        let place = self.page.execute(script, vec![css.into()]).await.expect("a script");
        serde_json::from_value(place).expect("four numbers")
    }

    /// What is on the screen.
    pub(crate) async fn screen(&self) -> RgbImage {
        let png = self.png().await;
        let read = image::ImageReader::new(Cursor::new(png)).with_guessed_format().expect("read");
        read.decode().expect("a picture").to_rgb8()
    }
}
