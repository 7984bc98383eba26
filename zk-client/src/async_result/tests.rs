//! Every way to wait, and every way to give up.

#[cfg(loom)]
mod model;
