//! What arrives on a connection: frames, requests, and who answers them.

use std::ops::Range;

use bytes::Bytes;
use zk_proto::{
    DecodeError, ErrorCode, Frame, FrameDecoder, OpCode, Reader, Request, RequestHeader, Zxid,
    is_four_letter,
};

use super::{Shared, mode::Mode};
use crate::{
    Fault, Ticket, ToLeader, Write,
    connection::{Client, Ending, Place, Stage, Waiting},
    decode::decode,
    fault::Seen,
};

impl Shared {
    /// Works on the frames of a connection until one has to wait.
    pub(super) fn serve(&mut self, client: &mut Client, decoder: &mut FrameDecoder) {
        self.serve_waiting(client, self.options.output_high_water);
        if matches!(client.stage, Stage::Greeting { .. })
            && let Some(word) = decoder
                .peek()
                .first_chunk()
                .filter(|word| is_four_letter(word))
        {
            self.words.push_back((client.id, *word));
            self.leave_greeting(client);
            client.stage = Stage::Asked;
            return;
        }
        while self.may_serve(client) {
            match decoder.next_frame() {
                Ok(Some(Frame::Whole { chunk, range })) => self.handle_frame(client, chunk, range),
                Ok(Some(Frame::TooLarge { .. })) | Err(_) => client.end(Ending::Flush),
                Ok(None) => {
                    let prefix = decoder
                        .peek()
                        .first_chunk()
                        .copied()
                        .map(u32::from_be_bytes);
                    let limit = self.options.max_frame;
                    if prefix.is_some_and(|length| length as usize > limit) {
                        client.end(Ending::Flush);
                    }
                    break;
                }
            }
        }
    }

    /// The requests that waited behind one at the leader, up to the next of that kind or until
    /// `room` bytes of output wait.
    pub(super) fn serve_waiting(&mut self, client: &mut Client, room: usize) {
        while client
            .waiting
            .front()
            .is_some_and(|first| first.place == Place::Here)
            && client.ending.is_none()
            && client.output.len() < room
        {
            if let Some(first) = client.waiting.pop_front() {
                let whole = 0..first.body.len();
                self.execute(client, first.header, &first.body, whole, first.fault);
            }
        }
    }

    fn handle_frame(&mut self, client: &mut Client, chunk: &Bytes, range: Range<usize>) {
        self.received += 1;
        client.stats.received += 1;
        let mut reader = Reader::within(chunk, range.clone());
        if matches!(client.stage, Stage::Greeting { .. }) {
            return self.greet(client, &mut reader);
        }
        let Ok(header) = RequestHeader::decode(&mut reader) else {
            return client.end(Ending::Flush);
        };
        client.stats.last_opcode = Some(header.opcode);
        client.stats.last_xid = header.xid.0;
        self.touch(client);
        let body = range.start + RequestHeader::LEN..range.end;
        let fault = if self.faults.is_empty() {
            None
        } else {
            let mut reader = Reader::within(chunk, body.clone());
            self.fault_for(client, header, &mut reader)
        };
        if fault == Some(Fault::CutBefore) {
            return client.end(Ending::Abort);
        }
        if matches!(header.opcode, OpCode::AUTH | OpCode::SASL) {
            return self.credential(client, header, &mut reader, fault);
        }
        if !self.is_authenticated(client) {
            client.reply_code(
                header.xid,
                Zxid::ZERO,
                ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
            );
            return client.end(Ending::Flush);
        }
        if client.waiting.is_empty() {
            return self.execute(client, header, chunk, body, fault);
        }
        let body = chunk.slice(body);
        let request = decode(header.opcode, &mut Reader::new(&body));
        let place = if self.is_for_leader(header.opcode, &request) && !is_answer(fault) {
            self.forward(client, header.opcode, body.clone())
        } else {
            Place::Here
        };
        client.waiting.push_back(Waiting {
            header,
            body,
            place,
            fault,
        });
    }

    /// Answers a request that is the next in order, or sends it to the leader.
    fn execute(
        &mut self,
        client: &mut Client,
        header: RequestHeader,
        chunk: &Bytes,
        body: Range<usize>,
        fault: Option<Fault>,
    ) {
        let start = client.output.len();
        let zxid = self.tree.last_zxid();
        if let Some(Fault::Answer(code)) = fault {
            return client.reply_code(header.xid, zxid, code);
        }
        if self.is_unknown(header.opcode) {
            refuse(client, header);
            return self.after_reply(client, start, fault);
        }
        let mut reader = Reader::within(chunk, body.clone());
        let request = decode(header.opcode, &mut reader);
        if self.is_for_leader(header.opcode, &request) {
            let body = chunk.slice(body);
            let place = self.forward(client, header.opcode, body.clone());
            return client.waiting.push_back(Waiting {
                header,
                body,
                place,
                fault,
            });
        }
        match request {
            Ok(request) => self.answer(client, header, &request),
            Err(DecodeError::UnknownOpcode(_)) => refuse(client, header),
            Err(_) => client.reply_code(header.xid, zxid, ErrorCode::MARSHALLING_ERROR),
        }
        self.after_reply(client, start, fault);
    }

    /// Sends a request to the leader; its reply has a place then.
    fn forward(&mut self, client: &mut Client, opcode: OpCode, body: Bytes) -> Place {
        let serial = client.serial();
        let ticket = Ticket {
            member: self.options.member,
            conn: client.id,
            serial,
        };
        let session = client.session().unwrap_or_default();
        self.to_leader.push_back(match opcode {
            OpCode::SYNC => ToLeader::Sync { ticket },
            OpCode::CLOSE_SESSION => ToLeader::CloseSession { ticket, session },
            OpCode(_) => ToLeader::Write(Write {
                ticket,
                session,
                opcode,
                body,
                ids: client.ids.clone(),
            }),
        });
        Place::Leader { serial }
    }

    fn is_for_leader(&self, opcode: OpCode, request: &Result<Request<'_>, DecodeError>) -> bool {
        if !matches!(self.mode, Mode::Serving(_)) {
            return false;
        }
        #[cfg(zk_planted)]
        if self.options.planted == Some(crate::Planted::LocalSync) && opcode == OpCode::SYNC {
            return false;
        }
        match request {
            Ok(request) => {
                matches!(request, Request::CloseSession)
                    || request.is_quorum() && !self.is_unknown(request.opcode())
            }
            Err(_) => self.options.release.numbers_unreadable(opcode),
        }
    }

    /// Whether servers of this release treat it as an operation that they do not know.
    fn is_unknown(&self, opcode: OpCode) -> bool {
        opcode == OpCode::CHECK && !self.options.release.executes_single_check()
    }

    fn fault_for(
        &mut self,
        client: &Client,
        header: RequestHeader,
        reader: &mut Reader<'_>,
    ) -> Option<Fault> {
        let request = decode(header.opcode, reader).ok();
        self.faults.take(Seen {
            conn: client.id,
            session: client.session().unwrap_or_default(),
            opcode: header.opcode,
            path: request.as_ref().and_then(|request| request.path()),
        })
    }
}

fn is_answer(fault: Option<Fault>) -> bool {
    matches!(fault, Some(Fault::Answer(_)))
}

/// An operation that is not known costs the connection.
fn refuse(client: &mut Client, header: RequestHeader) {
    client.reply_code(header.xid, Zxid(-1), ErrorCode::UNIMPLEMENTED);
    client.end(Ending::Flush);
}
