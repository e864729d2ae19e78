//! Messages on the uploads queue, and keys in them: see `lobar_ingest::fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lobar_ingest::fuzzing::notification(bytes));
