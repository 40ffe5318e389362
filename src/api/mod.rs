//! The kinds of the API: which there are, what they are called, and one value that can be any of them; per group what
//! they are by default, what is wrong with them and how tables show them.

mod admission_registration;
pub(crate) mod api_registration;
pub mod apiextensions;
pub(crate) mod apps;
mod autoscaling;
pub(crate) mod batch;
pub(crate) mod certificates;
pub(crate) mod check;
pub(crate) mod computed;
mod coordination;
pub mod core;
mod discovery;
pub(crate) mod flow_control;
pub mod form;
mod internal;
mod kind;
mod kind_map;
pub mod managed_fields;
mod meta;
pub(crate) mod networking;
mod node;
mod object;
mod parts;
pub(crate) mod policy;
pub mod quota;
mod rbac;
pub mod resource;
pub(crate) mod scheduling;
pub mod storage;
pub mod strategy;
pub mod table;
mod unstructured;
mod versions;

pub use apiextensions::CustomKind;
pub use kind::{Kind, KindInfo, Subresource};
pub use kind_map::KindMap;
pub use object::{Name, Object, ObjectKey, Resource, controller_of};
pub use parts::Parts;
pub use unstructured::Unstructured;
pub use versions::{OTHER_VERSIONS, OtherVersion};
