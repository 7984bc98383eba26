//! What happens when a segment arrives, or cannot.

use std::fmt::Write;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use super::{Cut, Owner, Segment, Stream};
use crate::rng::nanos;
use crate::slab::Key;
use crate::trace::Kind;
use crate::world::{Event, State};

/// How long after the end of a partition TCP takes at most to send again.
const RESEND: Duration = Duration::from_millis(200);

impl State {
    /// A segment's time has come.
    pub(crate) fn arrive(&mut self, key: Key, from: usize) {
        let Some(stream) = self.net.streams.get_mut(key) else {
            return;
        };
        let [source, target] = [stream.hosts[from], stream.hosts[1 - from]];
        let direction = &mut stream.directions[from];
        if direction.segments.len() <= direction.owed {
            // A cut has taken it.
            return;
        }
        if direction.owed > 0 || self.net.links.is_blocked(source, target) {
            direction.owed += 1;
            if direction.owed == 1 {
                self.net.owed.push((key, from));
            }
            return;
        }
        self.deliver(key, from);
        self.reap(key);
    }

    /// Links have been healed: what is owed on them arrives after a while.
    pub(crate) fn send_again(&mut self) {
        for (key, from) in std::mem::take(&mut self.net.owed) {
            let Some(stream) = self.net.streams.get_mut(key) else {
                continue;
            };
            let [source, target] = [stream.hosts[from], stream.hosts[1 - from]];
            if self.net.links.is_blocked(source, target) {
                self.net.owed.push((key, from));
                continue;
            }
            let pause = stream.rng.between(0, nanos(RESEND));
            let latency = self.net.links.draw(source, target, &mut stream.rng);
            let at = self.now + pause + latency;
            let direction = &mut stream.directions[from];
            direction.last = direction.last.max(at);
            let direction = from;
            self.schedule.plan(at, Event::Flush { key, direction });
        }
    }

    /// Delivers what was owed.
    pub(crate) fn flush(&mut self, key: Key, from: usize) {
        let Some(stream) = self.net.streams.get_mut(key) else {
            return;
        };
        let [source, target] = [stream.hosts[from], stream.hosts[1 - from]];
        if self.net.links.is_blocked(source, target) {
            if stream.directions[from].owed > 0 {
                self.net.owed.push((key, from));
            }
            return;
        }
        let owed = std::mem::take(&mut stream.directions[from].owed);
        for _ in 0..owed {
            self.deliver(key, from);
        }
        self.reap(key);
    }

    fn deliver(&mut self, key: Key, from: usize) {
        let Some(stream) = self.net.streams.get_mut(key) else {
            return;
        };
        let Some(segment) = stream.directions[from].segments.pop_front() else {
            return;
        };
        let (to, target) = (1 - from, stream.hosts[1 - from]);
        self.trace.note(
            self.now,
            Kind::Arrived,
            [key.serial << 1 | from as u64, segment.code()],
            |line| {
                let name = &self.hosts[target].name;
                let _ = write!(line, "{name} <- #{} {segment:?}", key.serial);
            },
        );
        if !self.hosts[target].powered {
            if let Segment::Data(count) = segment {
                stream.drop_bytes(from, count);
            }
            return;
        }
        match segment {
            Segment::Ask => self.asked(key),
            Segment::Accept => {
                stream.ends[to].connected = true;
                self.touch(key, to);
            }
            Segment::Data(count) => {
                let end = &stream.ends[to];
                if end.owner.is_nobody() {
                    let silent = end.silent;
                    stream.drop_bytes(from, count);
                    if silent {
                        // The machine is back, and knows nothing of this stream.
                        self.send(key, to, Segment::Reset(ErrorKind::ConnectionReset));
                    }
                    return;
                }
                stream.directions[from].arrived += count;
                self.touch(key, to);
            }
            Segment::Room => self.touch(key, to),
            Segment::End => {
                stream.ends[to].over.get_or_insert(ErrorKind::UnexpectedEof);
                self.touch(key, to);
            }
            Segment::Reset(kind) => {
                let over = &mut stream.ends[to].over;
                if matches!(over, None | Some(ErrorKind::UnexpectedEof)) {
                    *over = Some(kind);
                }
                self.touch(key, to);
            }
        }
    }

    /// A request for a connection has arrived.
    fn asked(&mut self, key: Key) {
        let Some(stream) = self.net.streams.get_mut(key) else {
            return;
        };
        let (host, port) = (stream.hosts[1], stream.port);
        let servers = &self.hosts[host].servers;
        let server = servers.iter().find(|server| server.port == port);
        match server.filter(|server| self.hosts[host].up && !server.refuses()) {
            Some(server) => {
                // The system accepts, also while the process is paused.
                stream.ends[1].owner = Owner::Server(Arc::clone(server));
                stream.ends[1].connected = true;
                self.send(key, 1, Segment::Accept);
                self.touch(key, 1);
            }
            None => self.send(key, 1, Segment::Reset(ErrorKind::ConnectionRefused)),
        }
    }

    /// Tells an end's owner that something has happened.
    pub(crate) fn touch(&mut self, key: Key, end: usize) {
        let Some(stream) = self.net.streams.get_mut(key) else {
            return;
        };
        match &mut stream.ends[end].owner {
            Owner::Nobody => {}
            Owner::Driver(driver) => {
                // Its machine holds it, so that nothing ends here.
                if let Some(driver) = driver.upgrade() {
                    driver.schedule();
                }
            }
            Owner::Server(server) => server.touch(key),
            Owner::Socket(waker) => {
                if let Some(waker) = waker.take() {
                    self.wakes.push(waker);
                }
            }
        }
    }

    /// Breaks a connection for both ends.
    pub(crate) fn cut(&mut self, key: Key, cut: Cut) {
        let Some(stream) = self.net.streams.get_mut(key) else {
            return;
        };
        for direction in &mut stream.directions {
            match cut {
                Cut::BeforeDelivery => direction.bytes.truncate(direction.arrived),
                Cut::AfterDelivery => direction.arrived = direction.bytes.len(),
            }
            direction.segments.clear();
            direction.owed = 0;
        }
        for end in &mut stream.ends {
            end.over = Some(ErrorKind::ConnectionReset);
        }
        let line = format!("#{} is cut, {cut:?}", key.serial);
        self.note_line(Kind::Fault, &line);
        self.touch(key, 0);
        self.touch(key, 1);
        self.reap(key);
    }
}

impl Stream {
    /// Bytes that nobody will read.
    fn drop_bytes(&mut self, from: usize, count: usize) {
        let direction = &mut self.directions[from];
        let start = direction.arrived;
        let end = (start + count).min(direction.bytes.len());
        direction.bytes.drain(start..end);
    }
}

impl Segment {
    /// A number for the hash of the trace.
    fn code(self) -> u64 {
        match self {
            Self::Ask => 1,
            Self::Accept => 2,
            Self::Data(count) => 16 + count as u64,
            Self::Room => 3,
            Self::End => 4,
            Self::Reset(ErrorKind::ConnectionRefused) => 5,
            Self::Reset(_) => 6,
        }
    }
}
