//! Scripts and what they print.

mod harness;
mod language;
mod network;
mod tools;
mod waiting;
