//! A session: a cluster together with everything that was done to it, which is all it takes to have it again.
//!
//! `Session` = engine version + seed + profile + a list of (simulated time, action). Autosave, share links, undo, bug
//! reports and recovery from a crash of the engine are all this log.

mod action;
mod client;
mod expectation;
pub mod link;
mod log;
mod play;
pub mod scenario;
mod streams;

pub use action::{Action, ActionError, ApplyError, Disturbance, File, NodeName, ObjectName, Outcome};
pub use expectation::Expectation;
pub use log::{LogEntry, LogError, SessionConfig, SessionLog};
pub use play::Session;
pub use streams::{AttachInput, ExecCommand, ExecInput, OutsideRequest, PodRequest};
