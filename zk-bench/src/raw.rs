//! The limit of what can be reached: encoded frames out, replies counted, blocking sockets, large
//! reads and writes, no API, no session to keep alive.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use zk_proto::{
    Acl, Chroot, ConnectRequest, CreateMode, Password, Request, RequestHeader, SessionId, Xid,
    Zxid, frame,
};

use crate::args::Workload;
use crate::error::Error;
use crate::meter::Meter;
use crate::nodes::{
    BIG, BIG_PATH, DATA, DATA_PATH, KIDS, KIDS_PATH, SESSION_TIMEOUT, SESSIONS, SET_PATH, SMALL,
    WATCHES, WINDOW, created, kid, watched,
};

/// Runs one workload and prints its figures.
pub(crate) fn run(server: &str, workload: Workload, time: Duration) -> Result<(), Error> {
    let mut conn = Conn::connect(server)?;
    let get = encoded(&get(DATA_PATH, false));
    let meter = Meter::start(time);
    match workload {
        Workload::W1 => {
            let mut latencies = Vec::with_capacity(1 << 20);
            while meter.goes_on() {
                let begun = Instant::now();
                conn.call(&get)?;
                latencies.push(begun.elapsed());
            }
            meter.report("w1", latencies.len() as u64, latencies)?;
        }
        Workload::W2 => {
            let ops = conn.pipeline(|out| meter.goes_on().then(|| out.extend(&get)))?;
            meter.report("w2", ops, Vec::new())?;
        }
        Workload::W2b => {
            let burst = get.repeat(WINDOW);
            let mut ops = 0;
            while meter.goes_on() {
                conn.send(&burst)?;
                let mut left = WINDOW as u64;
                while left > 0 {
                    left -= conn.receive()?;
                }
                ops += WINDOW as u64;
            }
            meter.report("w2b", ops, Vec::new())?;
        }
        Workload::W3 => {
            let set = encoded(&set(SET_PATH, &DATA));
            let ops = conn.pipeline(|out| meter.goes_on().then(|| out.extend(&set)))?;
            meter.report("w3", ops, Vec::new())?;
        }
        Workload::W4 => {
            let process = std::process::id();
            let mut index = 0;
            let ops = conn.pipeline(|out| {
                meter.goes_on().then(|| {
                    index += 1;
                    encode(&create(&created(process, index), &DATA), out);
                })
            })?;
            meter.report("w4c", ops, Vec::new())?;
            let mut index = 0;
            let meter = Meter::start(time);
            let ops = conn.pipeline(|out| {
                (index < ops).then(|| {
                    index += 1;
                    encode(&delete(&created(process, index)), out);
                })
            })?;
            meter.report("w4d", ops, Vec::new())?;
        }
        Workload::W5 => return sessions(server, &get, time),
        Workload::W6 => {
            let children = encoded(&Request::GetChildren {
                path: KIDS_PATH.into(),
                watch: false,
                with_stat: false,
            });
            let mut ops = 0;
            while meter.goes_on() {
                conn.call(&children)?;
                ops += 1;
            }
            meter.report("w6", ops, Vec::new())?;
        }
        Workload::W7 => {
            let mut index = 0;
            let ops = conn.pipeline(|out| {
                (index < WATCHES).then(|| {
                    encode(&self::get(&watched(index), true), out);
                    index += 1;
                })
            })?;
            meter.report("w7r", ops, Vec::new())?;
        }
        Workload::W8 => {
            let get = encoded(&self::get(BIG_PATH, false));
            let mut ops = 0;
            while meter.goes_on() {
                conn.call(&get)?;
                ops += 1;
            }
            meter.report("w8", ops, Vec::new())?;
        }
    }
    conn.finish()
}

/// Many connections, of which each always has one request under way.
fn sessions(server: &str, get: &[u8], time: Duration) -> Result<(), Error> {
    let mut conns = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        conns.push(Conn::connect(server)?);
    }
    let mut ops = 0;
    let meter = Meter::start(time);
    for conn in &mut conns {
        conn.send(get)?;
    }
    // Served in turn, all answers of one round are there when the last request of it was sent.
    while meter.goes_on() {
        for conn in &mut conns {
            while conn.receive()? == 0 {}
            ops += 1;
            conn.send(get)?;
        }
    }
    meter.report("w5", ops, Vec::new())
}

/// Makes the nodes of all workloads.
pub(crate) fn set_up(server: &str) -> Result<(), Error> {
    let mut conn = Conn::connect(server)?;
    for path in ["/bench", "/bench/c", "/bench/w", KIDS_PATH] {
        conn.call(&encoded(&create(path, b"")))?;
    }
    for (path, size) in [(DATA_PATH, SMALL), (SET_PATH, SMALL), (BIG_PATH, BIG)] {
        conn.call(&encoded(&create(path, &vec![b'x'; size])))?;
    }
    let mut index = 0;
    conn.pipeline(|out| {
        (index < KIDS).then(|| {
            encode(&create(&format!("{KIDS_PATH}/{}", kid(index)), b""), out);
            index += 1;
        })
    })?;
    let mut index = 0;
    conn.pipeline(|out| {
        (index < WATCHES).then(|| {
            encode(&create(&watched(index), b""), out);
            index += 1;
        })
    })?;
    // What was there before is fine.
    Ok(())
}

/// Sets each watched node once.
pub(crate) fn fire(server: &str) -> Result<(), Error> {
    let mut conn = Conn::connect(server)?;
    let mut index = 0;
    conn.pipeline(|out| {
        (index < WATCHES).then(|| {
            encode(&set(&watched(index), b""), out);
            index += 1;
        })
    })?;
    conn.finish()
}

/// A connection, and what was read of it and not counted yet.
struct Conn {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    errors: u64,
}

impl Conn {
    fn connect(server: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(server).map_err(Error::io("connect"))?;
        stream
            .set_nodelay(true)
            .map_err(Error::io("set up a socket"))?;
        let mut conn = Self {
            stream,
            buffer: vec![0; 2 << 20],
            filled: 0,
            errors: 0,
        };
        let timeout = i32::try_from(SESSION_TIMEOUT.as_millis()).unwrap_or(i32::MAX);
        let greeting = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout,
            session_id: SessionId::NONE,
            password: Password::EMPTY,
            read_only: Some(false),
        };
        let mut bytes = Vec::new();
        frame(&mut bytes, |out| greeting.encode(out));
        conn.call(&bytes)?;
        // The answer to the greeting has no error code where replies have one.
        conn.errors = 0;
        Ok(conn)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.write_all(bytes).map_err(Error::io("write"))
    }

    /// One read. Tells how many replies it completed; events of watches do not count.
    fn receive(&mut self) -> Result<u64, Error> {
        let room = &mut self.buffer[self.filled..];
        let read = self.stream.read(room).map_err(Error::io("read"))?;
        if read == 0 {
            return Err(Error::Hung);
        }
        self.filled += read;
        let mut replies = 0;
        let mut rest = &self.buffer[..self.filled];
        while let Some((length, more)) = int(rest)
            && let Some(body) = more.get(..length as usize)
        {
            if int(body).is_some_and(|(xid, _)| xid != -1) {
                replies += 1;
                let error = body.get(12..).and_then(int);
                self.errors += u64::from(error.is_some_and(|(code, _)| code != 0));
            }
            rest = &more[body.len()..];
        }
        let counted = self.filled - rest.len();
        self.buffer.copy_within(counted..self.filled, 0);
        self.filled -= counted;
        Ok(replies)
    }

    fn call(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.send(bytes)?;
        while self.receive()? == 0 {}
        Ok(())
    }

    /// Keeps a window of requests under way; `next` appends one, until it has none.
    fn pipeline(&mut self, mut next: impl FnMut(&mut Vec<u8>) -> Option<()>) -> Result<u64, Error> {
        let mut out = Vec::new();
        let (mut under_way, mut ops, mut more) = (0, 0, true);
        loop {
            out.clear();
            while more && under_way < WINDOW as u64 {
                more = next(&mut out).is_some();
                under_way += u64::from(more);
            }
            if !out.is_empty() {
                self.send(&out)?;
            }
            if under_way == 0 {
                return Ok(ops);
            }
            let replies = self.receive()?;
            under_way -= replies;
            ops += replies;
        }
    }

    fn finish(self) -> Result<(), Error> {
        if self.errors > 0 {
            return Err(Error::Refused(self.errors));
        }
        Ok(())
    }
}

fn int(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((i32::from_be_bytes(*first), rest))
}

fn encoded(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(request, &mut bytes);
    bytes
}

fn encode(request: &Request<'_>, bytes: &mut Vec<u8>) {
    frame(bytes, |out| {
        let header = RequestHeader {
            xid: Xid::FIRST,
            opcode: request.opcode(),
        };
        header.encode(out);
        request.encode(&Chroot::ROOT, out);
    });
}

fn get(path: &str, watch: bool) -> Request<'_> {
    Request::GetData {
        path: path.into(),
        watch,
    }
}

fn set<'a>(path: &'a str, data: &'a [u8]) -> Request<'a> {
    Request::SetData {
        path: path.into(),
        data: Some(data.into()),
        version: -1,
    }
}

fn create<'a>(path: &'a str, data: &'a [u8]) -> Request<'a> {
    Request::Create {
        path: path.into(),
        data: Some(data.into()),
        acl: Acl::open_unsafe_ref().into(),
        mode: CreateMode::Persistent.into(),
        with_stat: false,
    }
}

fn delete(path: &str) -> Request<'_> {
    Request::Delete {
        path: path.into(),
        version: -1,
    }
}
