//! Life cycles in simulated time.

mod catalogue;
mod connections;
mod databases;
mod life;
mod world;
