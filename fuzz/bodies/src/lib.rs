//! What the fuzz targets do, in a place where plain tests reach it too.
//!
//! Each target is a function of bytes that panics if a promise is broken:
//!
//! | target            | the bytes are                                | it holds                          |
//! |-------------------|----------------------------------------------|-----------------------------------|
//! | [`decode_frame`]  | a stream in either direction                 | what is read is written back alike; memory is bounded; cuts do not matter |
//! | [`hosts_string`]  | a text                                       | normal forms are normal; parts join to the whole |
//! | [`model()`]       | calls of several sessions, and what becomes of their connections | server and sessions answer as a model of the tree does |
//! | [`server_bytes`]  | what hostile clients send, and what becomes of them | the server serves on, within bounds, and does the same again |
//! | [`session_bytes`] | calls, and what a hostile server sends       | the session's promises to its driver, whatever the server does |
//! | [`session_ops`]   | calls, and what becomes of an honest network | those, the deadline and the outcome of every write |
//! | [`session_watches`] | watchers, writers, and a connection that breaks | everyone is told what they are entitled to, once |
//!
//! `fuzz/fuzz_targets` hands them to libFuzzer; `tests/replay.rs` runs the committed [`corpus`] on
//! every change.

#![forbid(unsafe_code)]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a target names what it is about, and leaves the rest alone"
)]

mod clients;
pub mod corpus;
mod cursor;
mod frames;
mod hostile;
mod hosts;
mod model;
mod ops;
pub mod seeds;
mod watches;

pub use clients::server_bytes;
pub use frames::decode_frame;
pub use hostile::session_bytes;
pub use hosts::hosts_string;
pub use model::{ModelCase, model, model_case};
pub use ops::{session_case, session_ops};
pub use watches::{session_watches, watches_case};

/// A fuzz target: its name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("decode_frame", decode_frame),
    ("hosts_string", hosts_string),
    ("model", model),
    ("server_bytes", server_bytes),
    ("session_bytes", session_bytes),
    ("session_ops", session_ops),
    ("session_watches", session_watches),
];
