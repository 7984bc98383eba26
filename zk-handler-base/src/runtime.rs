//! What an async runtime is asked for: [`Runtime`], [`Socket`], [`Timer`].

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use zk_client::Task;

/// A runtime that clients are driven on.
pub trait Runtime: Send + Sync + 'static {
    /// A TCP connection.
    type Socket: Socket;
    /// Something that wakes a task later.
    type Timer: Timer;

    /// Connects to one address.
    fn connect(&self, address: SocketAddr) -> Connecting<Self::Socket>;

    /// A timer that is not set.
    fn timer(&self) -> Self::Timer;

    /// Runs a task to its end. Where the runtime has been shut down, it drops the task.
    ///
    /// # Errors
    /// If there is no thread to be had for it; the task is dropped.
    fn spawn(&self, task: Task) -> io::Result<()>;
}

/// A connection that is being made.
pub type Connecting<S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send>>;

/// A connected TCP socket that never blocks. It belongs to one task.
pub trait Socket: Send + Unpin + 'static {
    /// Reads once. `Pending`: the task is woken when there is something to read.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes once. `Pending`: the task is woken when the socket takes bytes again.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes once, or fails with [`io::ErrorKind::WouldBlock`]. Works outside of the runtime.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Says to the peer that nothing more will be written.
    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The addresses of this side and of the peer.
    fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)>;
}

/// Wakes a task some time later.
pub trait Timer: Send + Unpin + 'static {
    /// Sets it, or sets it anew.
    fn set(&mut self, after: Duration);

    /// `Pending`: the task is woken when the time has come. May come a little early.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
