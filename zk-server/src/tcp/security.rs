//! What may be between a socket and the server: TLS, with the feature `tls`.

#[cfg(feature = "tls")]
pub(super) use with::{Gate, Security};
#[cfg(not(feature = "tls"))]
pub(super) use without::{Gate, Security};

/// The connection is over, and what is to be told to the client is told.
pub(super) struct Over;

#[cfg(feature = "tls")]
mod with {
    use zk_tls::server::{Acceptor, Connection};

    use super::Over;

    /// What every connection goes through.
    pub(in super::super) type Gate = Acceptor;

    /// That of one connection.
    pub(in super::super) struct Security(Box<Connection>);

    impl Security {
        pub(in super::super) fn new(gate: &Gate) -> Option<Self> {
            match gate.accept() {
                Ok(connection) => Some(Self(Box::new(connection))),
                Err(error) => {
                    tracing::warn!(%error, "cannot begin a handshake");
                    None
                }
            }
        }

        /// Takes what arrived. Appends decoded bytes to `plain`, and what TLS answers to `output`.
        pub(in super::super) fn decode(
            &mut self,
            wire: &[u8],
            plain: &mut Vec<u8>,
            output: &mut Vec<u8>,
        ) -> Result<(), Over> {
            if let Err(error) = self.0.decode(wire, plain, output) {
                tracing::debug!(%error, "TLS with a client has failed");
                return Err(Over);
            }
            if self.0.peer_closed() {
                Err(Over)
            } else {
                Ok(())
            }
        }

        pub(in super::super) fn encode(
            &mut self,
            plain: &[u8],
            output: &mut Vec<u8>,
        ) -> Result<(), Over> {
            self.0.encode(plain, output).map_err(|_| Over)
        }

        pub(in super::super) fn close(&mut self, output: &mut Vec<u8>) {
            self.0.close(output);
        }
    }
}

#[cfg(not(feature = "tls"))]
mod without {
    use std::convert::Infallible;

    use super::Over;

    pub(in super::super) type Gate = Infallible;

    pub(in super::super) struct Security(Infallible);

    impl Security {
        pub(in super::super) fn new(gate: &Gate) -> Option<Self> {
            match *gate {}
        }

        pub(in super::super) fn decode(
            &mut self,
            _: &[u8],
            _: &mut Vec<u8>,
            _: &mut Vec<u8>,
        ) -> Result<(), Over> {
            match self.0 {}
        }

        pub(in super::super) fn encode(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), Over> {
            match self.0 {}
        }

        pub(in super::super) fn close(&mut self, _: &mut Vec<u8>) {
            match self.0 {}
        }
    }
}
