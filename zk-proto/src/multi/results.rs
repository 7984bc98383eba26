//! What became of the operations of a multi or multi-read.

use super::Head;
use crate::{
    Children, DecodeError, ErrorCode, OpCode, Payload, Reader, Stat, put_buffer, put_int, put_text,
};

/// What became of one write of a multi.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is one variant for each type of result"
)]
pub enum MultiResult {
    /// A node was created.
    Created {
        /// Its path, with the counter if it is sequential.
        path: String,
        /// Its metadata. Servers before 3.7.2, 3.8.2 and 3.9 leave it out.
        stat: Option<Stat>,
    },
    /// A node was deleted.
    Deleted,
    /// Data was written.
    Set(Stat),
    /// A version was as expected.
    Checked,
    /// The multi failed, and nothing was done: [`ErrorCode::OK`] before the operation that failed,
    /// its own code there, [`ErrorCode::RUNTIME_INCONSISTENCY`] after it.
    Error(ErrorCode),
}

impl MultiResult {
    pub(crate) fn encode_list(results: &[Self], out: &mut Vec<u8>) {
        for result in results {
            match result {
                Self::Created { path, stat } => {
                    let opcode = if stat.is_some() {
                        OpCode::CREATE2
                    } else {
                        OpCode::CREATE
                    };
                    Head::result(opcode).encode(out);
                    put_text(out, path);
                    if let Some(stat) = stat {
                        stat.encode(out);
                    }
                }
                Self::Deleted => Head::result(OpCode::DELETE).encode(out),
                Self::Set(stat) => {
                    Head::result(OpCode::SET_DATA).encode(out);
                    stat.encode(out);
                }
                Self::Checked => Head::result(OpCode::CHECK).encode(out),
                Self::Error(err) => encode_error(*err, out),
            }
        }
        Head::END.encode(out);
    }

    pub(crate) fn decode_list(reader: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let mut results = Vec::new();
        while let Some(head) = Head::decode(reader)? {
            results.push(match head.opcode {
                OpCode::CREATE => Self::Created {
                    path: reader.text("path")?.into_owned(),
                    stat: None,
                },
                OpCode::CREATE2 | OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => Self::Created {
                    path: reader.text("path")?.into_owned(),
                    stat: Some(Stat::decode(reader)?),
                },
                OpCode::DELETE => Self::Deleted,
                OpCode::SET_DATA => Self::Set(Stat::decode(reader)?),
                OpCode::CHECK => Self::Checked,
                OpCode::ERROR => Self::Error(decode_error(reader)?),
                OpCode(value) => {
                    return Err(DecodeError::BadValue {
                        what: "type of a multi result",
                        value,
                    });
                }
            });
        }
        Ok(results)
    }
}

/// What became of one read of a multi-read. Each fails on its own.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is one variant for each type of result"
)]
pub enum ReadResult {
    /// The data of a node.
    Data {
        /// The data.
        data: Payload,
        /// The metadata.
        stat: Stat,
    },
    /// The names of the children of a node.
    Children(Children),
    /// The read failed.
    Error(ErrorCode),
}

impl ReadResult {
    pub(crate) fn encode_list(results: &[Self], out: &mut Vec<u8>) {
        for result in results {
            match result {
                Self::Data { data, stat } => {
                    Head::result(OpCode::GET_DATA).encode(out);
                    put_buffer(out, data.as_option());
                    stat.encode(out);
                }
                Self::Children(children) => {
                    Head::result(OpCode::GET_CHILDREN).encode(out);
                    children.encode(out);
                }
                Self::Error(err) => encode_error(*err, out),
            }
        }
        Head::END.encode(out);
    }

    pub(crate) fn decode_list(reader: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let mut results = Vec::new();
        while let Some(head) = Head::decode(reader)? {
            results.push(match head.opcode {
                OpCode::GET_DATA => Self::Data {
                    data: reader.payload("data")?,
                    stat: Stat::decode(reader)?,
                },
                OpCode::GET_CHILDREN => Self::Children(Children::decode(reader)?),
                OpCode::ERROR => Self::Error(decode_error(reader)?),
                OpCode(value) => {
                    return Err(DecodeError::BadValue {
                        what: "type of a multi-read result",
                        value,
                    });
                }
            });
        }
        Ok(results)
    }
}

/// A failure has its code twice: in the head and as its body.
fn encode_error(err: ErrorCode, out: &mut Vec<u8>) {
    Head {
        opcode: OpCode::ERROR,
        done: false,
        err: err.0,
    }
    .encode(out);
    put_int(out, err.0);
}

fn decode_error(reader: &mut Reader<'_>) -> Result<ErrorCode, DecodeError> {
    reader.int("error code of a multi result").map(ErrorCode)
}
