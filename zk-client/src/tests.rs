//! The whole client against a scripted peer: nothing runs but by the test's own hand.

mod closing;
mod connecting;
mod order;
mod reads;
mod rig;
mod room;
mod shapes;
mod steps;
mod stress;
mod waiting;
mod watches;

pub(crate) use rig::{Rig, TestHandler, count_wakes, poll_once};
