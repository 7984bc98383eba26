//! Credentials: answered at once, whatever else a connection waits for.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};
use zk_proto::{
    ErrorCode, Id, OpCode, Reader, ReplyHeader, Request, RequestHeader, Zxid, frame, put_buffer,
};

use super::Shared;
use crate::{
    Fault, SaslStep,
    connection::{Client, Ending},
};

impl Shared {
    /// A credential, or a part of one.
    pub(super) fn credential(
        &mut self,
        client: &mut Client,
        header: RequestHeader,
        reader: &mut Reader<'_>,
        fault: Option<Fault>,
    ) {
        let start = client.output.len();
        if let Some(Fault::Answer(code)) = fault {
            client.reply_code(header.xid, Zxid::ZERO, code);
        } else if header.opcode == OpCode::SASL {
            self.sasl(client, header, reader);
        } else {
            self.auth(client, header, reader);
        }
        self.after_reply(client, start, fault);
    }

    /// A credential of the schemes that need one message only.
    fn auth(&mut self, client: &mut Client, header: RequestHeader, reader: &mut Reader<'_>) {
        self.sent += 1;
        let Ok(Request::Auth { scheme, data }) = Request::decode(header.opcode, reader) else {
            return client.end(Ending::Flush);
        };
        if self.accept(client, &scheme, data.as_deref()) {
            client.reply_code(header.xid, Zxid::ZERO, ErrorCode::OK);
        } else {
            client.reply_code(header.xid, Zxid::ZERO, ErrorCode::AUTH_FAILED);
            client.end(Ending::Flush);
        }
    }

    /// `DigestAuthenticationProvider`, `IPAuthenticationProvider` and `X509AuthenticationProvider` of
    /// the Java server; the other schemes are off there, too.
    fn accept(&self, client: &mut Client, scheme: &str, data: Option<&[u8]>) -> bool {
        match (scheme, data) {
            ("digest", Some(data)) => {
                let text = String::from_utf8_lossy(data);
                let id = digest_id(&text);
                let is_super = self.options.super_digest.as_ref() == Some(&id);
                (!is_super || client.add_id(Id::new("super", "")))
                    && client.add_id(Id::new("digest", id))
            }
            ("ip", _) => true,
            // Looks at the certificate once more.
            ("x509", _) => client.ids.iter().any(|id| id.scheme == "x509"),
            _ => false,
        }
    }

    /// One step of a SASL exchange.
    fn sasl(&mut self, client: &mut Client, header: RequestHeader, reader: &mut Reader<'_>) {
        self.sent += 1;
        let request = Request::decode(header.opcode, reader);
        let Ok(Request::Sasl { token: Some(token) }) = request else {
            return client.end(Ending::Flush);
        };
        let Some(factory) = self.options.sasl.clone() else {
            return put_token(client, header, ErrorCode::OK, None);
        };
        let mut exchange = match client.sasl.take() {
            Some(exchange) => exchange,
            None => factory.start(self.exchange_seed()),
        };
        match exchange.step(&token) {
            SaslStep::Continue(token) => {
                client.sasl = Some(exchange);
                put_token(client, header, ErrorCode::OK, Some(&token));
            }
            SaslStep::Done {
                token,
                authorization_id,
            } => {
                if client.add_id(Id::new("sasl", authorization_id)) {
                    put_token(client, header, ErrorCode::OK, token.as_deref());
                } else {
                    put_token(client, header, ErrorCode::AUTH_FAILED, None);
                    client.end(Ending::Flush);
                }
            }
            SaslStep::Failed => {
                let required = self.options.enforced_schemes.iter().any(|s| s == "sasl");
                let code = if required {
                    ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH
                } else {
                    ErrorCode::AUTH_FAILED
                };
                put_token(client, header, code, None);
                client.end(Ending::Flush);
            }
        }
    }

    /// Whether the client is who it must be to ask for anything.
    pub(super) fn is_authenticated(&self, client: &Client) -> bool {
        let schemes = &self.options.enforced_schemes;
        schemes.is_empty()
            || client
                .ids
                .iter()
                .any(|id| schemes.iter().any(|s| *s == id.scheme))
    }
}

/// A SASL reply has its body in any case.
fn put_token(client: &mut Client, header: RequestHeader, err: ErrorCode, token: Option<&[u8]>) {
    frame(client.output.begin(), |out| {
        let head = ReplyHeader {
            xid: header.xid,
            zxid: Zxid::ZERO,
            err,
        };
        head.encode(out);
        put_buffer(out, token);
    });
    client.stats.sent += 1;
}

/// The identity of a digest credential: the name, and the hash of all of it. A colon is not needed
/// (`DigestAuthenticationProvider.generateDigest`).
fn digest_id(credential: &str) -> String {
    let user = credential
        .split_once(':')
        .map_or(credential, |(user, _)| user);
    let mut id = format!("{user}:");
    STANDARD.encode_string(Sha1::digest(credential), &mut id);
    id
}
