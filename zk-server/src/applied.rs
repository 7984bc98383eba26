//! What became of a transaction, which the reply is made of.

use std::sync::Arc;

use zk_proto::{ErrorCode, OpCode, Stat, put_boolean, put_buffer, put_int, put_text};

use crate::NodeData;

/// What became of a transaction or of one operation in it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Applied {
    /// Done, and nothing to say: a session, a deletion.
    Done,
    /// A node was created.
    Created {
        /// The node.
        path: Arc<str>,
        /// Its metadata, if the reply is to have it.
        stat: Option<Stat>,
    },
    /// Data or an access control list was replaced.
    Set(Stat),
    /// A version was as expected.
    Checked,
    /// The ensemble has new members.
    Config {
        /// The new configuration.
        data: NodeData,
        /// The metadata of its node.
        stat: Stat,
    },
    /// What became of the operations of a multi.
    Multi(Vec<Self>),
    /// Refused, or not done because of another operation of the same multi.
    Error(ErrorCode),
}

impl Applied {
    /// The code for the header of the reply. That of a multi is [`ErrorCode::OK`] in any case.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Error(code) => *code,
            Self::Done
            | Self::Created { .. }
            | Self::Set(_)
            | Self::Checked
            | Self::Config { .. }
            | Self::Multi(_) => ErrorCode::OK,
        }
    }

    /// Appends the body of the reply, of which an error has none.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Done | Self::Checked | Self::Error(_) => {}
            Self::Created { path, stat } => {
                put_text(out, path);
                if let Some(stat) = stat {
                    stat.encode(out);
                }
            }
            Self::Set(stat) => stat.encode(out),
            Self::Config { data, stat } => {
                put_buffer(out, data.as_option());
                stat.encode(out);
            }
            Self::Multi(results) => {
                for result in results {
                    result.encode_item(out);
                }
                put_end(out);
            }
        }
    }

    fn encode_item(&self, out: &mut Vec<u8>) {
        let opcode = match self {
            Self::Done | Self::Config { .. } | Self::Multi(_) => OpCode::DELETE,
            Self::Created { stat: None, .. } => OpCode::CREATE,
            Self::Created { stat: Some(_), .. } => OpCode::CREATE2,
            Self::Set(_) => OpCode::SET_DATA,
            Self::Checked => OpCode::CHECK,
            Self::Error(code) => return put_error_item(out, *code),
        };
        put_item_head(out, opcode, ErrorCode::OK);
        self.encode(out);
    }
}

/// What stands in front of each result of a multi (`MultiHeader` of the Java client).
pub(crate) fn put_item_head(out: &mut Vec<u8>, opcode: OpCode, code: ErrorCode) {
    put_int(out, opcode.0);
    put_boolean(out, false);
    put_int(out, code.0);
}

/// A result of a multi that is a failure has its code twice.
pub(crate) fn put_error_item(out: &mut Vec<u8>, code: ErrorCode) {
    put_item_head(out, OpCode::ERROR, code);
    put_int(out, code.0);
}

/// What stands behind the last result of a multi.
pub(crate) fn put_end(out: &mut Vec<u8>) {
    put_int(out, OpCode::ERROR.0);
    put_boolean(out, true);
    put_int(out, -1);
}
