//! What the two ends do: connect, write, read, close.

use std::fmt::Write;
use std::io::ErrorKind;

use zk_proto::ServerAddr;

use super::{End, News, Owner, Segment, Stream};
use crate::slab::Key;
use crate::trace::{Kind, Peek};
use crate::world::{Event, State};

impl State {
    /// Asks for a connection. `Err`: there is no machine of that name.
    pub(crate) fn connect(
        &mut self,
        host: usize,
        owner: Owner,
        server: &ServerAddr,
    ) -> Result<Key, ErrorKind> {
        let Some(&to) = self.names.get(server.host()) else {
            let line = format!("{} finds no {server}", self.hosts[host].name);
            self.note_line(Kind::Note, &line);
            return Err(ErrorKind::NotFound);
        };
        let serial = self.net.streams.next_serial();
        let stream = Stream {
            hosts: [host, to],
            port: server.port(),
            directions: Default::default(),
            ends: [
                End {
                    owner,
                    ..End::default()
                },
                End::default(),
            ],
            rng: self.seeds.stream("stream", serial),
            peek: self.trace.keeps_text().then(|| Box::new(Peek::new())),
        };
        let key = self.net.streams.insert(|_| stream);
        let name = &self.hosts[host].name;
        self.trace
            .note(self.now, Kind::Connect, [serial, to as u64], |line| {
                let _ = write!(line, "{name} asks for #{serial} to {server}");
            });
        self.send(key, 0, Segment::Ask);
        Ok(key)
    }

    /// What has happened at an end. Reads if `read`, into the empty `buffer`.
    pub(crate) fn news(
        &mut self,
        key: Key,
        end: usize,
        known_connected: bool,
        buffer: Option<&mut Vec<u8>>,
    ) -> News {
        let Some(stream) = self.net.streams.get_mut(key) else {
            return News::Over(ErrorKind::ConnectionReset);
        };
        let [own, _] = [&stream.ends[end], &stream.ends[1 - end]];
        if own.connected && !known_connected {
            return News::Connected;
        }
        let incoming = &mut stream.directions[1 - end];
        if incoming.arrived > 0 {
            let Some(buffer) = buffer else {
                return News::Nothing;
            };
            let count = incoming.arrived;
            let (front, back) = incoming.bytes.as_slices();
            let first = count.min(front.len());
            buffer.extend_from_slice(&front[..first]);
            buffer.extend_from_slice(&back[..count - first]);
            incoming.bytes.drain(..count);
            incoming.arrived = 0;
            if std::mem::take(&mut incoming.full) {
                self.send(key, end, Segment::Room);
            }
            return News::Data;
        }
        match own.over {
            Some(kind) => News::Over(kind),
            None => News::Nothing,
        }
    }

    /// Writes as much as there is room for.
    pub(crate) fn write(&mut self, key: Key, end: usize, bytes: &[u8]) -> usize {
        let limit = self.net.buffer();
        let splits = self.net.splits;
        let Some(stream) = self.net.streams.get_mut(key) else {
            return bytes.len();
        };
        if stream.ends[end]
            .over
            .is_some_and(|kind| kind != ErrorKind::UnexpectedEof)
        {
            // Where it goes nobody reads; the end of the stream is there to be found.
            return bytes.len();
        }
        let direction = &mut stream.directions[end];
        let room = limit.saturating_sub(direction.bytes.len());
        let count = room.min(bytes.len());
        direction.full |= count < bytes.len();
        if count == 0 {
            return 0;
        }
        let bytes = &bytes[..count];
        direction.bytes.extend(bytes);
        let names = match &mut stream.peek {
            Some(peek) => peek.names(end, bytes),
            None => Vec::new(),
        };
        let mut left = count;
        let mut pieces = Vec::new();
        if stream.rng.chance(splits) {
            // Often single bytes, so that lengths and headers are cut too.
            while left > 1 && pieces.len() < 16 {
                let piece = match stream.rng.below(2) {
                    0 => 1,
                    _ => 1 + stream.rng.below(left - 1),
                };
                pieces.push(piece);
                left -= piece;
            }
        }
        pieces.push(left);
        let hosts = stream.hosts;
        self.trace.bytes(bytes);
        let (from, to) = (
            &self.hosts[hosts[end]].name,
            &self.hosts[hosts[1 - end]].name,
        );
        self.trace
            .note(self.now, Kind::Sent, [key.serial, end as u64], |line| {
                let _ = write!(line, "{from} -> {to} #{} {count} bytes", key.serial);
                for name in names {
                    let _ = write!(line, "; {name}");
                }
            });
        for piece in pieces {
            self.send(key, end, Segment::Data(piece));
        }
        count
    }

    /// An end lets go of the stream: orderly, after what it has written, or at once.
    pub(crate) fn close(&mut self, key: Key, end: usize, abort: bool) {
        let Some(stream) = self.net.streams.get_mut(key) else {
            return;
        };
        let owner = std::mem::take(&mut stream.ends[end].owner);
        let over = stream.ends[end].over;
        let name = &self.hosts[stream.hosts[end]].name;
        self.trace
            .note(self.now, Kind::Closed, [key.serial, end as u64], |line| {
                let how = if abort { "aborts" } else { "closes" };
                let _ = write!(line, "{name} {how} #{}", key.serial);
            });
        self.discard(owner);
        let broken = over.is_some_and(|kind| kind != ErrorKind::UnexpectedEof);
        if !broken {
            let segment = if abort {
                Segment::Reset(ErrorKind::ConnectionReset)
            } else {
                Segment::End
            };
            self.send(key, end, segment);
        }
        self.reap(key);
    }

    /// Puts a segment on its way.
    pub(crate) fn send(&mut self, key: Key, from: usize, segment: Segment) {
        let Some(stream) = self.net.streams.get_mut(key) else {
            return;
        };
        let [source, target] = [stream.hosts[from], stream.hosts[1 - from]];
        let latency = self.net.links.draw(source, target, &mut stream.rng);
        let direction = &mut stream.directions[from];
        let at = (self.now + latency).max(direction.last);
        direction.last = at;
        direction.segments.push_back(segment);
        self.schedule.plan(
            at,
            Event::Arrive {
                key,
                direction: from,
            },
        );
    }

    /// Forgets a stream that nobody holds and on which nothing is under way.
    pub(crate) fn reap(&mut self, key: Key) {
        let idle = self.net.streams.get(key).is_some_and(|stream| {
            let free = stream.ends.iter().all(|end| end.owner.is_nobody());
            free && stream.directions.iter().all(|it| it.segments.is_empty())
        });
        if idle {
            self.net.streams.remove(key);
        }
    }
}
