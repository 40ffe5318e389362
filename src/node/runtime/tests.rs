//! Life cycles in simulated time.

mod catalogue;
mod connections;
mod life;
mod world;
