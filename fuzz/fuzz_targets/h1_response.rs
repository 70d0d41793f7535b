//! An arbitrary answer gives the same events in one piece and in any other.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| evenkeel::fuzzing::h1_response(input));
