//! Requests as a server takes them.

use zk_proto::{DecodeError, OpCode, Reader, Request};

/// Reads the body of a request, and refuses what can be read but not carried out, such as a null
/// path or a `setACL` in a multi.
pub(crate) fn decode<'a>(
    opcode: OpCode,
    reader: &mut Reader<'a>,
) -> Result<Request<'a>, DecodeError> {
    Request::decode(opcode, reader)?.effective()
}
