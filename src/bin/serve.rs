//! The serve.

fn main() {}
