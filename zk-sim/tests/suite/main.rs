//! Tests of the simulator, with a tiny server of their own.

mod clients;
mod tiny;
