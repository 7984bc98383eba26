//! Options of a server. Every one has a default, and is cut to its bounds where it has some.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use zk_proto::make_digest_acl_credential;

use crate::{MemberId, Release, SaslFactory, Settings};

/// How a server behaves.
///
/// ```
/// # use std::time::Duration;
/// # use zk_server::{Options, Release};
/// let options = Options::new()
///     .release(Release::V3_8)
///     .tick(Duration::from_millis(200))
///     .super_user("super", "secret")
///     .whitelist("*");
/// assert_eq!(options.session_timeouts().0, Duration::from_millis(400));
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) release: Release,
    pub(crate) member: MemberId,
    pub(crate) tick: Duration,
    pub(crate) min_session_timeout: Option<Duration>,
    pub(crate) max_session_timeout: Option<Duration>,
    pub(crate) sync_limit: u32,
    pub(crate) max_frame: usize,
    pub(crate) max_connections_per_address: usize,
    pub(crate) max_outstanding: usize,
    pub(crate) output_high_water: usize,
    pub(crate) output_cap: usize,
    pub(crate) watch_bytes_cap: usize,
    pub(crate) greeting_timeout: Duration,
    pub(crate) reap_interval: Duration,
    pub(crate) max_unused_container: Option<Duration>,
    pub(crate) settings: Settings,
    pub(crate) super_digest: Option<String>,
    pub(crate) enforced_schemes: Vec<String>,
    pub(crate) sasl: Option<Arc<dyn SaslFactory>>,
    pub(crate) read_only_mode: bool,
    pub(crate) local_sessions: bool,
    pub(crate) whitelist: Whitelist,
    #[cfg(zk_planted)]
    pub(crate) planted: Option<crate::Planted>,
}

/// Which four-letter words are answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Whitelist {
    All,
    These(BTreeSet<String>),
}

impl Whitelist {
    pub(crate) fn allows(&self, word: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(words) => words.contains(word),
        }
    }
}

impl Options {
    /// The longest tick: one hour.
    pub const MAX_TICK: Duration = Duration::from_secs(3600);

    /// What is longer is as long as this: a hundred years.
    const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

    /// The defaults of a ZooKeeper 3.9 with the sample configuration, but with nodes that have a
    /// time to live, and `*` as whitelist.
    pub fn new() -> Self {
        Self {
            release: Release::default(),
            member: MemberId(1),
            tick: Duration::from_millis(2000),
            min_session_timeout: None,
            max_session_timeout: None,
            sync_limit: 5,
            max_frame: 0xf_ffff,
            max_connections_per_address: 0,
            max_outstanding: 1000,
            output_high_water: 1 << 20,
            output_cap: 64 << 20,
            watch_bytes_cap: 256 << 20,
            greeting_timeout: Duration::from_secs(10),
            reap_interval: Duration::from_secs(60),
            max_unused_container: None,
            settings: Settings::default(),
            super_digest: None,
            enforced_schemes: Vec::new(),
            sasl: None,
            read_only_mode: false,
            local_sessions: false,
            whitelist: Whitelist::All,
            #[cfg(zk_planted)]
            planted: None,
        }
    }

    /// Plants a fault.
    #[cfg(zk_planted)]
    #[must_use]
    pub fn planted(mut self, planted: crate::Planted) -> Self {
        self.planted = Some(planted);
        self
    }

    /// Which release to be like. Default 3.9.
    #[must_use]
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self.settings.release = release;
        self
    }

    /// The number of this server: the high byte of its session ids. Default 1.
    #[must_use]
    pub fn member(mut self, member: MemberId) -> Self {
        self.member = member;
        self
    }

    /// The unit of session timeouts, which are rounded up to it (`tickTime`): 1 ms to one hour,
    /// default 2 s.
    #[must_use]
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick.clamp(Duration::from_millis(1), Self::MAX_TICK);
        self
    }

    /// The shortest session timeout given out. Default 2 ticks.
    #[must_use]
    pub fn min_session_timeout(mut self, timeout: Duration) -> Self {
        self.min_session_timeout = Some(timeout);
        self
    }

    /// The longest session timeout given out. Default 20 ticks.
    #[must_use]
    pub fn max_session_timeout(mut self, timeout: Duration) -> Self {
        self.max_session_timeout = Some(timeout);
        self
    }

    /// The shortest and the longest session timeout given out: at least 1 ms, in this order, and
    /// what fits into the 31 bits of the protocol.
    pub fn session_timeouts(&self) -> (Duration, Duration) {
        let (least, most) = (
            Duration::from_millis(1),
            Duration::from_millis(i32::MAX as u64),
        );
        let min = self.min_session_timeout.unwrap_or(self.tick * 2);
        let max = self.max_session_timeout.unwrap_or(self.tick * 20);
        let min = min.clamp(least, most);
        (min, max.clamp(min, most))
    }

    /// For how many ticks a member of an ensemble serves reads after it has last heard of its leader
    /// (`syncLimit`). Default 5.
    #[must_use]
    pub fn sync_limit(mut self, ticks: u32) -> Self {
        self.sync_limit = ticks;
        self
    }

    /// The longest frame accepted, in bytes (`jute.maxbuffer`). Default 1,048,575.
    #[must_use]
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes.min(i32::MAX as usize);
        self
    }

    /// How many connections one address may have (`maxClientCnxns`); 0, the default, is any number.
    #[must_use]
    pub fn max_connections_per_address(mut self, limit: usize) -> Self {
        self.max_connections_per_address = limit;
        self
    }

    /// How many requests of one connection may wait before no more are read
    /// (`globalOutstandingLimit`, which is for all together). At least 1, default 1000.
    #[must_use]
    pub fn max_outstanding(mut self, requests: usize) -> Self {
        self.max_outstanding = requests.max(1);
        self
    }

    /// How many bytes may wait to be sent on a connection before no more of its requests are
    /// answered. Default 1 MiB.
    #[must_use]
    pub fn output_high_water(mut self, bytes: usize) -> Self {
        self.output_high_water = bytes.max(1);
        self
    }

    /// How many bytes may wait to be sent on a connection, events included, before it is closed.
    /// Default 64 MiB.
    #[must_use]
    pub fn output_cap(mut self, bytes: usize) -> Self {
        self.output_cap = bytes.max(1);
        self
    }

    /// How many bytes the paths may have that a connection watches, before it is closed. Default
    /// 256 MiB.
    #[must_use]
    pub fn watch_bytes_cap(mut self, bytes: usize) -> Self {
        self.watch_bytes_cap = bytes;
        self
    }

    /// How long a connection may be without a session. Default 10 s.
    #[must_use]
    pub fn greeting_timeout(mut self, timeout: Duration) -> Self {
        self.greeting_timeout = timeout.min(Self::FOREVER);
        self
    }

    /// How often containers and nodes whose time to live is over are looked for
    /// (`znode.container.checkIntervalMs`). At least 1 ms, default 60 s.
    #[must_use]
    pub fn reap_interval(mut self, interval: Duration) -> Self {
        self.reap_interval = interval.clamp(Duration::from_millis(1), Self::FOREVER);
        self
    }

    /// Containers that never had a child are reaped after this time, too
    /// (`znode.container.maxNeverUsedIntervalMs`). Default: they are not.
    #[must_use]
    pub fn max_unused_container(mut self, time: Duration) -> Self {
        self.max_unused_container = Some(time);
        self
    }

    /// What writes may do: quotas, nodes with a time to live, reconfiguration. The release in it is
    /// replaced by that of [`release`](Self::release).
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Settings {
            release: self.release,
            ..settings
        };
        self
    }

    /// Refuse what exceeds a hard quota (`enforceQuota`). One of the [`settings`](Self::settings).
    #[must_use]
    pub fn enforce_quota(mut self) -> Self {
        self.settings.enforce_quota = true;
        self
    }

    /// A user of the scheme `digest` for whom no access control list counts.
    #[must_use]
    pub fn super_user(self, user: &str, password: &str) -> Self {
        self.super_digest(make_digest_acl_credential(user, password))
    }

    /// The same, as `user:hash` (`DigestAuthenticationProvider.superDigest`).
    #[must_use]
    pub fn super_digest(mut self, digest: impl Into<String>) -> Self {
        self.super_digest = Some(digest.into());
        self
    }

    /// Adds a scheme to those of which a client must be authenticated by one (`enforce.auth.schemes`
    /// with `enforce.auth.enabled`). Without any, the default, nobody must.
    #[must_use]
    pub fn enforce_scheme(mut self, scheme: impl Into<String>) -> Self {
        self.enforced_schemes.push(scheme.into());
        self
    }

    /// How clients authenticate by SASL. Default: not at all.
    #[must_use]
    pub fn sasl(mut self, factory: Arc<dyn SaslFactory>) -> Self {
        self.sasl = Some(factory);
        self.settings.sasl = true;
        self
    }

    /// Serve reads while there is no leader (`readonlymode.enabled`).
    #[must_use]
    pub fn read_only_mode(mut self) -> Self {
        self.read_only_mode = true;
        self
    }

    /// Sessions of clients that connect while this server is read-only are known to it alone
    /// (`localSessionsEnabled`). Without, such clients are refused.
    #[must_use]
    pub fn local_sessions(mut self) -> Self {
        self.local_sessions = true;
        self
    }

    /// The four-letter words that are answered, between commas (`4lw.commands.whitelist`); `*`, the
    /// default, is all. `isro` is always among them in read-only mode.
    #[must_use]
    pub fn whitelist(mut self, words: &str) -> Self {
        let words: BTreeSet<_> = words
            .split(',')
            .map(|word| word.trim().to_owned())
            .collect();
        self.whitelist = if words.contains("*") {
            Whitelist::All
        } else {
            Whitelist::These(words)
        };
        self
    }

    /// The timeout that a client gets which asks for `asked` milliseconds.
    pub(crate) fn negotiate(&self, asked: i32) -> i32 {
        let (min, max) = self.session_timeouts();
        let millis = |duration: Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        asked.clamp(millis(min), millis(max))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("release", &self.release)
            .field("member", &self.member)
            .field("tick", &self.tick)
            .field("session_timeouts", &self.session_timeouts())
            .field("settings", &self.settings)
            .field("enforced_schemes", &self.enforced_schemes)
            .field("sasl", &self.sasl)
            .field("read_only_mode", &self.read_only_mode)
            .field("local_sessions", &self.local_sessions)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_negotiated_into_their_bounds() {
        let options = Options::new();
        for (asked, given) in [(1, 4000), (-5, 4000), (10_000, 10_000), (3_600_000, 40_000)] {
            assert_eq!(options.negotiate(asked), given);
        }
        let odd = Options::new()
            .min_session_timeout(Duration::from_secs(9))
            .max_session_timeout(Duration::ZERO);
        assert_eq!(odd.negotiate(1), 9000);
        let endless = Options::new().tick(Duration::MAX);
        assert_eq!(endless.negotiate(i32::MAX), 72_000_000);
    }

    #[test]
    fn the_whitelist_is_all_or_these() {
        assert!(Options::new().whitelist.allows("dump"));
        let some = Options::new().whitelist("srvr, ruok");
        assert!(some.whitelist.allows("ruok") && !some.whitelist.allows("dump"));
        assert!(Options::new().whitelist("srvr,*").whitelist.allows("dump"));
    }
}
