//! Bodies and tokens that clients send: see `lobar_api::fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lobar_api::fuzzing::stow_multipart(bytes));
