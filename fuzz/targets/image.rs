//! JPEG, PNG and DICOM files: see `lobar_imaging::fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lobar_imaging::fuzzing::image(bytes));
