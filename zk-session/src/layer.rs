//! The seam for TLS: bytes on the wire become bytes of the protocol and back.
//!
//! A layer belongs to one connection and does no I/O: the session hands it what arrived and puts
//! what it produces on the wire, so that no handler has to know of it.

use std::fmt;

use zk_proto::ServerAddr;

use crate::LayerError;

/// One connection's security layer.
pub trait Layer: Send {
    /// Is the handshake over? Until then nothing of the session is encoded.
    fn is_established(&self) -> bool;

    /// Appends what the layer itself has to say: its first flight, alerts.
    fn flush(&mut self, wire: &mut Vec<u8>);

    /// Takes what arrived. Appends decoded bytes to `plain` and answers of the layer to `reply`.
    ///
    /// # Errors
    /// The connection is over; `reply` may hold a last alert.
    fn decode(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        reply: &mut Vec<u8>,
    ) -> Result<(), LayerError>;

    /// Encodes bytes of the session, appending to `wire`.
    ///
    /// # Errors
    /// The connection is over.
    fn encode(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), LayerError>;
}

/// Makes a [`Layer`] for each connection.
pub trait LayerFactory: fmt::Debug + Send + Sync {
    /// A layer for a connection to `server`, whose name is the configured one.
    ///
    /// # Errors
    /// The attempt fails with [`LinkError::Layer`](crate::LinkError::Layer).
    fn layer(&self, server: &ServerAddr) -> Result<Box<dyn Layer>, LayerError>;
}
