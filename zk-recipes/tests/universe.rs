//! A server, and clients on machines of their own.

use std::future::Future;
use std::time::Duration;

use zk_client::{Client, Error, SessionId, State};
use zk_sim::{Cut, PartitionId, ServerHandle, Sim, StandaloneServer};

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A machine that cannot reach the server.
pub(crate) struct Away(PartitionId);

pub(crate) struct Universe {
    pub(crate) sim: Sim,
    pub(crate) server: ServerHandle<StandaloneServer>,
}

impl Universe {
    pub(crate) fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let server = sim.standalone("s1:2181", zk_server::Options::new());
        Self { sim, server }
    }

    /// A connected client on a machine of this name.
    pub(crate) fn client(&self, name: &str) -> Client {
        let machine = self.sim.machine(name);
        let mut builder = Client::builder(self.server.hosts());
        builder.session_timeout(seconds(6));
        self.run(builder.connect(machine.handler()))
    }

    /// Runs until it is done, and takes errors for failures.
    pub(crate) fn run<T>(&self, future: impl Future<Output = Result<T, Error>>) -> T {
        self.sim.block_on(future).unwrap().unwrap()
    }

    /// Runs until it is done.
    pub(crate) fn end<T>(&self, future: impl Future<Output = T>) -> T {
        self.sim.block_on(future).unwrap()
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.sim.run_for(time).unwrap();
    }

    pub(crate) fn session(client: &Client) -> SessionId {
        client.client_id().unwrap().0
    }

    /// Ends a client's session at the server, and waits until the client has the next one.
    pub(crate) fn expire(&self, client: &Client) {
        let session = Self::session(client);
        let now = self.server.machine().now();
        self.server
            .with(|server| server.get_mut().unwrap().expire(now, session));
        let mut states = client.state_changes();
        self.end(async {
            while let Some(change) = states.next().await {
                if matches!(change.to, State::Connected { .. }) {
                    return;
                }
            }
        });
        assert_ne!(Self::session(client), session);
    }

    /// Cuts a machine's connection.
    pub(crate) fn cut(&self, machine: &str) {
        assert!(self.sim.network().cut(machine, "s1", Cut::BeforeDelivery) > 0);
    }

    /// A machine's connection breaks, and there is no other until it is [back](Self::back).
    pub(crate) fn away(&self, machine: &str) -> Away {
        let partition = self.sim.network().partition(&[machine], &["s1"]);
        self.cut(machine);
        self.pass(millis(1));
        Away(partition)
    }

    /// The machine reaches the server again.
    pub(crate) fn back(&self, away: Away) {
        self.sim.network().heal(away.0);
    }

    /// Is there a node?
    pub(crate) fn has(&self, path: &str) -> bool {
        self.server
            .with(|server| server.get_mut().unwrap().tree().node(path).is_some())
    }
}
