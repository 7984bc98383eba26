//! [`ClientLayer`]: one connection of a client.

use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error, HandshakeKind};
use zk_session::{Layer, LayerError};

use crate::failure::{Circumstances, cut_off, explain};
use crate::records::Records;
use crate::tls::Tally;

/// How HTTP servers begin.
const HTTP: &[u8] = b"HTTP";

/// The layer of one connection.
pub(crate) struct ClientLayer {
    records: Records<UnbufferedClientConnection>,
    has_certificate: bool,
    /// The first bytes that arrived, and how many there are of them.
    first: [u8; HTTP.len()],
    heard: usize,
    tally: Arc<Tally>,
    counted: bool,
}

impl ClientLayer {
    pub(crate) fn new(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        tally: Arc<Tally>,
    ) -> Result<Self, Error> {
        let has_certificate = config.client_auth_cert_resolver.has_certs();
        Ok(Self {
            records: Records::new(UnbufferedClientConnection::new(config, name)?),
            has_certificate,
            first: [0; HTTP.len()],
            heard: 0,
            tally,
            counted: false,
        })
    }

    fn explain(&self, error: &Error) -> LayerError {
        let common = self.records.common();
        let is_http = self.first == HTTP;
        explain(
            error,
            Circumstances::of(common, self.has_certificate, is_http),
        )
    }

    fn hear(&mut self, wire: &[u8]) {
        if self.heard < HTTP.len() {
            let count = wire.len().min(HTTP.len() - self.heard);
            self.first[self.heard..][..count].copy_from_slice(&wire[..count]);
            self.heard += count;
        }
    }

    fn count(&mut self) {
        if !self.counted && self.records.is_established() {
            self.counted = true;
            let kind = self.records.handshake_kind();
            self.tally.count(kind == Some(HandshakeKind::Resumed));
            let version = self.records.common().protocol_version();
            tracing::debug!(?version, ?kind, "TLS handshake");
        }
    }
}

impl Layer for ClientLayer {
    fn is_established(&self) -> bool {
        self.records.is_established()
    }

    fn flush(&mut self, wire: &mut Vec<u8>) {
        self.records.flush(wire);
    }

    fn decode(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        reply: &mut Vec<u8>,
    ) -> Result<(), LayerError> {
        self.hear(wire);
        let result = self.records.decode(wire, plain, reply);
        self.count();
        result.map_err(|error| self.explain(&error))
    }

    fn encode(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), LayerError> {
        let result = self.records.encode(plain, wire);
        result.map_err(|error| self.explain(&error))
    }

    fn close(&mut self, wire: &mut Vec<u8>) {
        // In the middle of a handshake there is no way to say it that both versions have.
        if self.records.is_established() {
            let _ = self.records.close(wire);
        }
    }

    fn closed(&self) -> Option<LayerError> {
        let established = self.records.is_established();
        let in_order = self.records.peer_closed() || !self.records.is_in_the_middle();
        if established && in_order {
            return None;
        }
        Some(cut_off(established, self.heard > 0))
    }
}
