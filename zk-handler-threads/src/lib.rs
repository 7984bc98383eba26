//! Placeholder while the crate is being written.
#![forbid(unsafe_code)]
#![allow(dead_code)]
mod callbacks;
mod clock;
mod deadlines;
mod resolve;
mod task;
mod threads;
