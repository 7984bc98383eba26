//! What may be between a socket and the server: TLS, with the feature `tls`.

#[cfg(feature = "tls")]
pub(super) use with::{Gate, Security};
#[cfg(not(feature = "tls"))]
pub(super) use without::{Gate, Security};

/// The connection is over, and what is to be told to the client is told.
pub(super) struct Over;

#[cfg(feature = "tls")]
mod with {
    use zk_proto::Id;
    use zk_tls::server::{Acceptor, Connection};

    use super::Over;

    /// What every connection goes through.
    pub(in super::super) type Gate = Acceptor;

    /// That of one connection.
    pub(in super::super) struct Security {
        connection: Box<Connection>,
        /// The server was told who the client is.
        is_told: bool,
    }

    impl Security {
        pub(in super::super) fn new(gate: &Gate) -> Option<Self> {
            match gate.accept() {
                Ok(connection) => Some(Self {
                    connection: Box::new(connection),
                    is_told: false,
                }),
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
            if let Err(error) = self.connection.decode(wire, plain, output) {
                tracing::debug!(%error, "TLS with a client has failed");
                return Err(Over);
            }
            if self.connection.peer_closed() {
                Err(Over)
            } else {
                Ok(())
            }
        }

        /// Who the client is by its certificate, once that is known. Told once.
        pub(in super::super) fn identity(&mut self) -> Option<Id> {
            if self.is_told || !self.connection.is_established() {
                return None;
            }
            self.is_told = true;
            self.connection
                .client_subject()
                .map(|subject| Id::new("x509", subject))
        }

        pub(in super::super) fn encode(
            &mut self,
            plain: &[u8],
            output: &mut Vec<u8>,
        ) -> Result<(), Over> {
            self.connection.encode(plain, output).map_err(|_| Over)
        }

        pub(in super::super) fn close(&mut self, output: &mut Vec<u8>) {
            self.connection.close(output);
        }
    }
}

#[cfg(not(feature = "tls"))]
mod without {
    use std::convert::Infallible;

    use zk_proto::Id;

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

        pub(in super::super) fn identity(&mut self) -> Option<Id> {
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
