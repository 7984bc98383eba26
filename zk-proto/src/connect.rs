//! The first frame of each direction, which opens or re-attaches to a session.

use crate::{
    DecodeError, ErrorCode, Password, Reader, ReplyHeader, SessionId, Xid, Zxid, put_boolean,
    put_int, put_long,
};

/// What a client says first (`ConnectRequest` of the Java client).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectRequest {
    /// Always 0; servers ignore it.
    pub protocol_version: i32,
    /// The last transaction that the client knows of. A server that is behind it hangs up.
    pub last_zxid_seen: Zxid,
    /// The session timeout that the client asks for, in milliseconds.
    pub timeout: i32,
    /// The session to re-attach to, or [`SessionId::NONE`] for a new one.
    pub session_id: SessionId,
    /// The password of that session.
    pub password: Password,
    /// Whether a read-only server will do. `None`, where the byte is absent, is how clients before
    /// 3.4 connect.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.protocol_version);
        put_long(out, self.last_zxid_seen.0);
        put_int(out, self.timeout);
        put_long(out, self.session_id.0);
        self.password.encode(out);
        put_read_only(out, self.read_only);
    }

    /// Reads it.
    ///
    /// # Errors
    /// Any [`DecodeError`] of [`Reader::buffer`]; [`DecodeError::TooLong`] for a password above
    /// [`Password::MAX_LEN`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            protocol_version: reader.int("protocolVersion")?,
            last_zxid_seen: Zxid(reader.long("lastZxidSeen")?),
            timeout: reader.int("timeOut")?,
            session_id: SessionId(reader.long("sessionId")?),
            password: Password::decode(reader)?,
            read_only: read_only(reader)?,
        })
    }
}

/// What a server says first (`ConnectResponse` of the Java client).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectResponse {
    /// Always 0.
    pub protocol_version: i32,
    /// The session timeout that holds, in milliseconds; 0 or less if there is no such session.
    pub timeout: i32,
    /// The session, or [`SessionId::NONE`].
    pub session_id: SessionId,
    /// The password of the session.
    pub password: Password,
    /// Whether the server is read-only. `None` answers a request without the byte.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// Whether the session is expired, closed, unknown or not proven by its password.
    #[inline]
    pub const fn is_expired(&self) -> bool {
        self.timeout <= 0
    }

    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.protocol_version);
        put_int(out, self.timeout);
        put_long(out, self.session_id.0);
        self.password.encode(out);
        put_read_only(out, self.read_only);
    }

    /// Reads it.
    ///
    /// # Errors
    /// As [`ConnectRequest::decode`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            protocol_version: reader.int("protocolVersion")?,
            timeout: reader.int("timeOut")?,
            session_id: SessionId(reader.long("sessionId")?),
            password: Password::decode(reader)?,
            read_only: read_only(reader)?,
        })
    }
}

/// Either of the two frames that answer a [`ConnectRequest`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the length of the frame decides between the two"
)]
pub enum ConnectReply {
    /// The session, or that there is none.
    Response(ConnectResponse),
    /// The head of a reply instead: a read-only server without local sessions answers so, with
    /// [`ErrorCode::NOT_READ_ONLY`].
    Refused(ErrorCode),
}

impl ConnectReply {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Response(response) => response.encode(out),
            &Self::Refused(err) => ReplyHeader {
                xid: Xid(0),
                zxid: Zxid::ZERO,
                err,
            }
            .encode(out),
        }
    }

    /// Reads it. A frame of 16 bytes is too short for a response.
    ///
    /// # Errors
    /// As [`ConnectRequest::decode`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.remaining() == ReplyHeader::LEN {
            return ReplyHeader::decode(reader).map(|header| Self::Refused(header.err));
        }
        ConnectResponse::decode(reader).map(Self::Response)
    }
}

fn put_read_only(out: &mut Vec<u8>, read_only: Option<bool>) {
    if let Some(read_only) = read_only {
        put_boolean(out, read_only);
    }
}

/// The byte came with 3.4; before, the frame ends here.
fn read_only(reader: &mut Reader<'_>) -> Result<Option<bool>, DecodeError> {
    if reader.remaining() == 0 {
        return Ok(None);
    }
    reader.boolean("readOnly").map(Some)
}
