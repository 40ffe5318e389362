//! Ordered maps and sets that share what they can with their copies.
//!
//! A cluster is a value that is copied for every snapshot, so its maps must be cheap to copy: a copy costs one
//! reference count, and a change after it copies the path to what changed. The tree is a plain AVL tree of shared nodes.
//! It is our own because of what the page downloads: a library's B-tree came to 17 kB of WebAssembly for each of fifty
//! types of maps, this one comes to about 3.

mod iter;
mod map;
mod node;
mod set;

pub use iter::{Iter, Keys, Values};
pub use map::{Entry, OrdMap};
pub use set::OrdSet;

#[cfg(test)]
mod tests;
