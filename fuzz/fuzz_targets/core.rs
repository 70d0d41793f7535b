//! The lock-free core does, step after step, what a plain model of it says.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| evenkeel::fuzzing::core(input));
