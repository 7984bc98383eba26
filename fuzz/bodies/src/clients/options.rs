//! What the server is told at the start.

use std::sync::Arc;
use std::time::Duration;

use zk_server::{Options, Release, SaslFactory, SaslServer, SaslStep};

/// What the server has promised.
pub(super) struct Limits {
    /// The most bytes that wait to be sent on a connection.
    pub(super) output: usize,
    /// Writes may be refused for their size.
    pub(super) quota: bool,
}

/// The credential for which no access control list counts.
pub(super) const SUPER: &str = "super:secret";

pub(super) fn options(flags: u8) -> (Options, Limits) {
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let mut limits = Limits {
        output: 1 << 20,
        quota: false,
    };
    let mut options = Options::new()
        .super_user("super", "secret")
        .sasl(Arc::new(Mirror))
        .reap_interval(Duration::from_secs(5));
    if flag(0) {
        options = options.release(Release::V3_8);
    }
    if flag(1) {
        limits.output = 4000;
        options = options
            .output_high_water(500)
            .max_outstanding(3)
            .watch_bytes_cap(300);
    }
    if flag(2) {
        options = options.max_frame(200).whitelist("ruok, srvr");
    }
    if flag(3) {
        limits.quota = true;
        options = options.enforce_quota();
    }
    if flag(4) {
        options = options.max_connections_per_address(1);
    }
    if flag(5) {
        options = options.read_only_mode().local_sessions();
    }
    if flag(6) {
        options = options.enforce_scheme("digest");
    }
    if flag(7) {
        options = options
            .tick(Duration::from_millis(100))
            .max_unused_container(Duration::from_secs(1));
    }
    (options.output_cap(limits.output), limits)
}

/// A mechanism that repeats what it hears, until it hears nothing.
#[derive(Debug)]
struct Mirror;

impl SaslFactory for Mirror {
    fn start(&self, _: [u8; 32]) -> Box<dyn SaslServer> {
        Box::new(Self)
    }
}

impl SaslServer for Mirror {
    fn step(&mut self, token: &[u8]) -> SaslStep {
        match token {
            [] => SaslStep::Done {
                token: None,
                authorization_id: "mirror".to_owned(),
            },
            [b'!', ..] => SaslStep::Failed,
            token => SaslStep::Continue(token.to_vec()),
        }
    }
}
