//! A program for the tests to start: it says what its init handed to it.
fn main() {}
