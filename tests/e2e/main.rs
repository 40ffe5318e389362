//! Drives the built page in headless Chromium. `make test` builds the page and runs these;
//! alone: `make dist e2e`, one of them: `make e2e ONLY=part_of_its_name`.
//!
//! Screenshots go to `target/screenshots/`; a failing test leaves one there as well.

mod editor;
mod harness;
mod late;
mod lessons;
mod page;
mod reading;
mod requests;
mod rollout;
mod session;
mod sizes;
mod start;
mod terminal;
