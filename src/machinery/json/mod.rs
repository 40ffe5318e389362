//! Between Rust types and [`serde_json::Value`].
//!
//! Every type of the program goes through here, in both directions, and never through another deserializer: what serde
//! generates for a type it generates once for each deserializer, and the types of Kubernetes are many. `serde_json`'s own
//! conversion does the same and costs the download twice as much, since each type brings its error texts along. What
//! comes from outside is checked before it gets here ([`super::strict`]), so that an error here needs only few words.

mod read;
mod write;

pub use read::{ReadError, from_value};
pub use write::to_value;

#[cfg(test)]
mod tests;
