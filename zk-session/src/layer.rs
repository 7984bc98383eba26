//! The seam for TLS: bytes on the wire become bytes of the protocol and back.
//!
//! A layer belongs to one connection and does no I/O: the session hands it what arrived and puts
//! what it produces on the wire, so that no handler has to know of it.

use std::fmt;

use zk_proto::ServerAddr;

/// One connection's security layer.
pub trait Layer: Send {
    /// Is the handshake over? Until then nothing of the session is encoded.
    fn is_established(&self) -> bool;

    /// Appends what the layer itself has to say: its first flight, alerts.
    fn flush(&mut self, wire: &mut Vec<u8>);

    /// Takes what arrived. Appends decoded bytes to `plain` and answers of the layer to `reply`.
    ///
    /// # Errors
    /// The connection is over; `plain` holds what was said before.
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

    /// This side is about to end the connection, in whatever state. Appends what the peer is to be
    /// told, if it can be: that nothing more will come. By default nothing.
    ///
    /// After a failure the peer is told by what [`decode`](Self::decode) has appended to `reply`.
    fn close(&mut self, wire: &mut Vec<u8>) {
        let _ = wire;
    }

    /// The peer has closed the transport, or cut it off. What that means, if the layer knows better
    /// than whoever looks at the transport alone: in the middle of the handshake, for example.
    fn closed(&self) -> Option<LayerError> {
        None
    }
}

/// Makes a [`Layer`] for each connection.
pub trait LayerFactory: fmt::Debug + Send + Sync {
    /// A layer for a connection to `server`, whose name is the configured one.
    ///
    /// # Errors
    /// The attempt fails with [`LinkError::Layer`](crate::LinkError::Layer).
    fn layer(&self, server: &ServerAddr) -> Result<Box<dyn Layer>, LayerError>;
}

/// Why a [`Layer`] cannot go on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct LayerError {
    /// What happened and what to do, for a person.
    pub message: String,
    /// The same, for a program.
    pub kind: LayerErrorKind,
}

impl LayerError {
    /// An error that reads `message`, of the kind [`LayerErrorKind::Other`].
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(LayerErrorKind::Other, message)
    }

    /// An error that reads `message`.
    pub fn of(kind: LayerErrorKind, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind,
        }
    }
}

/// What is wrong between a client's security layer and a server's. Most kinds need somebody who
/// changes the configuration of either: attempts go on, but each kind is warned of in the log.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LayerErrorKind {
    /// Nothing of what follows.
    Other,
    /// The options of this side are of no use for that server.
    Unusable,
    /// The server does not speak the layer's protocol: this is the port for those without.
    Plaintext,
    /// The two sides have no version or no algorithm in common.
    Incompatible,
    /// Nobody who is trusted here vouches for the server's certificate.
    UnknownAuthority,
    /// The server's certificate is not valid any more.
    Expired,
    /// The server's certificate is not valid yet, or the clock of this machine is wrong.
    NotYetValid,
    /// The server's certificate is for another name.
    WrongName,
    /// The server's certificate is refused for another reason.
    BadCertificate,
    /// The server wants a certificate, and this side has none to show.
    CertificateRequired,
    /// The server does not take the certificate of this side.
    CertificateRefused,
    /// The server refuses for another reason.
    Refused,
    /// The connection ended in the middle of the handshake, or of a message.
    Truncated,
    /// What the server sent is not what the layer's protocol allows, or was changed on the way.
    Violation,
}
