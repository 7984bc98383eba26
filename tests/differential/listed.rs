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

/// In 3.8 a check finds the watches of other connections, too (`WatchManager.containsWatcher`).
pub(super) const FOREIGN_WATCH: Listed = Listed {
    real: ErrorCode::OK,
    ours: ErrorCode::NO_WATCHER,
};

impl Listed {
    /// Takes the difference out of what ours has said. Returns whether it was there.
    pub(super) fn forgive(&self, real: &Seen, ours: &mut Seen) -> bool {
        let (
            Seen::Reply {
                xid, zxid, err, body, ..
            },
            Seen::Reply {
                xid: our_xid,
                zxid: our_zxid,
                err: our_err,
                body: our_body,
            },
        ) = (real, ours)
        else {
            return false;
        };
        let differs = *err == self.real && *our_err == self.ours;
        if differs && (xid, zxid) == (our_xid, our_zxid) {
            *our_err = *err;
            our_body.clone_from(body);
        }
        differs
    }
}
