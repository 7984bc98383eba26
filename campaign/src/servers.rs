//! [`Servers`]: one server, or an ensemble.

use std::sync::Arc;
use std::time::Duration;

use zk_server::Txn;
use zk_sim::{ServerHandle, Sim, StandaloneServer};

use crate::setup::Setup;

/// The servers of a run.
pub(crate) enum Servers {
    Alone(ServerHandle<StandaloneServer>),
}

impl Servers {
    pub(crate) fn start(sim: &Sim, setup: &Setup) -> Self {
        Self::Alone(sim.standalone("s1:2181", setup.options()))
    }

    /// A connect string.
    pub(crate) fn hosts(&self) -> String {
        match self {
            Self::Alone(server) => server.hosts().to_owned(),
        }
    }

    /// Everything that was committed, and when.
    pub(crate) fn commits(&self) -> Vec<(Duration, Arc<Txn>)> {
        match self {
            Self::Alone(server) => server.with(|server| server.commits().to_vec()),
        }
    }
}
