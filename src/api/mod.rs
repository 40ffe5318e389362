//! The kinds of the API: which there are, what they are called, and one value that can be any of them; per group what
//! they are by default, what is wrong with them and how tables show them.

mod apps;
mod autoscaling;
pub(crate) mod batch;
pub(crate) mod check;
mod coordination;
pub mod core;
mod discovery;
pub mod form;
mod internal;
mod kind;
mod meta;
mod networking;
mod object;
mod rbac;
pub mod strategy;
pub mod table;
mod unstructured;

pub use kind::{Kind, KindInfo, Subresource};
pub use object::{Name, Object, ObjectKey, Resource, controller_of};
pub use unstructured::Unstructured;
