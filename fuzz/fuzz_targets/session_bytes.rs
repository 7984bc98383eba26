//! See `zk_fuzz_bodies::session_bytes`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zk_fuzz_bodies::session_bytes(data));
