//! See `zk_fuzz_bodies::hosts_string`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zk_fuzz_bodies::hosts_string(data));
