//! Tests of the simulator, with tiny servers of their own.

mod clients;
mod echo;
mod endings;
mod machines;
mod network;
mod tiny;
