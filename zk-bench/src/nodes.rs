//! The znodes of the workloads, and how large everything is.

use std::time::Duration;

/// Requests under way at once in the pipelined workloads.
pub(crate) const WINDOW: usize = 1000;
/// Sessions of `w5`.
pub(crate) const SESSIONS: usize = 100;
/// Children of [`KIDS_PATH`].
pub(crate) const KIDS: usize = 10_000;
/// Watches of `w7`.
pub(crate) const WATCHES: usize = 100_000;
/// Bytes of a usual node.
pub(crate) const SMALL: usize = 128;
/// Bytes of [`BIG_PATH`].
pub(crate) const BIG: usize = 1_000_000;
/// The session timeout asked for, and given by the stub.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

/// What is read.
pub(crate) const DATA_PATH: &str = "/bench/data";
/// What is written.
pub(crate) const SET_PATH: &str = "/bench/data2";
/// What has [`BIG`] bytes.
pub(crate) const BIG_PATH: &str = "/bench/big";
/// What has [`KIDS`] children.
pub(crate) const KIDS_PATH: &str = "/bench/kids";

/// What is written.
pub(crate) static DATA: [u8; SMALL] = [b'x'; SMALL];

/// A node to be watched.
pub(crate) fn watched(index: usize) -> String {
    format!("/bench/w/n{index:06}")
}

/// The name of a child.
pub(crate) fn kid(index: usize) -> String {
    format!("child-{index:08}")
}

/// A node to be created by this process, and deleted again.
pub(crate) fn created(process: u32, index: u64) -> String {
    format!("/bench/c/{process}-{index}")
}
