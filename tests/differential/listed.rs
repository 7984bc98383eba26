//! The differences that are known, each in the table of the module's documentation.

use zk_proto::ErrorCode;

use super::compare::Seen;

/// A difference in what a reply says of success, and in nothing else.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Listed {
    /// What a real server says, and ours.
    pairs: &'static [(ErrorCode, ErrorCode)],
}

/// Null in an access control list.
pub(super) const NULL_IN_ACL: Listed = Listed {
    pairs: &[(ErrorCode::MARSHALLING_ERROR, ErrorCode::INVALID_ACL)],
};

/// In 3.8 checkWatches finds the watches of other connections, too.
pub(super) const FOREIGN_WATCH: Listed = Listed {
    pairs: &[(ErrorCode::OK, ErrorCode::NO_WATCHER)],
};

/// In 3.8 checkWatches cannot look up what does not begin with a slash.
pub(super) const WATCH_WITHOUT_SLASH: Listed = Listed {
    pairs: &[
        (ErrorCode::OK, ErrorCode::NO_WATCHER),
        (ErrorCode::NO_WATCHER, ErrorCode::OK),
        (ErrorCode::MARSHALLING_ERROR, ErrorCode::NO_WATCHER),
        (ErrorCode::MARSHALLING_ERROR, ErrorCode::OK),
    ],
};

impl Listed {
    /// Takes the difference out of what ours has said. Returns whether it was there.
    pub(super) fn forgive(&self, real: &Seen, ours: &mut Seen) -> bool {
        let (
            Seen::Reply {
                xid,
                zxid,
                err,
                body,
                ..
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
        let differs = self.pairs.contains(&(*err, *our_err));
        if differs && (xid, zxid) == (our_xid, our_zxid) {
            *our_err = *err;
            our_body.clone_from(body);
        }
        differs
    }
}
