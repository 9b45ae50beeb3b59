//! A gguf file from a stranger.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tomo_fuzz::open_and_use(bytes, tomo_checkpoint::Format::Gguf));
