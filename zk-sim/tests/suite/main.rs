//! Tests of the simulator, with tiny servers of their own.

mod chaos;
mod clients;
mod echo;
mod endings;
mod machines;
mod network;
mod servers;
mod tiny;
