#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kubetab_fuzz::targets::request(data));
