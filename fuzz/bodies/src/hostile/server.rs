//! What the server makes of what it gets, and what it sends.

use zk_proto::{
    ConnectReply, ConnectResponse, ErrorCode, OpCode, Password, Reader, ReplyHeader, RequestHeader,
    SessionId, Xid, Zxid, frame,
};
use zk_session::ConnId;

use super::World;
use crate::cursor::Cursor;

impl World {
    /// Bytes of the server arrive on all connections that are up. `how` they are cut: in pieces of so
    /// many bytes, or whole, or read into a loan.
    pub(super) fn hear(&mut self, how: u8, bytes: &[u8]) {
        let size = match how % 64 {
            0 => bytes.len(),
            size => usize::from(size),
        };
        for conn in self.up() {
            for piece in bytes.chunks(size.max(1)) {
                let mut rest = piece;
                let wants = self.session.wants_read(conn);
                if let Some(mut loan) = (how >= 128).then(|| self.session.lend(conn)).flatten() {
                    assert!(self.session.read_hint(conn) > 0);
                    let room = loan.unfilled();
                    let fits = room.len().min(rest.len());
                    room[..fits].copy_from_slice(&rest[..fits]);
                    loan.advance(fits);
                    self.session.handle_lent(self.now, conn, loan);
                    rest = &rest[fits..];
                }
                // A driver may read although it was asked not to, but not for ever.
                if !wants {
                    self.drain();
                }
                self.session.handle_data(self.now, conn, rest);
            }
        }
    }

    fn up(&self) -> Vec<ConnId> {
        let up = self.wires.iter().filter(|(_, up)| **up);
        up.map(|(conn, _)| *conn).collect()
    }

    /// A greeting that makes sense, more or less.
    pub(super) fn greet(&mut self, cursor: &mut Cursor<'_>) {
        let flags = cursor.byte();
        let mut out = Vec::new();
        let reply = if flags & 0x80 != 0 {
            ConnectReply::Refused(ErrorCode(i32::from(cursor.byte() as i8)))
        } else {
            ConnectReply::Response(ConnectResponse {
                protocol_version: 0,
                timeout: [6000, 0, 1, i32::MAX][usize::from(flags & 3)],
                session_id: SessionId(i64::from(flags >> 2 & 3)),
                password: Password::from([flags >> 2 & 3; 16]),
                read_only: [Some(false), Some(true), None, None][usize::from(flags >> 4 & 3)],
            })
        };
        frame(&mut out, |out| reply.encode(out));
        self.hear(0, &out);
    }

    /// An answer to the oldest request, or to one that is not due: flags, the number of bytes of the
    /// body, and these bytes.
    pub(super) fn reply(&mut self, cursor: &mut Cursor<'_>) {
        let flags = cursor.byte();
        let length = cursor.byte();
        let body = cursor.take(usize::from(length)).to_vec();
        let which = usize::from(flags & 1).min(self.awaited.len().saturating_sub(1));
        let Some((xid, opcode)) = self.awaited.remove(which) else {
            return;
        };
        let err = match flags >> 4 {
            0..8 => ErrorCode::OK,
            8 => ErrorCode::NO_NODE,
            9 => ErrorCode::SESSION_EXPIRED,
            10 => ErrorCode::AUTH_FAILED,
            11 => ErrorCode::UNIMPLEMENTED,
            12 => ErrorCode::NOT_READ_ONLY,
            13 => ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
            14 => ErrorCode::NO_WATCHER,
            _ => ErrorCode(i32::from(length)),
        };
        self.zxid += i64::from(flags >> 1 & 1);
        // Time that runs backwards, or none.
        let zxid = Zxid(match flags & 6 {
            4 => 0,
            6 => self.zxid - 2,
            _ => self.zxid,
        });
        let mut out = Vec::new();
        frame(&mut out, |out| {
            ReplyHeader { xid, zxid, err }.encode(out);
            out.extend_from_slice(&body);
            // Null and empty things, and zeros, make a body for most.
            if flags & 8 != 0 && err == ErrorCode::OK {
                out.extend_from_slice(plain_body(opcode));
            }
        });
        self.hear(flags & 0x80, &out);
    }

    /// A reply that is announced as long, and of which little comes.
    pub(super) fn announce(&mut self, cursor: &mut Cursor<'_>) {
        let length = u32::from(cursor.short()) << 4;
        let xid = self.awaited.front().map_or(Xid(1), |(xid, _)| *xid);
        let mut out = length.to_be_bytes().to_vec();
        let (zxid, err) = (Zxid(self.zxid), ErrorCode::OK);
        ReplyHeader { xid, zxid, err }.encode(&mut out);
        let how = cursor.byte();
        self.hear(how, &out);
        // Some of it, by itself and by a loan.
        let most = usize::from(cursor.short()).min(length as usize);
        self.hear(how | 128, &vec![0; most]);
    }

    /// Takes what the session has to say, at most so many times.
    pub(super) fn transmit(&mut self, times: usize) {
        for conn in self.up() {
            for _ in 0..=times {
                let mut out = Vec::new();
                let told = self.session.poll_transmit(self.now, conn, &mut out);
                assert_eq!(told, out.len(), "it says what it appends");
                if out.is_empty() {
                    break;
                }
                self.read(&out);
            }
        }
    }

    /// What the server makes of what it gets. The first frame of a connection, which has zeros where
    /// requests have their number, repeats a password that the server itself has chosen.
    fn read(&mut self, out: &[u8]) {
        let mut rest = out;
        while let Some((length, after)) = rest.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some((frame, after)) = after.split_at_checked(length) else {
                return;
            };
            rest = after;
            let frame = bytes::Bytes::copy_from_slice(frame);
            let mut reader = Reader::new(&frame);
            let header = RequestHeader::decode(&mut reader);
            if let Some(header) = header.ok().filter(|header| header.xid != Xid(0)) {
                self.checks.transmitted(&frame);
                self.awaited.push_back((header.xid, header.opcode));
            }
        }
    }

    /// All that an honest network would do at once: connections come up, bytes go out.
    pub(super) fn forward(&mut self, _: u8) {
        self.drain();
        for (conn, up) in &mut self.wires {
            if !*up {
                *up = true;
                self.session.handle_connected(self.now, *conn);
            }
        }
        self.transmit(100);
        self.drain();
    }

    /// The shortest way to a session that can be used, if nothing stands in it.
    pub(super) fn attach(&mut self) {
        self.forward(0);
        let greeting = [0x04];
        self.greet(&mut Cursor::new(&greeting));
        self.forward(0);
    }
}

/// What follows the bytes of an input in a reply, so that it can be read.
fn plain_body(opcode: OpCode) -> &'static [u8] {
    const ZEROS: [u8; 96] = [0; 96];
    const END_OF_MULTI: [u8; 9] = [255, 255, 255, 255, 1, 255, 255, 255, 255];
    match opcode {
        OpCode::MULTI | OpCode::MULTI_READ => &END_OF_MULTI,
        _ => &ZEROS,
    }
}
