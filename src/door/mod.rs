//! The HTTP door: a session behind plain HTTP, for real clients.
//!
//! One actor owns the session (`actor.rs`); connections (`server.rs`) send it requests and get answers, whole or as a
//! stream. What a path means is in `route.rs`; watches are fed from the store's log by revision (`watch.rs`), so that
//! a slow client lags behind by itself, and one that lags too far is told that its revision is gone.
//!
//! There is no encryption and no login: whoever can reach the door is the cluster's administrator. So it opens on
//! loopback addresses only, and listens to nobody who calls it by another name.

mod actions;
mod actor;
mod authentication;
mod discovery;
mod health;
mod keep;
mod logs;
mod message;
mod metrics;
mod negotiate;
mod openapi;
mod order;
mod port_forward;
mod protobuf;
mod proxy;
mod route;
mod server;
mod spdy;
mod talk;
mod terminal;
mod upgrade;
mod watch;
mod wire;

pub use actor::{Clock, Door};
pub use authentication::Impersonation;
pub use message::{Content, HttpRequest, Reply};
pub use server::serve;
