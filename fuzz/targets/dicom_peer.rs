//! What DICOM peers send: see `lobar_dicom::fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lobar_dicom::fuzzing::peer_bytes(bytes));
