//! Keys in the embedded S3 endpoint: how they are listed and written: see `lobar_endpoint::fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lobar_endpoint::fuzzing::s3_listing(bytes));
