//! What the driver asks of tokio.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep};
use zk_client::Task;
use zk_handler_base::{Connecting, Runtime, Socket, Timer};

/// A runtime, by its handle.
#[derive(Debug)]
pub(crate) struct Tokio {
    handle: Handle,
    /// Set once it has shown that it can do what is asked of it.
    able: OnceLock<()>,
}

impl Tokio {
    pub(crate) fn new(handle: Handle) -> Self {
        let able = OnceLock::new();
        Self { handle, able }
    }

    /// Has it a clock, and sockets? Without them tokio panics when they are used.
    pub(crate) fn is_able(&self) -> bool {
        let try_it = || {
            drop(self.timer());
            let _guard = self.handle.enter();
            let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket).map(drop)
        };
        if self.able.get().is_some() {
            return true;
        }
        // An error tells nothing: it may pass.
        let tried: Option<io::Result<()>> = catch_unwind(try_it).ok();
        if matches!(tried, Some(Ok(()))) {
            let _ = self.able.set(()); // somebody else may have found it out, too
        }
        tried.is_some()
    }
}

impl Runtime for Tokio {
    type Socket = Stream;
    type Timer = Sleeper;

    fn connect(&self, address: SocketAddr) -> Connecting<Stream> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Stream(stream))
        })
    }

    fn timer(&self) -> Sleeper {
        let _guard = self.handle.enter();
        Sleeper(Box::pin(sleep(Duration::ZERO)))
    }

    fn spawn(&self, task: Task) -> io::Result<()> {
        drop(self.handle.spawn(task));
        Ok(())
    }
}

pub(crate) struct Stream(TcpStream);

impl Socket for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.0.local_addr()?, self.0.peer_addr()?))
    }
}

pub(crate) struct Sleeper(Pin<Box<Sleep>>);

impl Timer for Sleeper {
    fn set(&mut self, after: Duration) {
        self.0.as_mut().reset(Instant::now() + after);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
