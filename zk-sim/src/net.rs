//! The network: streams of bytes between machines, and what can happen to them.
//!
//! A stream has two directions. What is written goes into the direction's buffer at once, and a
//! segment is planned that makes it readable at the other end later. The buffer is bounded: as long
//! as the reader does not read, the writer cannot write. Segments never overtake each other. Those
//! that come to a partition are owed, and arrive after it has been healed, as TCP sends again.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::task::Waker;

use crate::driver::Driver;
use crate::rng::Rng;
use crate::serve::ServerCell;
use crate::slab::{Key, Slab};
use crate::trace::Peek;

mod arrive;
mod latency;
mod links;
mod stream;

pub use latency::Latency;
pub(crate) use links::Links;

/// How much is written, but not read, in one direction at most, unless told otherwise.
const BUFFER: usize = 256 << 10;

/// How an interrupted connection ends for what is under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cut {
    /// It is lost, in both directions: requests under way are never seen.
    BeforeDelivery,
    /// It arrives first: requests under way are carried out, and their replies go nowhere.
    AfterDelivery,
}

#[derive(Default)]
pub(crate) struct Net {
    pub(crate) streams: Slab<Stream>,
    pub(crate) links: Links,
    /// Directions in which segments wait for the end of a partition.
    pub(crate) owed: Vec<(Key, usize)>,
    pub(crate) buffer: Option<usize>,
    /// How probable it is that what is written arrives in pieces.
    pub(crate) splits: f64,
    /// When the last message between two machines arrives, as they keep their order too.
    pub(crate) messages: std::collections::BTreeMap<(usize, usize), u64>,
}

impl Net {
    pub(crate) fn buffer(&self) -> usize {
        self.buffer.unwrap_or(BUFFER)
    }
}

/// One connection. End 0 is the one that asked for it; direction 0 leads from end 0 to end 1.
pub(crate) struct Stream {
    pub(crate) hosts: [usize; 2],
    pub(crate) port: u16,
    pub(crate) directions: [Direction; 2],
    pub(crate) ends: [End; 2],
    pub(crate) rng: Rng,
    pub(crate) peek: Option<Box<Peek>>,
}

#[derive(Default)]
pub(crate) struct Direction {
    /// Written and not read; the first `arrived` bytes can be read.
    pub(crate) bytes: VecDeque<u8>,
    pub(crate) arrived: usize,
    pub(crate) segments: VecDeque<Segment>,
    /// Segments whose time has come during a partition.
    pub(crate) owed: usize,
    /// When the last segment arrives.
    pub(crate) last: u64,
    /// The writer waits for room.
    pub(crate) full: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Segment {
    Ask,
    Accept,
    Data(usize),
    /// There is room in the buffer of the other direction again.
    Room,
    End,
    Reset(ErrorKind),
}

#[derive(Default)]
pub(crate) struct End {
    pub(crate) owner: Owner,
    pub(crate) connected: bool,
    /// Nothing comes after what has arrived, and why.
    pub(crate) over: Option<ErrorKind>,
    /// Its machine has lost power: it does not even answer.
    pub(crate) silent: bool,
}

/// Who is told that something has happened at an end.
#[derive(Default)]
pub(crate) enum Owner {
    /// Nobody yet, or nobody any more.
    #[default]
    Nobody,
    Driver(Weak<Driver>),
    Server(Arc<ServerCell>),
    Socket(Option<Waker>),
}

impl Owner {
    pub(crate) fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody)
    }
}

/// What there is to know at an end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum News {
    Nothing,
    Connected,
    /// Bytes were put into the buffer.
    Data,
    Over(ErrorKind),
}

/// The address by which a server knows the machine.
pub(crate) fn address(host: usize, serial: u64) -> SocketAddr {
    let [.., a, b] = (host as u32 + 1).to_be_bytes();
    let port = 32_768 + (serial % 28_000) as u16;
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, a, b)), port)
}
