//! [`ServerHandle`]: a server, once it is in a universe.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::executor::lock;
use crate::machine::Machine;
use crate::server::SimServer;

/// A server in a universe.
pub struct ServerHandle<S> {
    pub(super) machine: Machine,
    pub(super) hosts: String,
    pub(super) server: Arc<Mutex<S>>,
}

impl<S: SimServer> ServerHandle<S> {
    /// The machine that it runs on.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Its address, such as `s1:2181`: a connect string.
    pub fn hosts(&self) -> &str {
        &self.hosts
    }

    /// Looks at the server, or changes it. What the server then wants to send goes out with what
    /// happens next.
    pub fn with<R>(&self, f: impl FnOnce(&mut S) -> R) -> R {
        let output = f(&mut lock(&self.server));
        let world = self.machine.world();
        let servers = world.lock().hosts[self.machine.host()].servers.clone();
        servers.iter().for_each(|server| server.schedule());
        output
    }
}

impl<S> fmt::Debug for ServerHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerHandle").field(&self.hosts).finish()
    }
}
