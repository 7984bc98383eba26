//! [`Socket`]: a plain stream of bytes, for programs that speak to servers without a client.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll};

use zk_proto::ServerAddr;

use crate::machine::Machine;
use crate::net::{News, Owner};
use crate::slab::Key;
use crate::world::{State, World};

/// A connection from a machine to a server. Dropping it closes it.
pub struct Socket {
    world: Arc<World>,
    stream: Key,
}

impl Socket {
    pub(crate) async fn connect(machine: &Machine, server: &ServerAddr) -> Result<Self, ErrorKind> {
        let world = Arc::clone(machine.world());
        let owner = Owner::Socket(None);
        let stream = world.enter(|state| state.connect(machine.host(), owner, server))?;
        let socket = Self { world, stream };
        poll_fn(|cx| {
            socket.poll(cx, |state| match state.news(stream, 0, false, None) {
                News::Connected => Some(Ok(())),
                News::Over(kind) => Some(Err(kind)),
                News::Nothing | News::Data => None,
            })
        })
        .await?;
        Ok(socket)
    }

    /// The bytes that have arrived, once there are any; none at the end of the stream. If the
    /// future is dropped, nothing was read.
    ///
    /// # Errors
    /// What has broken the connection.
    pub async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        poll_fn(|cx| {
            self.poll(cx, |state| {
                match state.news(self.stream, 0, true, Some(&mut bytes)) {
                    News::Data | News::Over(ErrorKind::UnexpectedEof) => Some(Ok(())),
                    News::Over(kind) => Some(Err(kind.into())),
                    News::Nothing | News::Connected => None,
                }
            })
        })
        .await
        .map(|()| bytes)
    }

    /// Writes all of it, as soon as there is room.
    ///
    /// # Errors
    /// What has broken the connection.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = self.write(bytes).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Writes as many bytes as there is room for, as soon as there is room, and says how many. If
    /// the future is dropped, nothing was written.
    ///
    /// # Errors
    /// What has broken the connection.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| {
            self.poll(cx, |state| {
                if let Some(kind) = state.broken(self.stream, 0) {
                    return Some(Err(io::Error::from(kind)));
                }
                let count = state.write(self.stream, 0, bytes);
                (count > 0 || bytes.is_empty()).then_some(Ok(count))
            })
        })
        .await
    }

    fn poll<T>(&self, cx: &mut Context<'_>, f: impl FnOnce(&mut State) -> Option<T>) -> Poll<T> {
        let waker = cx.waker().clone();
        self.world.enter(|state| {
            if let Some(output) = f(state) {
                state.discard(Owner::Socket(Some(waker)));
                return Poll::Ready(output);
            }
            let end = state.net.streams.get_mut(self.stream);
            let before =
                end.map(|it| std::mem::replace(&mut it.ends[0].owner, Owner::Socket(Some(waker))));
            before.into_iter().for_each(|owner| state.discard(owner));
            Poll::Pending
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.world.enter(|state| {
            // A machine that has crashed has let go of it before.
            let held = state.net.streams.get(self.stream);
            if held.is_some_and(|stream| !stream.ends[0].owner.is_nobody()) {
                state.close(self.stream, 0, false);
            }
        });
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Socket").field(&self.stream.serial).finish()
    }
}
