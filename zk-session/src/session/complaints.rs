//! What no further attempt will mend is said aloud, but not at each of them.

use tracing::warn;
use zk_proto::ServerAddr;

use super::Session;
use crate::{LayerErrorKind, LinkError, Stranger};

/// What was warned of since a server was last usable.
#[derive(Default)]
pub(super) struct Complaints(Vec<Topic>);

#[derive(Clone, Copy, Eq, PartialEq)]
enum Topic {
    Layer(LayerErrorKind),
    NotZooKeeper(Stranger),
}

impl Complaints {
    /// Whatever comes next is news.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn is_news(&mut self, topic: Topic) -> bool {
        let is_news = !self.0.contains(&topic);
        if is_news {
            self.0.push(topic);
        }
        is_news
    }
}

impl Session {
    /// An attempt has failed: is that something for whoever runs this?
    pub(super) fn complain(&mut self, server: &ServerAddr, error: &LinkError) {
        let topic = match error {
            LinkError::Layer(error) => Topic::Layer(error.kind),
            LinkError::NotZooKeeper(stranger) => Topic::NotZooKeeper(*stranger),
            LinkError::Io(_)
            | LinkError::ConnectTimeout
            | LinkError::Sasl(_)
            | LinkError::SaslTimeout
            | LinkError::Silent
            | LinkError::Declined
            | LinkError::Refused(_)
            | LinkError::Protocol(_)
            | LinkError::FoundWritable
            | LinkError::ServerRemoved
            | LinkError::Requested
            | LinkError::WatchesRefused(_) => return,
        };
        if self.complaints.is_news(topic) {
            warn!(%server, %error, "cannot connect; attempts go on");
        }
    }
}
