//! Where a client's event stream begins: see `lobar_api::fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lobar_api::fuzzing::sse_position(bytes));
