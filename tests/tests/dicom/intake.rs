//! How fast instances come in, beside DCMTK's `storescp` writing with fsync: see docs/benchmarks.md.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::FileMetaTableBuilder;
use lobar_testkit::services::free_port;
use lobar_tests::kit::Lobar;

use super::fixture::{CR, EXPLICIT, PATIENCE, image, run, succeed, uid};

const IMAGES: usize = 60;
const ROUNDS: usize = 3;
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

fn write_radiographs(folder: &Path) {
    let mut random = 1_u32;
    for number in 0..IMAGES {
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
        file.write_to_file(folder.join(format!("{number}.dcm"))).expect("written");
    }
}

/// Sends all; how long it took.
async fn send(port: &str, files: &Path) -> Duration {
    let began = Instant::now();
    succeed("storescu", &["+sd", "127.0.0.1", port, &files.display().to_string()]).await;
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
    command.arg("-od").arg(&into).arg(&port).env("LD_PRELOAD", &library).stdin(Stdio::null());
    let server = StoreScp(command.stderr(Stdio::null()).spawn().expect("starts"));
    let answers = async {
        while !run("echoscu", &["127.0.0.1", &port]).await.status.success() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answers).await.expect("it starts");
    (server, port)
}

#[tokio::test]
#[ignore = "a measurement"]
async fn intake_beside_storescp_with_fsync() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = folder.path().join("files");
    std::fs::create_dir(&files).expect("made");
    write_radiographs(&files);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (_server, port) = storescp(folder.path()).await;
    for round in 0..ROUNDS {
        theirs.push(send(&port, &files).await);
        // What is stored already is not stored again: each round is another one's first.
        let data = folder.path().join(format!("data-{round}"));
        let arguments = ["run", "--roles", "s3,dicom", "--signal", "poll:"];
        let lobar = Lobar::start(&lobar_tests::kit::executable(), &arguments, &data);
        let port = lobar.dicom.rsplit(':').next().expect("a port").to_owned();
        ours.push(send(&port, &files).await);
        assert_eq!(lobar.stop(), 0);
    }
    let rate = |times: &mut Vec<Duration>| {
        times.sort();
        IMAGES as f64 / times[ROUNDS / 2].as_secs_f64()
    };
    let (ours, theirs) = (rate(&mut ours), rate(&mut theirs));
    println!(
        "{IMAGES} images of {} x {}, median of {ROUNDS}: Lobar {ours:.1}/s, storescp with fsync {theirs:.1}/s, ratio {:.2}",
        SIZE.0,
        SIZE.1,
        ours / theirs
    );
}
