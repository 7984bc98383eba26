//! The SASL mechanisms that ZooKeeper speaks, without I/O.

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]
