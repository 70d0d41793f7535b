//! An arbitrary request is refused, or parses back as itself.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| evenkeel::fuzzing::h1_roundtrip(input));
