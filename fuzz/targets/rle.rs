//! Frames in RLE: see `lobar_imaging::fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lobar_imaging::fuzzing::rle(bytes));
