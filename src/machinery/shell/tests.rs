//! Scripts and what they print.

mod data;
mod errors;
mod harness;
mod language;
mod network;
mod scripts;
mod tools;
mod waiting;
