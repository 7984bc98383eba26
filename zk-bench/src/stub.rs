//! A server that does nothing: canned replies with the request's xid, one thread, one write for all
//! that was read. What a client costs is measured against it, not what a server can do.
//!
//! | request | answer |
//! |---|---|
//! | `getData` of a path that ends in `big` | 1,000,000 bytes |
//! | any other `getData` | 128 bytes; with a watch, an event right behind |
//! | `getChildren` (`2`) | 10,000 names |
//! | `create` (`2`), `sync` | the path |
//! | `exists`, `setData` | a stat |
//! | anything else | success, without a body |

use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::path::Path;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use zk_proto::{
    ConnectResponse, ErrorCode, EventType, KeeperState, OpCode, ReplyHeader, SessionId, Stat,
    WatcherEventRef, Xid, Zxid, frame, put_buffer, put_texts,
};
use zk_tls::server::{Acceptor, Connection};

use crate::error::Error;
use crate::nodes::{BIG, KIDS, SESSION_TIMEOUT, SMALL, kid};
use crate::tls;

const LISTENER: Token = Token(usize::MAX);

/// Answers until it is killed.
///
/// By TLS, if a file is named to which the authority's certificate is to be written.
pub(crate) fn run(port: u16, tls: Option<&Path>) -> Result<(), Error> {
    let acceptor = tls.map(tls::acceptor).transpose()?;
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let mut listener = TcpListener::bind(address).map_err(Error::io("listen"))?;
    let mut poll = Poll::new().map_err(Error::io("poll"))?;
    let registry = poll.registry();
    registry
        .register(&mut listener, LISTENER, Interest::READABLE)
        .map_err(Error::io("poll the listener"))?;
    let local = listener.local_addr().map_err(Error::io("listen"))?;
    writeln!(std::io::stdout(), "{local}").map_err(Error::io("print the port"))?;

    let mut stub = Stub::new();
    let mut conns: Vec<Option<Conn>> = Vec::new();
    let mut events = Events::with_capacity(256);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled.map_err(Error::io("poll"))?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &mut conns, poll.registry(), acceptor.as_ref());
                continue;
            }
            let Some(slot) = conns.get_mut(event.token().0) else {
                continue;
            };
            let Some(conn) = slot else { continue };
            if conn.serve(event, &mut stub).is_err() {
                *slot = None;
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    conns: &mut Vec<Option<Conn>>,
    registry: &Registry,
    acceptor: Option<&Acceptor>,
) {
    while let Ok((mut stream, _)) = listener.accept() {
        let free = conns.iter().position(Option::is_none);
        let index = free.unwrap_or(conns.len());
        let both = Interest::READABLE | Interest::WRITABLE;
        let ready = stream
            .set_nodelay(true)
            .and_then(|()| registry.register(&mut stream, Token(index), both));
        let Ok(tls) = acceptor.map(Acceptor::accept).transpose() else {
            continue;
        };
        if ready.is_err() {
            continue;
        }
        if free.is_none() {
            conns.push(None);
        }
        conns[index] = Some(Conn {
            stream,
            input: vec![0; 256 << 10],
            filled: 0,
            output: Vec::new(),
            written: 0,
            greeted: false,
            tls: tls.map(|connection| Secure {
                connection,
                plain: Vec::new(),
            }),
        });
    }
}

/// A client that is gone, or said goodbye.
struct Over;

struct Conn {
    stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
    written: usize,
    greeted: bool,
    tls: Option<Secure>,
}

/// TLS on the way.
struct Secure {
    connection: Connection,
    /// What was decoded, or is to be encoded.
    plain: Vec<u8>,
}

impl Conn {
    fn serve(&mut self, event: &Event, stub: &mut Stub) -> Result<(), Over> {
        if event.is_writable() {
            self.write()?;
        }
        // While some output is left nothing more is read: that is the flow control.
        while self.output.is_empty() {
            if self.filled == self.input.len() {
                self.input.resize(self.filled * 2, 0);
            }
            match self.stream.read(&mut self.input[self.filled..]) {
                Ok(0) => return Err(Over),
                Ok(read) => self.take(read)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(Over),
            }
            let begin = self.output.len();
            let answered = self.answer(stub);
            self.encode(begin)?;
            self.write()?;
            answered?;
        }
        Ok(())
    }

    /// So many bytes were read behind those that are there.
    fn take(&mut self, read: usize) -> Result<(), Over> {
        let Some(Secure { connection, plain }) = &mut self.tls else {
            self.filled += read;
            return Ok(());
        };
        let wire = &self.input[self.filled..self.filled + read];
        let decoded = connection.decode(wire, plain, &mut self.output);
        let end = self.filled + plain.len();
        if end > self.input.len() {
            self.input.resize(end, 0);
        }
        self.input[self.filled..end].copy_from_slice(plain);
        self.filled = end;
        plain.clear();
        decoded.map_err(|_| Over)
    }

    /// What the output has from there on is to be encoded.
    fn encode(&mut self, begin: usize) -> Result<(), Over> {
        let Some(Secure { connection, plain }) = &mut self.tls else {
            return Ok(());
        };
        if self.output.len() == begin {
            return Ok(());
        }
        plain.extend(self.output.drain(begin..));
        let encoded = connection.encode(plain, &mut self.output);
        plain.clear();
        encoded.map_err(|_| Over)
    }

    fn write(&mut self) -> Result<(), Over> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Over),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Answers every whole frame.
    fn answer(&mut self, stub: &mut Stub) -> Result<(), Over> {
        let mut at = 0;
        let mut over = Ok(());
        while let Some(length) = int(&self.input[at..self.filled]) {
            let body = at + 4..at + 4 + length as usize;
            if body.end > self.filled {
                break;
            }
            at = body.end;
            let request = &self.input[body];
            if !self.greeted {
                self.greeted = true;
                stub.greet(&mut self.output);
                continue;
            }
            let known = stub.reply(request, &mut self.output);
            over = over.and(known);
        }
        self.input.copy_within(at..self.filled, 0);
        self.filled -= at;
        over
    }
}

/// The bodies of the replies.
struct Stub {
    zxid: i64,
    stat: Vec<u8>,
    small: Vec<u8>,
    big: Vec<u8>,
    children: Vec<u8>,
}

impl Stub {
    fn new() -> Self {
        let mut stat = Vec::new();
        let fields = Stat {
            data_length: i32::try_from(SMALL).unwrap_or(i32::MAX),
            ..Stat::default()
        };
        fields.encode(&mut stat);
        let data = |size: usize| {
            let mut body = Vec::with_capacity(size + 100);
            put_buffer(&mut body, Some(&vec![b'x'; size]));
            body.extend(&stat);
            body
        };
        let names: Vec<String> = (0..KIDS).map(kid).collect();
        let mut children = Vec::new();
        put_texts(&mut children, &names);
        Self {
            zxid: 1,
            small: data(SMALL),
            big: data(BIG),
            stat,
            children,
        }
    }

    fn greet(&mut self, out: &mut Vec<u8>) {
        self.zxid += 1;
        let answer = ConnectResponse {
            protocol_version: 0,
            timeout: i32::try_from(SESSION_TIMEOUT.as_millis()).unwrap_or(i32::MAX),
            session_id: SessionId(0x7000_0000_0000_0000 + self.zxid),
            password: [7; 16].into(),
            read_only: Some(false),
        };
        frame(out, |body| answer.encode(body));
    }

    fn reply(&mut self, request: &[u8], out: &mut Vec<u8>) -> Result<(), Over> {
        let xid = int(request).ok_or(Over)?;
        let opcode = OpCode(request.get(4..).and_then(int).ok_or(Over)?);
        let rest = &request[8..];
        // The path, behind its length, is the first field of all that have one.
        let path = |rest: &'_ [u8]| {
            let length = int(rest).and_then(|length| usize::try_from(length).ok())?;
            (4 + length <= rest.len()).then_some(4 + length)
        };
        let body: [&[u8]; 2] = match opcode {
            OpCode::GET_DATA => {
                let end = path(rest).ok_or(Over)?;
                let is_big = rest[..end].ends_with(b"big");
                [if is_big { &self.big } else { &self.small }, &[]]
            }
            OpCode::GET_CHILDREN => [&self.children, &[]],
            OpCode::GET_CHILDREN2 => [&self.children, &self.stat],
            OpCode::EXISTS | OpCode::SET_DATA => [&self.stat, &[]],
            OpCode::CREATE | OpCode::SYNC => [&rest[..path(rest).ok_or(Over)?], &[]],
            OpCode::CREATE2 | OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => {
                [&rest[..path(rest).ok_or(Over)?], &self.stat]
            }
            _ => [&[], &[]],
        };
        let is_read = matches!(
            opcode,
            OpCode::GET_DATA | OpCode::GET_CHILDREN | OpCode::GET_CHILDREN2 | OpCode::EXISTS
        );
        self.zxid += i64::from(!is_read);
        let header = ReplyHeader {
            xid: Xid(xid),
            zxid: Zxid(self.zxid),
            err: ErrorCode::OK,
        };
        frame(out, |bytes| {
            header.encode(bytes);
            bytes.extend(body[0]);
            bytes.extend(body[1]);
        });
        if opcode == OpCode::GET_DATA && request.last() == Some(&1) {
            self.fire(rest, out);
        }
        if opcode == OpCode::CLOSE_SESSION {
            return Err(Over);
        }
        Ok(())
    }

    /// The event of a watch that was set by a request with this rest.
    fn fire(&self, rest: &[u8], out: &mut Vec<u8>) {
        let path = rest.get(4..rest.len() - 1).unwrap_or_default();
        let event = WatcherEventRef {
            kind: EventType::NODE_DATA_CHANGED,
            state: KeeperState::SYNC_CONNECTED,
            path: String::from_utf8_lossy(path),
        };
        let header = ReplyHeader {
            xid: Xid(-1),
            zxid: Zxid(-1),
            err: ErrorCode::OK,
        };
        frame(out, |bytes| {
            header.encode(bytes);
            event.encode(bytes);
        });
    }
}

fn int(bytes: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(*bytes.first_chunk()?))
}
