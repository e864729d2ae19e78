//! DICOM files and data sets: see `lobar_imaging::fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lobar_imaging::fuzzing::dicom(bytes));
