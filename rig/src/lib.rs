//! A session, a model of its servers, and a network between them that does as it is told: for the
//! tests of the session's properties, and for fuzzing.
//!
//! Everything is a function of its arguments. A [`Case`](run::Case) is a list of steps, and
//! [`transcript`](run::transcript) carries it out:
//!
//! ```text
//!   Op ──► Rig ──► Session ──► Action, Event ──► Checks
//!           │        ▲ │
//!           ▼        │ ▼ bytes, cut anyhow
//!         Cluster: sessions, time, Tree, one Registry of watches a connection
//! ```
//!
//! [`watches::run`] does the same for watches alone, and knows what each watcher is entitled to.
//!
//! [`Checks`](checks::Checks) keeps the books: every request ends once, states are a chain, nothing is
//! told after the end, what is called "not applied" never took effect, deadlines are never late.

#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::exhaustive_enums,
    clippy::wildcard_enum_match_arm,
    reason = "only tests of this repository use it, and they name what they are about"
)]

pub mod checks;
pub mod cluster;
pub mod ops;
pub mod options;
pub mod registry;
pub mod run;
mod serve;
pub mod tree;
pub mod watchers;
pub mod watches;
pub mod world;
