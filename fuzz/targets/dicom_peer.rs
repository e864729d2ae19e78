//! See `lobar_dicom::fuzzing::peer_bytes`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| lobar_dicom::fuzzing::peer_bytes(input));
