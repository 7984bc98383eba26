//! What the driver asks of async-io.

use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_io::Async;
use zk_client::Task;
use zk_handler_base::{Connecting, Runtime, Socket, Timer};

use crate::home::Home;

/// The reactor, and where tasks run.
#[derive(Debug)]
pub(crate) struct Smol(pub(crate) Home);

impl Runtime for Smol {
    type Socket = Stream;
    type Timer = Alarm;

    fn connect(&self, address: SocketAddr) -> Connecting<Stream> {
        Box::pin(async move {
            let stream = Async::<TcpStream>::connect(address).await?;
            stream.get_ref().set_nodelay(true)?;
            Ok(Stream {
                stream,
                empty: false,
            })
        })
    }

    fn timer(&self) -> Alarm {
        Alarm(async_io::Timer::never())
    }

    fn spawn(&self, task: Task) -> io::Result<()> {
        self.0.spawn(task)
    }
}

pub(crate) struct Stream {
    stream: Async<TcpStream>,
    /// The last read has found nothing more to read.
    empty: bool,
}

impl Socket for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.empty {
                ready!(self.stream.poll_readable(cx))?;
                self.empty = false;
            }
            match self.stream.get_ref().read(buffer) {
                Ok(count) => {
                    // The reactor tells of what comes later.
                    self.empty = count < buffer.len();
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.empty = true,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.stream.get_ref().write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            ready!(self.stream.poll_writable(cx))?;
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.get_ref().write(bytes)
    }

    fn poll_shut_down(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }

    fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        let stream = self.stream.get_ref();
        Ok((stream.local_addr()?, stream.peer_addr()?))
    }
}

pub(crate) struct Alarm(async_io::Timer);

impl Timer for Alarm {
    fn set(&mut self, after: Duration) {
        self.0.set_after(after);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}
