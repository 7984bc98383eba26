//! Bytes on the wire to bytes of the protocol and back, for either side of a connection.
//!
//! | state | left by |
//! |---|---|
//! | handshake | the last of its messages |
//! | established | the peer's `close_notify`, after which it sends no more; a failure |
//! | failed | never: what went wrong is the answer to everything |
//!
//! rustls is used by the interface that leaves buffers to its caller: a tenth to a quarter faster for
//! what ZooKeeper says than the one with buffers of its own, which reads in bites of 4 KiB.

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error, HandshakeKind, InvalidMessage};

/// More is never kept of what cannot be decoded yet: the longest message of a handshake that rustls
/// takes, and the longest record.
const MOST_KEPT: usize = (64 << 10) + (18 << 10);

/// Memory that an idle connection may keep for what arrives.
const KEPT: usize = 4 << 10;

/// The longest plaintext of one record.
const RECORD: usize = 16 << 10;

/// What a record is longer than its plaintext, at most.
const OVERHEAD: usize = 64;

/// One of the two sides.
pub(crate) trait Side {
    type Data;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn common(&self) -> &CommonState;
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

/// A connection of one side.
pub(crate) struct Records<S> {
    side: S,
    /// What has arrived and cannot be decoded yet.
    incoming: Vec<u8>,
    /// Nothing was asked of the side yet; it may want to speak first.
    is_fresh: bool,
    peer_closed: bool,
    failed: Option<Error>,
}

impl<S: Side> Records<S> {
    pub(crate) fn new(side: S) -> Self {
        Self {
            side,
            incoming: Vec::new(),
            is_fresh: true,
            peer_closed: false,
            failed: None,
        }
    }

    /// Appends what the side has to say of its own accord.
    #[cfg_attr(
        not(feature = "client"),
        expect(dead_code, reason = "servers do not speak first")
    )]
    pub(crate) fn flush(&mut self, wire: &mut Vec<u8>) {
        if std::mem::take(&mut self.is_fresh) {
            // A failure is the answer to whatever is asked next.
            let _ = self.advance(&mut Vec::new(), wire);
        }
    }

    /// Takes what arrived. Appends decoded bytes to `plain`, and answers, a last alert included, to
    /// `reply`.
    pub(crate) fn decode(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        reply: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.peer_closed {
            return Ok(());
        }
        self.is_fresh = false;
        self.incoming.extend_from_slice(wire);
        self.advance(plain, reply)?;
        if self.incoming.len() > MOST_KEPT {
            let error = Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge);
            return self.fail(error, reply);
        }
        if wire.len() < KEPT {
            self.incoming.shrink_to(KEPT);
        }
        Ok(())
    }

    /// Encodes, appending to `wire`. Only once the handshake is over.
    pub(crate) fn encode(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), Error> {
        self.in_traffic(wire, |connection, wire| {
            let start = wire.len();
            let mut room = plain.len() + plain.len().div_ceil(RECORD) * OVERHEAD;
            loop {
                wire.resize(start + room, 0);
                match connection.encrypt(plain, &mut wire[start..]) {
                    Ok(written) => {
                        wire.truncate(start + written);
                        return Ok(());
                    }
                    Err(EncryptError::InsufficientSize(size)) => room = size.required_size,
                    Err(EncryptError::EncryptExhausted) => {
                        wire.truncate(start);
                        return Err(Error::EncryptError);
                    }
                }
            }
        })
    }

    /// Says that nothing more will be sent.
    pub(crate) fn close(&mut self, wire: &mut Vec<u8>) -> Result<(), Error> {
        self.in_traffic(wire, |connection, wire| {
            let start = wire.len();
            wire.resize(start + OVERHEAD, 0);
            let written = connection.queue_close_notify(&mut wire[start..]);
            wire.truncate(start + written.as_ref().copied().unwrap_or(0));
            written.map(drop).map_err(|_| Error::EncryptError)
        })
    }

    pub(crate) fn is_established(&self) -> bool {
        self.failed.is_none() && !self.side.common().is_handshaking()
    }

    /// Has the peer said that it sends no more?
    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    #[cfg(feature = "client")]
    /// Is there less than a whole message, and so nothing to do with it?
    pub(crate) fn is_in_the_middle(&self) -> bool {
        !self.incoming.is_empty()
    }

    pub(crate) fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.side.common().handshake_kind()
    }

    pub(crate) fn common(&self) -> &CommonState {
        self.side.common()
    }

    /// Does what the state of an established connection allows.
    fn in_traffic(
        &mut self,
        wire: &mut Vec<u8>,
        work: impl FnOnce(&mut WriteTraffic<'_, S::Data>, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // Nothing can be decoded that could not be before.
        self.advance(&mut Vec::new(), wire)?;
        let status = self.side.process(&mut self.incoming);
        let error = match status.state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => match work(&mut traffic, wire) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            Ok(_) => return Err(Error::HandshakeNotComplete),
            Err(error) => error,
        };
        self.fail(error, wire)
    }

    /// Goes on until something is lacking.
    fn advance(&mut self, plain: &mut Vec<u8>, reply: &mut Vec<u8>) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut done = 0;
        let failure = loop {
            let UnbufferedStatus { discard, state, .. } =
                self.side.process(&mut self.incoming[done..]);
            let mut taken = discard;
            let next = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                    match traffic.next_record() {
                        None => break Ok(true),
                        Some(Err(error)) => break Err(error),
                        Some(Ok(record)) => {
                            taken += record.discard;
                            plain.extend_from_slice(record.payload);
                        }
                    }
                },
                Ok(ConnectionState::EncodeTlsData(data)) => put(data, reply).map(|()| true),
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    Ok(true)
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.peer_closed = true;
                    Ok(true)
                }
                Ok(_) => Ok(false),
                Err(error) => Err(error),
            };
            done += taken;
            match next {
                Ok(true) => {}
                Ok(false) => break None,
                Err(error) => break Some(error),
            }
        };
        self.incoming.drain(..done);
        if let Some(error) = failure {
            return self.fail(error, reply);
        }
        if self.peer_closed {
            self.incoming = Vec::new();
        }
        Ok(())
    }

    /// Appends the alert that tells the peer, and remembers what went wrong.
    fn fail(&mut self, error: Error, reply: &mut Vec<u8>) -> Result<(), Error> {
        // Only as long as there is an alert: what failed once must not be looked at again.
        while self.side.common().wants_write() {
            let status = self.side.process(&mut self.incoming);
            let Ok(ConnectionState::EncodeTlsData(data)) = status.state else {
                break;
            };
            if put(data, reply).is_err() {
                break;
            }
        }
        self.incoming = Vec::new();
        self.failed = Some(error.clone());
        Err(error)
    }
}

/// Appends a message of the handshake, or an alert.
fn put<D>(mut data: EncodeTlsData<'_, D>, wire: &mut Vec<u8>) -> Result<(), Error> {
    let start = wire.len();
    let mut room = 0;
    loop {
        wire.resize(start + room, 0);
        match data.encode(&mut wire[start..]) {
            Ok(written) => {
                wire.truncate(start + written);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(size)) => room = size.required_size,
            Err(EncodeError::AlreadyEncoded) => return Err(Error::EncryptError),
        }
    }
}
