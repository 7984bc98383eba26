//! The same on a bare socket, without a client: what nobody can do without.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use zk_proto::{
    Chroot, ConnectRequest, OpCode, Password, Request, RequestHeader, SessionId, Xid, Zxid,
};

use crate::cpu;
use crate::error::Error;
use crate::load::{Load, PATH, WINDOW};

/// Bytes read at once.
const READ: usize = 256 << 10;

/// Carries out a load, and says what it took. The node is there.
pub(crate) fn run(hosts: &str, load: Load, count: usize) -> Result<Duration, Error> {
    let mut stream = TcpStream::connect(hosts)?;
    stream.set_nodelay(true)?;
    let mut replies = Replies::default();
    let hello = frame(|out| {
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout: 10_000,
            session_id: SessionId::NONE,
            password: Password::EMPTY,
            read_only: Some(false),
        }
        .encode(out);
    });
    stream.write_all(&hello)?;
    replies.read(&mut stream, 1)?;
    let get = frame(|out| {
        let (xid, opcode) = (Xid(1), OpCode::GET_DATA);
        RequestHeader { xid, opcode }.encode(out);
        let get = Request::GetData {
            path: PATH.into(),
            watch: false,
        };
        get.encode(&Chroot::ROOT, out);
    });
    let window = match load {
        Load::Serial => 1,
        Load::Pipelined => WINDOW,
    };
    let batch = get.repeat(window);
    let before = cpu();
    for _ in 0..count.div_ceil(window) {
        stream.write_all(&batch)?;
        replies.read(&mut stream, window)?;
    }
    let spent = cpu() - before;
    let close = frame(|out| {
        let (xid, opcode) = (Xid(2), OpCode::CLOSE_SESSION);
        RequestHeader { xid, opcode }.encode(out);
    });
    stream.write_all(&close)?;
    replies.read(&mut stream, 1)?;
    Ok(spent)
}

fn frame(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    encode(&mut bytes);
    let length = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// Finds the ends of frames, and looks at nothing else.
struct Replies {
    buffer: Box<[u8]>,
    held: usize,
}

impl Default for Replies {
    fn default() -> Self {
        let buffer = vec![0; READ].into_boxed_slice();
        Self { buffer, held: 0 }
    }
}

impl Replies {
    fn read(&mut self, stream: &mut TcpStream, mut frames: usize) -> Result<(), Error> {
        while frames > 0 {
            let count = stream.read(&mut self.buffer[self.held..])?;
            if count == 0 {
                return Err(Error::Answer);
            }
            self.held += count;
            let mut at = 0;
            while let Some(length) = self.buffer[at..self.held].first_chunk::<4>() {
                let end = at + 4 + u32::from_be_bytes(*length) as usize;
                if end > self.held {
                    break;
                }
                at = end;
                frames = frames.saturating_sub(1);
            }
            self.buffer.copy_within(at..self.held, 0);
            self.held -= at;
        }
        Ok(())
    }
}
