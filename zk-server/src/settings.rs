//! What the operator of a server chooses, as far as the data is concerned.

/// Which release of ZooKeeper the server behaves like, where they differ.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Release {
    /// 3.8: everybody may ask whether a node exists; create2 within a multi answers without a
    /// [`Stat`](zk_proto::Stat).
    V3_8,
    /// 3.9.
    #[default]
    V3_9,
}

/// Choices that decide what becomes of requests.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is filled in by the server, which has to know of every choice"
)]
pub struct Settings {
    /// The release to behave like.
    pub release: Release,
    /// Whether nodes can have a time to live (`zookeeper.extendedTypesEnabled`). Default: yes, unlike
    /// that of ZooKeeper, as here no number of a server collides with them.
    pub extended_types: bool,
    /// Whether hard quotas are enforced (`zookeeper.enforceQuota`). Default: no.
    pub enforce_quota: bool,
    /// Whether the members can be changed (`reconfigEnabled`). Default: no.
    pub reconfig_enabled: bool,
    /// Whether access control lists may name the scheme `sasl`. Default: no, as a server knows the
    /// scheme only when it has been told to.
    pub sasl: bool,
    /// Whether access control lists may name the scheme `x509`. Default: no; a server with a port for
    /// TLS knows it in any case.
    pub x509: bool,
    /// Whether the server is alone, and else who keeps up with the leader. Default: alone.
    pub membership: Membership,
}

/// Whether a server belongs to an ensemble.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a server is alone or a member of an ensemble"
)]
pub enum Membership {
    /// It is alone: there is nothing to reconfigure.
    #[default]
    Standalone,
    /// It is one of several.
    Ensemble {
        /// The numbers of the members that have all that the leader has, its own among them. A new
        /// configuration needs a majority of its voters here.
        synced: Vec<i64>,
    },
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            release: Release::default(),
            extended_types: true,
            enforce_quota: false,
            reconfig_enabled: false,
            sasl: false,
            x509: false,
            membership: Membership::Standalone,
        }
    }
}
