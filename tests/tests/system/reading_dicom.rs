//! The same film as JPEG and as DICOM, with the shipped model: the same answer (docs/adr/0029).

use std::path::{Path, PathBuf};
use std::process::Command;

use lobar_imaging::{Limits, Radiograph, decode};
use lobar_testkit::python_program;
use lobar_tests::kit::{Client, Lobar, answer, executable, originals};
use serde_json::Value;

use crate::film::{FILM, Film};
use crate::{aws_upload, probability};

/// How far the probability may be from that of the JPEG: where the samples are the same, where 12 bits are reduced by the
/// file's window, and where the file has none.
const SAME: f64 = 0.001;
const WITH_WINDOW: f64 = 0.03;
const WITHOUT_WINDOW: f64 = 0.2;

/// 12 bits, and the window that makes the greys of them.
const WINDOWED: Film = Film { stored: 12, window: true, ..FILM };

/// The n-th film, and what is in it.
fn original(files: &Path, n: usize) -> (PathBuf, Radiograph) {
    let jpeg = files.join(format!("image {n:03}.jpeg"));
    let bytes = std::fs::read(&jpeg).expect("a film");
    (jpeg, decode(&bytes, &Limits::default()).expect("a film"))
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
        let (jpeg, film) = original(&files, n);
        let routes = [
            ("8.dcm", FILM.of(&film), SAME),
            ("12.dcm", WINDOWED.of(&film), WITH_WINDOW),
            ("inverted.dcm", Film { inverted: true, ..WINDOWED }.of(&film), WITH_WINDOW),
            ("plain.dcm", Film { stored: 12, ..FILM }.of(&film), WITHOUT_WINDOW),
        ];
        let written = routes.iter().map(|(name, bytes, _)| write(dir.path(), name, bytes));
        let results = predicted(&[jpeg].into_iter().chain(written).collect::<Vec<_>>());
        for (result, (name, _, tolerance)) in results[1..].iter().zip(&routes) {
            let far = probability(&result["result"]) - probability(&results[0]["result"]);
            assert!(far.abs() <= *tolerance, "{n} {name}: {far}");
        }
        let number = n as u32;
        write(&files, &format!("image {n:03}.dcm"), &Film { number, ..WINDOWED }.of(&film));
    }

    // Who is outside the ages of the model, however the age is written, has no answer.
    let (_, film) = original(&files, 0);
    for (number, age) in (10..).zip(["62", "062Y", "Y062", "011M"]) {
        let file = Film { number, age, ..FILM }.of(&film);
        let answers = predicted(&[write(dir.path(), &format!("{number}.dcm"), &file)]);
        assert_eq!(answers[0]["reason"], "out_of_population", "{age}");
        assert!(answers[0]["result"].is_null());
        write(&files, &format!("outside {number}.dcm"), &file);
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

/// Runs a program that has to succeed.
fn succeed(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) {
    let ran = Command::new(program).args(arguments).output().expect("it is installed");
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// Stores a file by STOW-RS (PS3.18, 10.5).
async fn stow(lobar: &Lobar, file: &Path) {
    let head = b"--b\r\ncontent-type: application/dicom\r\n\r\n";
    let bytes = std::fs::read(file).expect("a file");
    let body = [&head[..], &bytes, b"\r\n--b--\r\n"].concat();
    let request = reqwest::Client::new().post(format!("{}/dicom-web/studies", lobar.page));
    let kind = "multipart/related; type=\"application/dicom\"; boundary=b";
    let request = request.header("content-type", kind).header("accept", "application/dicom+json");
    let answer = request.body(body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
}

/// How a file gets to Lobar.
#[derive(Clone, Copy)]
enum Way {
    S3,
    /// `storescu`, with the option by which it proposes the file's transfer syntax.
    Storescu(&'static str),
    Dcmsend,
    Stow,
}

/// Every route of a film: its name, how it is written, what compresses it, how it is sent, and how far its answer may be from
/// the JPEG's.
fn routes() -> Vec<(&'static str, Film, &'static [&'static str], Way, f64)> {
    let dx = Film { dx: true, ..FILM };
    let inverted = Film { inverted: true, ..WINDOWED };
    let inverted_8 = Film { inverted: true, ..FILM };
    let sv1 = &["dcmcjpeg"][..];
    let lossless = &["dcmcjpeg", "+el", "+sv", "4"][..];
    let rle = &["dcmcrle"][..];
    let jpeg_2000 = &["jpeg_2000.py"][..];
    vec![
        ("CR by S3", FILM, &[], Way::S3, SAME),
        ("DX by S3", dx, &[], Way::S3, SAME),
        ("MONOCHROME1 by S3", inverted_8, &[], Way::S3, SAME),
        ("12 bits by S3", WINDOWED, &[], Way::S3, WITH_WINDOW),
        ("MONOCHROME1 of 12 bits by S3", inverted, &[], Way::S3, WITH_WINDOW),
        ("JPEG lossless by S3", WINDOWED, lossless, Way::S3, WITH_WINDOW),
        ("RLE by S3", FILM, rle, Way::S3, SAME),
        ("JPEG 2000 by S3", FILM, jpeg_2000, Way::S3, SAME),
        ("CR by storescu", FILM, &[], Way::Storescu("-xe"), SAME),
        ("DX by dcmsend", dx, &[], Way::Dcmsend, SAME),
        ("MONOCHROME1 of 12 bits by storescu", inverted, &[], Way::Storescu("-xe"), WITH_WINDOW),
        ("JPEG lossless SV1 by storescu", inverted, sv1, Way::Storescu("-xs"), WITH_WINDOW),
        ("RLE by storescu", WINDOWED, rle, Way::Storescu("-xr"), WITH_WINDOW),
        ("JPEG 2000 by storescu", FILM, jpeg_2000, Way::Storescu("-xv"), SAME),
        ("CR by STOW-RS", FILM, &[], Way::Stow, SAME),
        ("MONOCHROME1 of 12 bits by STOW-RS", inverted, &[], Way::Stow, WITH_WINDOW),
        ("JPEG lossless SV1 by STOW-RS", FILM, sv1, Way::Stow, SAME),
        ("RLE by STOW-RS", inverted, rle, Way::Stow, WITH_WINDOW),
        ("JPEG 2000 by STOW-RS", dx, jpeg_2000, Way::Stow, SAME),
    ]
}

/// Writes a film, compressed by a program of DCMTK or by a script beside this one.
fn compressed(folder: &Path, film: &Film, radiograph: &Radiograph, by: &[&str]) -> PathBuf {
    let plain = write(folder, &format!("{}.dcm", film.number), &film.of(radiograph));
    let Some((program, options)) = by.split_first() else { return plain };
    let into = folder.join(format!("{}-compressed.dcm", film.number));
    let paths = [plain.to_str().expect("UTF-8"), into.to_str().expect("UTF-8")];
    if program.ends_with(".py") {
        let script = format!("{}/tests/system/{program}", env!("CARGO_MANIFEST_DIR"));
        succeed(python_program("python3"), &[&[script.as_str()], &paths[..]].concat());
    } else {
        succeed(program, &[options, &paths[..]].concat());
    }
    into
}

#[tokio::test]
async fn the_same_film_by_every_way_into_the_running_system_gives_the_answer_of_the_jpeg() {
    let dir = tempfile::tempdir().expect("a folder");
    let (files, jpeg, data) =
        (dir.path().join("films"), dir.path().join("jpeg"), dir.path().join("data"));
    originals(&files, 2);
    let lobar = Lobar::up(&data);
    let port = lobar.dicom.rsplit(':').next().expect("a port").to_owned();
    std::fs::create_dir(&jpeg).expect("a folder");
    for n in 0..2 {
        let (path, radiograph) = original(&files, n);
        let (number, before) = (100 * n, n * (1 + routes().len()));
        std::fs::copy(path, jpeg.join("film.jpeg")).expect("copied");
        assert!(aws_upload(&lobar, &jpeg).wait().expect("it ends").success());
        let known = Client::new(&lobar.page).settled(before + 1).await;
        // The only one that says nothing of whose it is, and is not there in a newer version.
        let expected = known
            .iter()
            .find(|image| image["instance"].is_null() && image["status"] == "ready")
            .map(|image| probability(&image["result"]))
            .expect("the JPEG's answer");
        let s3 = dir.path().join(format!("s3-{n}"));
        std::fs::create_dir(&s3).expect("a folder");
        let mut sent = Vec::new();
        for (route, film, by, way, tolerance) in routes() {
            let film = Film { number: number as u32 + 1 + sent.len() as u32, ..film };
            let file = compressed(dir.path(), &film, &radiograph, by);
            let path = file.to_str().expect("UTF-8");
            match way {
                Way::S3 => std::fs::rename(&file, s3.join(file.file_name().expect("a name")))
                    .expect("moved"),
                Way::Storescu(option) => succeed("storescu", &[option, "127.0.0.1", &port, path]),
                Way::Dcmsend => succeed("dcmsend", &["127.0.0.1", &port, path]),
                Way::Stow => stow(&lobar, &file).await,
            }
            sent.push((route, film.uid(), tolerance));
        }
        assert!(aws_upload(&lobar, &s3).wait().expect("it ends").success());
        // A fresh connection: an idle one has been closed while programs ran.
        let images = Client::new(&lobar.page).settled(before + 1 + sent.len()).await;
        for (route, uid, tolerance) in sent {
            let found = images.iter().find(|image| image["instance"]["uid"] == uid.as_str());
            let found = found.unwrap_or_else(|| panic!("film {n}, {route}: it is not there"));
            assert_eq!(found["status"], "ready", "film {n}, {route}: {}", found["reason"]);
            let far = probability(&found["result"]) - expected;
            assert!(far.abs() <= tolerance, "film {n}, {route}: {far}");
        }
    }
    // No film was too much for the process that decodes.
    let (_, metrics) = answer(&format!("{}/metrics", lobar.page)).await.expect("an answer");
    for by in ["clock", "processor", "memory_or_crash"] {
        let none = format!("lobar_dicom_children_ended_total{{by=\"{by}\"}} 0\n");
        assert!(metrics.contains(&none), "{by}: {metrics}");
    }
    assert_eq!(lobar.stop(), 0);
}
