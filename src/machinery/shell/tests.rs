//! Scripts and what they print.

mod errors;
mod harness;
mod language;
mod network;
mod tools;
mod waiting;
