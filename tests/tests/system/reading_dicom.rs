//! The same film as JPEG and as DICOM, with the shipped model: the same answer (docs/adr/0029).

use std::path::{Path, PathBuf};
use std::process::Command;

use lobar_imaging::{Limits, Radiograph, decode};
use lobar_tests::kit::{Client, Lobar, executable, originals};
use serde_json::Value;

use crate::{aws_upload, probability};

/// How far the probability may be from that of the JPEG: where the samples are the same, where 12 bits are reduced by the
/// file's window, and where the file has none.
const SAME: f64 = 0.001;
const WITH_WINDOW: f64 = 0.03;
const WITHOUT_WINDOW: f64 = 0.2;

/// A chest CR in explicit VR little endian.
fn dicom(radiograph: &Radiograph, stored: u16, window: bool, inverted: bool) -> Vec<u8> {
    of_age(radiograph, stored, window, inverted, b"003Y")
}

/// The same, of a patient of this age.
fn of_age(
    radiograph: &Radiograph,
    stored: u16,
    window: bool,
    inverted: bool,
    age: &[u8],
) -> Vec<u8> {
    let mut file = vec![0; 128];
    let mut put = |group: u16, element: u16, vr: &[u8; 2], value: &[u8]| {
        file.extend([group.to_le_bytes(), element.to_le_bytes(), *vr].concat());
        match vr {
            b"OW" => file.extend([&[0, 0][..], &(value.len() as u32).to_le_bytes()].concat()),
            _ => file.extend((value.len() as u16).to_le_bytes()),
        }
        file.extend(value);
    };
    let short = |value: u16| value.to_le_bytes();
    let grey = |pixel: u8| match (stored, inverted) {
        (8, _) => vec![pixel],
        (_, false) => short(u16::from(pixel) * 16 + 8).to_vec(),
        (_, true) => short(4095 - (u16::from(pixel) * 16 + 8)).to_vec(),
    };
    put(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.1\0");
    put(8, 0x60, b"CS", b"CR");
    put(0x10, 0x10, b"PN", b"Doe^Jane");
    put(0x10, 0x1010, b"AS", age);
    put(0x18, 0x15, b"CS", b"CHEST ");
    put(0x28, 2, b"US", &short(1));
    put(0x28, 4, b"CS", if inverted { b"MONOCHROME1 " } else { b"MONOCHROME2 " });
    put(0x28, 0x10, b"US", &short(radiograph.height as u16));
    put(0x28, 0x11, b"US", &short(radiograph.width as u16));
    put(0x28, 0x100, b"US", &short(if stored == 8 { 8 } else { 16 }));
    put(0x28, 0x101, b"US", &short(stored));
    put(0x28, 0x103, b"US", &short(0));
    if window {
        put(0x28, 0x1050, b"DS", b"2048");
        put(0x28, 0x1051, b"DS", b"4096");
    }
    put(0x7fe0, 0x10, b"OW", &radiograph.pixels.iter().flat_map(|p| grey(*p)).collect::<Vec<_>>());
    let meta = [&b"DICM\x02\0\x10\0UI\x14\0"[..], b"1.2.840.10008.1.2.1\0"].concat();
    file.splice(128..128, meta);
    file
}

/// The result of each file, in their order.
fn predicted(files: &[PathBuf]) -> Vec<Value> {
    let mut command = Command::new(executable());
    let output = command.args(["predict", "--json", "--unlike", "warn"]).args(files).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, bytes).expect("written");
    file
}

#[tokio::test]
async fn the_same_film_as_jpeg_and_as_dicom_gives_the_same_answer() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    originals(&files, 4);
    for n in 0..4 {
        let jpeg = files.join(format!("image {n:03}.jpeg"));
        let bytes = std::fs::read(&jpeg).expect("a film");
        let film = decode(&bytes, &Limits::default()).expect("a film");
        let routes = [
            ("8.dcm", dicom(&film, 8, false, false), SAME),
            ("12.dcm", dicom(&film, 12, true, false), WITH_WINDOW),
            ("inverted.dcm", dicom(&film, 12, true, true), WITH_WINDOW),
            ("plain.dcm", dicom(&film, 12, false, false), WITHOUT_WINDOW),
        ];
        let written = routes.iter().map(|(name, bytes, _)| write(dir.path(), name, bytes));
        let results = predicted(&[jpeg].into_iter().chain(written).collect::<Vec<_>>());
        for (result, (name, _, tolerance)) in results[1..].iter().zip(&routes) {
            let far = probability(&result["result"]) - probability(&results[0]["result"]);
            assert!(far.abs() <= *tolerance, "{n} {name}: {far}");
        }
        std::fs::write(files.join(format!("image {n:03}.dcm")), &routes[1].1).expect("written");
    }

    // Who is outside the ages of the model, however the age is written, has no answer.
    for (n, age) in [&b"62"[..], b"062Y", b"Y062", b"011M"].into_iter().enumerate() {
        let film = decode(
            &std::fs::read(files.join("image 000.jpeg")).expect("a film"),
            &Limits::default(),
        );
        let file = of_age(&film.expect("a film"), 8, false, false, age);
        let answers = predicted(&[write(dir.path(), &format!("{n}.dcm"), &file)]);
        assert_eq!(answers[0]["reason"], "out_of_population", "{age:?}");
        assert!(answers[0]["result"].is_null());
        std::fs::write(files.join(format!("outside {n}.dcm")), file).expect("written");
    }

    // The worker and the page, by the same steps.
    let lobar = Lobar::up(&data);
    assert!(aws_upload(&lobar, &files).wait().expect("it ends").success());
    let client = Client::new(&lobar.page);
    let images = client.settled(12).await;
    let outside = images.iter().filter(|image| image["reason"] == "out_of_population").count();
    assert_eq!(outside, 4);
    for image in &images {
        if image["reason"] == "out_of_population" {
            assert!(image["status"] == "needs_human" && image["result"].is_null(), "{image}");
        } else {
            assert!(image["result"]["probability"].is_number(), "{image}");
        }
        let picture =
            format!("{}/v1/images/{}/picture", lobar.page, image["id"].as_str().expect("an id"));
        let picture = reqwest::get(picture).await.expect("an answer");
        assert_eq!(picture.status(), 200);
        let drawn = decode(&picture.bytes().await.expect("a body"), &Limits::default());
        assert!(drawn.expect("a PNG").width > 100);
    }
    assert_eq!(lobar.stop(), 0);
}
