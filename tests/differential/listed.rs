//! The differences that are known, each in the table of the module's documentation.

use zk_proto::ErrorCode;

use super::compare::Seen;

/// A difference in the error code of a reply, and in nothing else.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Listed {
    real: ErrorCode,
    ours: ErrorCode,
}

/// Null in an access control list.
pub(super) const NULL_IN_ACL: Listed = Listed {
    real: ErrorCode::MARSHALLING_ERROR,
    ours: ErrorCode::INVALID_ACL,
};

impl Listed {
    /// Takes the difference out of what ours has said. Returns whether it was there.
    pub(super) fn forgive(&self, real: &Seen, ours: &mut Seen) -> bool {
        let (Seen::Reply { err: theirs, .. }, Seen::Reply { err, .. }) = (real, ours) else {
            return false;
        };
        let differs = *theirs == self.real && *err == self.ours;
        if differs {
            *err = *theirs;
        }
        differs
    }
}
