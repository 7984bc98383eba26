//! What the driver asks of tokio.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep};
use zk_client::Task;
use zk_handler_base::{Connecting, Runtime, Socket, Timer};

/// A runtime, by its handle.
#[derive(Debug)]
pub(crate) struct Tokio(Handle);

impl Tokio {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self(runtime)
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
        let _guard = self.0.enter();
        Sleeper(Box::pin(sleep(Duration::ZERO)))
    }

    fn spawn(&self, task: Task) -> io::Result<()> {
        drop(self.0.spawn(task));
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
