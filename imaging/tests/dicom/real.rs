//! Real files, where they are at hand: `LOBAR_TEST_DATA`, or `../shared/data` beside the workspace.

use std::path::{Path, PathBuf};

use lobar_core::image::Reason;
use lobar_imaging::{Limits, Rejection, decode, network_input, prepare, read};

use crate::file::File;

#[expect(clippy::disallowed_methods, reason = "where the data lie is not a setting of the product")]
fn data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("LOBAR_TEST_DATA").map_or_else(beside, PathBuf::from);
    let found = data.join("dicom").is_dir() && data.join("adults224").is_dir();
    if !found {
        eprintln!("skipped: no radiographs under LOBAR_TEST_DATA or ../shared/data");
    }
    found.then_some(data)
}

fn dicom(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(data()?.join("dicom").join(name)).unwrap())
}

#[test]
fn a_chest_cr_in_jpeg_is_read() {
    let Some(file) = dicom("rsna_cxr_mono2_jpeg.dcm") else { return };
    let read = read(&file, &Limits::default());
    let prepared = read.prepared.unwrap();
    assert_eq!((prepared.width, prepared.height), (1024, 1024));
    assert!(prepared.warnings.is_empty(), "{:?}", prepared.warnings);
    let attributes = read.attributes.unwrap();
    assert_eq!(attributes.series.modality.as_deref(), Some("CR"));
    assert_eq!(attributes.patient.sex.as_deref(), Some("M"));
    assert!(attributes.instance.uid.is_some());
}

#[test]
fn a_true_monochrome1_without_preamble_is_inverted() {
    let Some(file) = dicom("CR-MONO1-10-chest_nopreamble.dcm") else { return };
    let radiograph = decode(&file, &Limits::default()).unwrap();
    assert_eq!((radiograph.width, radiograph.height), (440, 440));
    // A third of the way down: the spine is brighter than the lungs beside it.
    let mean = |from: usize, to: usize| {
        let row = &radiograph.pixels[150 * 440..][from..to];
        row.iter().map(|pixel| u32::from(*pixel)).sum::<u32>() / row.len() as u32
    };
    assert!(mean(200, 230) > mean(80, 130) + 50 && mean(200, 230) > mean(310, 350) + 50);
    prepare(&file, &Limits::default()).unwrap();
}

#[test]
fn slices_are_refused_by_their_class() {
    for name in ["ood_CT_small.dcm", "ood_MR_small.dcm"] {
        let Some(file) = dicom(name) else { return };
        let refused = prepare(&file, &Limits::default()).unwrap_err();
        assert_eq!(refused.reason, Reason::NotAChestRadiograph, "{name}");
        assert!(refused.detail.contains("(0008,0016)"), "{refused}");
    }
}

#[test]
fn no_real_file_cut_short_gives_a_picture() {
    for name in ["rsna_cxr_mono2_jpeg.dcm", "CR-MONO1-10-chest_nopreamble.dcm"] {
        let Some(file) = dicom(name) else { return };
        for eighth in 1..8 {
            assert!(
                decode(&file[..file.len() * eighth / 8], &Limits::default()).is_err(),
                "{name}"
            );
        }
    }
}

/// How many of the films are refused for their polarity, as they are and inverted.
fn refused_polarity(files: &[PathBuf]) -> [usize; 2] {
    let mut refused = [0; 2];
    for file in files {
        let picture = decode(&std::fs::read(file).unwrap(), &Limits::default()).unwrap();
        let small = network_input(&picture).unwrap();
        for (inverted, count) in [false, true].into_iter().zip(&mut refused) {
            let grey = |pixel: &u8| u16::from(if inverted { 255 - pixel } else { *pixel });
            let samples: Vec<u16> = small.pixels().iter().map(grey).collect();
            let read = prepare(&File::chest(224, 224, 8, &samples).bytes(), &Limits::default());
            *count += usize::from(matches!(
                read,
                Err(Rejection { reason: Reason::UncertainPolarity, .. })
            ));
        }
    }
    refused
}

#[test]
fn real_films_are_refused_for_their_polarity_when_they_are_inverted_only() {
    let Some(data) = data() else { return };
    for folder in ["adults224", "sample_full"] {
        let files: Vec<PathBuf> = std::fs::read_dir(data.join(folder))
            .unwrap()
            .flat_map(|class| std::fs::read_dir(class.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .collect();
        let [as_they_are, inverted] = refused_polarity(&files);
        eprintln!("{folder}: {as_they_are} and, inverted, {inverted} of {}", files.len());
        assert_eq!(as_they_are, 0, "{folder}");
        assert!(inverted * 10 >= files.len() * 9, "{folder}: {inverted}");
    }
}
