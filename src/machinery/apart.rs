//! Code that stays by itself.

/// Does some work in a function of its own.
///
/// A dispatcher over all kinds has an arm for each, and the compiler writes what only one arm calls into the dispatcher
/// itself. The page's engine then has to load all of it before its cluster lives, though it meets only a few kinds
/// (ARCHITECTURE.md, "Two parts"). What is apart is loaded when its time comes.
#[inline(never)]
pub fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}
