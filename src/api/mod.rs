//! The kinds of the API: which there are, what they are called, and one value that can be any of them.

mod kind;
mod object;
pub mod strategy;
pub mod table;

pub use kind::{Kind, KindInfo, Subresource};
pub use object::{Name, Object, ObjectKey, Resource, controller_of};
