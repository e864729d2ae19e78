//! Instances that are made of JPEG and PNG files: in the depth and the colours of the file.

use dicom_dictionary_std::tags;
use dicom_object::DefaultDicomObject;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use lobar_core::study::Uids;
use lobar_imaging::{Limits, decode};
use lobar_tests::kit::workspace;

use super::image::dump;
use crate::fixture::Fixture;
use crate::wado::{opened, path, pixels, text};

const SIZE: (u32, u32) = (320, 300);

/// The instance of a file that was uploaded.
async fn made(fixture: &Fixture, file: &[u8]) -> (DefaultDicomObject, Vec<u8>) {
    let id = fixture.pictured("north", file).await;
    let Uids { study, series, instance } = Uids::of_image(id);
    let path = path([study.as_str(), series.as_str(), instance.as_str()]);
    let answer = fixture.wado(&path, "application/dicom", None).await;
    assert_eq!(answer.status, 200);
    assert!(dump(&answer.body).contains("SecondaryCapture"));
    (opened(&answer.body), answer.body)
}

fn number(file: &DefaultDicomObject, tag: dicom_core::Tag) -> u32 {
    file.element(tag).expect("there").to_int().expect("a number")
}

/// A film of 12 bits, in numbers of 16.
fn deep() -> Vec<u16> {
    (0..SIZE.0 * SIZE.1).map(|n| ((n * 13) % 4_096) as u16).collect()
}

fn png(bytes: &[u8], kind: ExtendedColorType) -> Vec<u8> {
    let mut file = Vec::new();
    PngEncoder::new(&mut file).write_image(bytes, SIZE.0, SIZE.1, kind).expect("encodes");
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grey_of_sixteen_bits_keeps_them_and_is_shown_as_on_the_page() {
    let fixture = Fixture::open_with(|settings| settings.limits.max_bytes = 1 << 20).await;
    let bytes: Vec<u8> = deep().into_iter().flat_map(u16::to_ne_bytes).collect();
    let file = png(&bytes, ExtendedColorType::L16);
    let (made, written) = made(&fixture, &file).await;
    assert_eq!(text(&made, tags::PHOTOMETRIC_INTERPRETATION).trim(), "MONOCHROME2");
    for (tag, expected) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 0),
        (tags::COLUMNS, SIZE.0),
        (tags::ROWS, SIZE.1),
    ] {
        assert_eq!(number(&made, tag), expected, "{tag}");
    }
    let little: Vec<u8> = deep().into_iter().flat_map(u16::to_le_bytes).collect();
    assert!(pixels(&made) == little, "bit for bit");
    assert!(made.element(tags::LOSSY_IMAGE_COMPRESSION).is_err(), "PNG loses nothing");
    let limits = Limits::default();
    let [shown, page] = [&written, &file].map(|file| decode(file, &limits).expect("a picture"));
    let most = shown.pixels.iter().zip(&page.pixels).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(most <= Some(1), "{most:?}");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colours_are_kept_and_grey_that_is_stored_in_colour_is_grey() {
    let fixture = Fixture::open_with(|settings| settings.limits.max_bytes = 1 << 20).await;
    let colours: Vec<u8> =
        (0..SIZE.0 * SIZE.1).flat_map(|n| [n as u8, (n / 7) as u8, (n / 300) as u8]).collect();
    let (made_of, _) = made(&fixture, &png(&colours, ExtendedColorType::Rgb8)).await;
    assert_eq!(text(&made_of, tags::PHOTOMETRIC_INTERPRETATION).trim(), "RGB");
    assert_eq!(number(&made_of, tags::SAMPLES_PER_PIXEL), 3);
    assert_eq!(number(&made_of, tags::PLANAR_CONFIGURATION), 0);
    assert_eq!((number(&made_of, tags::BITS_ALLOCATED), number(&made_of, tags::HIGH_BIT)), (8, 7));
    assert!(pixels(&made_of) == colours, "bit for bit");

    let grey: Vec<u8> = (0..SIZE.0 * SIZE.1).flat_map(|n| [(n / 5) as u8; 3]).collect();
    let (made_of, _) = made(&fixture, &png(&grey, ExtendedColorType::Rgb8)).await;
    assert_eq!(text(&made_of, tags::PHOTOMETRIC_INTERPRETATION).trim(), "MONOCHROME2");
    assert!(pixels(&made_of).iter().zip(grey.chunks_exact(3)).all(|(a, b)| *a == b[0]));

    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, 95);
    encoder.write_image(&colours, SIZE.0, SIZE.1, ExtendedColorType::Rgb8).expect("encodes");
    let (made_of, _) = made(&fixture, &jpeg).await;
    assert_eq!(text(&made_of, tags::PHOTOMETRIC_INTERPRETATION).trim(), "RGB");
    assert_eq!(text(&made_of, tags::LOSSY_IMAGE_COMPRESSION).trim(), "01");
    assert_eq!(text(&made_of, tags::LOSSY_IMAGE_COMPRESSION_METHOD).trim(), "ISO_10918_1");
    let seen = image::load_from_memory(&jpeg).expect("a JPEG").into_rgb8().into_raw();
    let most = pixels(&made_of).iter().zip(&seen).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(most <= Some(4), "{most:?}");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_lies_on_its_side_is_upright_in_its_instance() {
    let fixture = Fixture::open().await;
    let file = workspace().join("imaging/tests/fixtures/turned.jpg");
    let file = std::fs::read(file).expect("a fixture");
    let seen = decode(&file, &Limits::default()).expect("a picture");
    let (made, _) = made(&fixture, &file).await;
    assert_eq!(
        (number(&made, tags::COLUMNS), number(&made, tags::ROWS)),
        (seen.width, seen.height)
    );
    assert!(pixels(&made)[..seen.pixels.len()] == seen.pixels);
    fixture.stop().await;
}
