//! How fast instances come in, beside DCMTK's `storescp` writing with fsync: see docs/benchmarks.md.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::FileMetaTableBuilder;
use lobar_testkit::services::free_port;
use lobar_tests::kit::{Lobar, executable, originals, real_data};

use super::fixture::{CR, EXPLICIT, PATIENCE, image, run, succeed, uid};

const IMAGES: usize = 60;
const ROUNDS: usize = 5;
/// Rows and columns of a computed radiograph.
const SIZE: (u16, u16) = (2010, 1670);

/// Makes `fclose` durable.
const FSYNC: &str = r"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int fclose(FILE *file) {
    static int (*next)(FILE *);
    if (!next) next = (int (*)(FILE *))dlsym(RTLD_NEXT, __func__);
    fflush(file);
    fsync(fileno(file));
    return next(file);
}
";

/// What is sent.
struct Batch {
    what: &'static str,
    /// What `storescu` has to be told to send them.
    proposing: &'static [&'static str],
    files: Vec<PathBuf>,
}

/// Files of these numbers in a folder of their own.
fn numbered(folder: PathBuf) -> Vec<PathBuf> {
    std::fs::create_dir(&folder).expect("made");
    (0..IMAGES).map(|number| folder.join(format!("{number}.dcm"))).collect()
}

fn computed_radiographs(folder: &Path) -> Batch {
    let files = numbered(folder.join("computed"));
    let mut random = 1_u32;
    for (number, path) in files.iter().enumerate() {
        let mut set = image(&uid(number));
        let pixels: Vec<u16> = (0..usize::from(SIZE.0) * usize::from(SIZE.1))
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 20) as u16
            })
            .collect();
        set.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(SIZE.0)));
        set.put(DataElement::new(tags::COLUMNS, VR::US, PrimitiveValue::from(SIZE.1)));
        set.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(CR)
            .media_storage_sop_instance_uid(uid(number))
            .transfer_syntax(EXPLICIT);
        let file = set.with_meta(meta).expect("a file");
        file.write_to_file(path).expect("written");
    }
    Batch { what: "computed radiographs, 16 bits", proposing: &[], files }
}

/// The originals at hand, or drawn pictures, as JPEG in DICOM and decompressed.
async fn films(folder: &Path) -> [Batch; 2] {
    let pictures = folder.join("pictures");
    originals(&pictures, IMAGES);
    let mut pictures: Vec<_> = std::fs::read_dir(&pictures).expect("readable").collect();
    let pictures = pictures.drain(..).map(|file| file.expect("readable").path());
    let (jpeg, plain) = (numbered(folder.join("jpeg")), numbered(folder.join("plain")));
    for (picture, (jpeg, plain)) in pictures.zip(jpeg.iter().zip(&plain)) {
        let [picture, jpeg, plain] = [&picture, jpeg, plain].map(|path| path.display().to_string());
        succeed("img2dcm", &[&picture, &jpeg]).await;
        succeed("dcmdjpeg", &[&jpeg, &plain]).await;
    }
    [
        Batch { what: "films, JPEG baseline", proposing: &["-xy"], files: jpeg },
        Batch { what: "films, uncompressed", proposing: &[], files: plain },
    ]
}

/// A public computed radiograph, under another UID each time.
async fn public_radiographs(folder: &Path) -> Option<Batch> {
    let one = real_data()?.join("dicom/CR-MONO1-10-chest_nopreamble.dcm");
    let files = numbered(folder.join("public"));
    for path in &files {
        let [one, path] = [&one, path].map(|path| path.display().to_string());
        succeed("dcmconv", &["--write-file", &one, &path]).await;
        succeed("dcmodify", &["-nb", "-gin", &path]).await;
    }
    Some(Batch { what: "a public radiograph, 440 x 440", proposing: &[], files })
}

/// Sends all, dealt to so many associations; how long it took.
async fn send(port: &str, batch: &Batch, associations: usize) -> Duration {
    let part = |first: usize| -> Vec<String> {
        let to = ["127.0.0.1".to_owned(), port.to_owned()];
        let files = batch.files.iter().skip(first).step_by(associations);
        let files = files.map(|file| file.display().to_string());
        batch.proposing.iter().map(|one| (*one).to_owned()).chain(to).chain(files).collect()
    };
    let parts: Vec<Vec<String>> = (0..associations).map(part).collect();
    let began = Instant::now();
    let sending = parts.iter().map(async |part| {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        succeed("storescu", &part).await;
    });
    futures::future::join_all(sending).await;
    began.elapsed()
}

struct StoreScp(Child);

impl Drop for StoreScp {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn storescp(folder: &Path) -> (StoreScp, String) {
    let (source, library) = (folder.join("fsync.c"), folder.join("fsync.so"));
    std::fs::write(&source, FSYNC).expect("written");
    let paths = [&library, &source].map(|path| path.display().to_string());
    succeed("cc", &["-shared", "-fPIC", "-O2", "-o", &paths[0], &paths[1], "-ldl"]).await;
    let (port, into) = (free_port().to_string(), folder.join("received"));
    std::fs::create_dir_all(&into).expect("made");
    let mut command = Command::new("storescp");
    command
        .args(["--fork", "+xa", "-od"])
        .arg(&into)
        .arg(&port)
        .env("LD_PRELOAD", &library)
        .stdin(Stdio::null());
    let server = StoreScp(command.stderr(Stdio::null()).spawn().expect("starts"));
    let answers = async {
        while !run("echoscu", &["127.0.0.1", &port]).await.status.success() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answers).await.expect("it starts");
    (server, port)
}

/// Images a second of both, medians of rounds in which they take turns.
async fn beside(folder: &Path, port: &str, batch: &Batch, associations: usize) -> [f64; 2] {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        theirs.push(send(port, batch, associations).await);
        // What is stored already is not stored again: each round is another one's first.
        let data = folder.join(format!("data-{round}"));
        let arguments = ["run", "--roles", "s3,dicom", "--signal", "poll:"];
        let lobar = Lobar::start(&executable(), &arguments, &data);
        let port = lobar.dicom.rsplit(':').next().expect("a port").to_owned();
        ours.push(send(&port, batch, associations).await);
        assert_eq!(lobar.stop(), 0);
        std::fs::remove_dir_all(&data).expect("removed");
    }
    [ours, theirs].map(|mut times| {
        times.sort();
        batch.files.len() as f64 / times[ROUNDS / 2].as_secs_f64()
    })
}

#[tokio::test]
#[ignore = "a measurement"]
async fn intake_beside_storescp_with_fsync() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut batches = vec![computed_radiographs(folder)];
    batches.extend(films(folder).await);
    batches.extend(public_radiographs(folder).await);
    let (_server, port) = storescp(folder).await;
    println!("{IMAGES} images of each kind, images/s, medians of {ROUNDS}");
    println!("| what | MB each | associations | Lobar | `storescp` with fsync | ratio |");
    println!("|---|---|---|---|---|---|");
    for batch in &batches {
        let length = |path: &PathBuf| std::fs::metadata(path).expect("there").len();
        let each = batch.files.iter().map(length).sum::<u64>() as f64 / 1e6 / IMAGES as f64;
        for associations in [1, 8] {
            let [ours, theirs] = beside(folder, &port, batch, associations).await;
            let ratio = ours / theirs;
            let what = batch.what;
            println!(
                "| {what} | {each:.1} | {associations} | {ours:.1} | {theirs:.1} | {ratio:.2} |"
            );
        }
    }
}
