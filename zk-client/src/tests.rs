//! The whole client against a scripted peer: nothing runs but by the test's own hand.

mod closing;
mod commands;
mod connecting;
mod ensemble;
mod harness;
mod order;
mod protected;
mod reads;
mod resolving;
mod retrying;
mod rig;
mod room;
mod sessions;
mod shapes;
mod steps;
mod stress;
mod transactions;
mod trees;
mod waiting;
mod watches;
mod world;

pub(crate) use rig::{Rig, TestHandler, count_wakes, poll_once};
