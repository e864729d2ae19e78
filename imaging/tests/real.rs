//! Real radiographs, where they are at hand: `LOBAR_TEST_DATA`, or `../shared/data` beside the
//! workspace. Without them the suite says that it is skipped.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::path::{Path, PathBuf};

use lobar_imaging::{
    Limits, check_contrast, check_shape_and_colour, decode, network_input, prepare,
};

#[expect(clippy::disallowed_methods, reason = "where the data lie is not a setting of the product")]
fn data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("LOBAR_TEST_DATA").map_or_else(beside, PathBuf::from);
    let found = data.join("sample_full").is_dir() && data.join("cxr224").is_dir();
    if !found {
        eprintln!("skipped: no radiographs under LOBAR_TEST_DATA or ../shared/data");
    }
    found.then_some(data)
}

/// Every JPEG below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "jpeg") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_original_becomes_the_input_that_the_network_was_trained_on() {
    let Some(data) = data() else { return };
    let copies = files(&data.join("cxr224"));
    let mut compared = 0;
    for original in files(&data.join("sample_full")) {
        let bytes = std::fs::read(&original).unwrap();
        let ours = prepare(&bytes, &Limits::default()).unwrap();
        assert!(ours.warnings.is_empty(), "{:?}", ours.warnings);
        let Some(copy) = copies.iter().find(|c| c.file_name() == original.file_name()) else {
            continue;
        };
        // The copy went through JPEG once more, which alone is up to 2.1 grey levels in the mean.
        let copy = decode(&std::fs::read(copy).unwrap(), &Limits::default()).unwrap();
        let difference: u64 = ours
            .input
            .pixels()
            .iter()
            .zip(&copy.pixels)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        let mean = difference as f64 / copy.pixels.len() as f64;
        assert!(mean < 2.5, "{}: {mean}", original.display());
        compared += 1;
    }
    assert!(compared > 0, "no original had a copy to compare with");
}

#[test]
fn no_real_radiograph_is_refused() {
    let Some(data) = data() else { return };
    let copies = files(&data.join("cxr224"));
    assert!(copies.len() > 100);
    for file in copies {
        let radiograph = decode(&std::fs::read(&file).unwrap(), &Limits::default()).unwrap();
        check_shape_and_colour(&radiograph).unwrap();
        let input = network_input(&radiograph).unwrap();
        assert_eq!(
            input.pixels(),
            radiograph.pixels,
            "a picture of the input's size stays as it is"
        );
        check_contrast(&input).unwrap();
    }
}

#[test]
fn no_original_cut_short_gives_a_picture() {
    let Some(data) = data() else { return };
    for (i, original) in files(&data.join("sample_full")).iter().enumerate().take(20) {
        let whole = std::fs::read(original).unwrap();
        for eighth in 1..8 {
            let len = whole.len() * eighth / 8 + i;
            assert!(decode(&whole[..len], &Limits::default()).is_err());
            let glued = [&whole[..len], &[0, 0xff, 0xd9]].concat();
            assert!(decode(&glued, &Limits::default()).is_err(), "{} {len}", original.display());
        }
    }
}
