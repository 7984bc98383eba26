//! The session on a virtual clock, against a server that says what the test tells it to say.
//!
//! Every test drives a [`rig::Rig`], which checks the general promises at each step: one answer for
//! each request, in order; state changes that follow from each other; and nothing left behind in a
//! session that was closed.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test has one answer to all that it does not expect"
)]

mod rig;

mod bad_input;
mod bounds;
mod closing;
mod credentials;
mod giving_up;
mod kazoo_states;
mod layers;
mod liveness;
mod options;
mod outcome;
mod read_only;
mod restore;
mod servers;
mod truth;
mod watches;
mod wires;
