//! What stands in front of every frame but the first of each direction.

use crate::{DecodeError, ErrorCode, OpCode, Reader, Xid, Zxid, put_int, put_long};

/// The head of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestHeader {
    /// The number that the reply repeats.
    pub xid: Xid,
    /// The operation, which says what the body is.
    pub opcode: OpCode,
}

impl RequestHeader {
    /// The number of bytes that it takes.
    pub const LEN: usize = 8;

    /// Appends it.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.xid.0);
        put_int(out, self.opcode.0);
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            xid: Xid(reader.int("xid")?),
            opcode: OpCode(reader.int("opcode")?),
        })
    }
}

/// The head of a reply or a watch event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReplyHeader {
    /// The number of the request, or one of the reserved numbers.
    pub xid: Xid,
    /// The last transaction that the server had processed; 0 or -1 where it does not say.
    pub zxid: Zxid,
    /// Anything but [`ErrorCode::OK`] stands for the body, except in SASL replies.
    pub err: ErrorCode,
}

impl ReplyHeader {
    /// The number of bytes that it takes.
    pub const LEN: usize = 16;

    /// Appends it.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.xid.0);
        put_long(out, self.zxid.0);
        put_int(out, self.err.0);
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            xid: Xid(reader.int("xid")?),
            zxid: Zxid(reader.long("zxid")?),
            err: ErrorCode(reader.int("error code")?),
        })
    }

    /// The header in the head of a frame that was too large to be kept,
    /// see [`Frame::TooLarge`](crate::Frame::TooLarge).
    pub fn from_head(head: &[u8; Self::LEN]) -> Self {
        let [a, b, c, d, zxid @ .., e, f, g, h] = *head;
        Self {
            xid: Xid(i32::from_be_bytes([a, b, c, d])),
            zxid: Zxid(i64::from_be_bytes(zxid)),
            err: ErrorCode(i32::from_be_bytes([e, f, g, h])),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_head_reads_like_a_frame() {
        let header = ReplyHeader {
            xid: Xid(-2),
            zxid: Zxid(0x1_0000_0002),
            err: ErrorCode::NO_NODE,
        };
        let mut out = Vec::new();
        header.encode(&mut out);
        let head: [u8; 16] = out.clone().try_into().unwrap();
        assert_eq!(ReplyHeader::from_head(&head), header);
        assert_eq!(
            ReplyHeader::decode(&mut Reader::new(&Bytes::from(out))),
            Ok(header)
        );
    }
}
