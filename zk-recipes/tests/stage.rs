//! A server in a universe, clients on machines of their own, and what goes wrong between them.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use zk_client::{Client, Error, SessionId, Stat};
use zk_proto::OpCode;
use zk_server::{Fault, Matcher};
use zk_sim::{Cut, Network, PartitionId, ServerHandle, Sim, StandaloneServer};

pub(crate) struct Stage {
    pub(crate) sim: Sim,
    server: ServerHandle<StandaloneServer>,
}

impl Stage {
    pub(crate) fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let server = sim.standalone("s1:2181", zk_server::Options::new());
        Self { sim, server }
    }

    /// A connected client on a machine of this name.
    pub(crate) fn client(&self, name: &str) -> Client {
        let mut builder = Client::builder(self.server.hosts());
        builder.session_timeout(Duration::from_secs(6));
        let handler = self.sim.machine(name).handler();
        self.run(builder.connect(handler))
    }

    /// Runs until it is done, which has to go well.
    pub(crate) fn run<T>(&self, future: impl Future<Output = Result<T, Error>>) -> T {
        self.sim.block_on(future).unwrap().unwrap()
    }

    /// Runs until it has failed.
    pub(crate) fn fail<T: std::fmt::Debug>(
        &self,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Error {
        self.sim.block_on(future).unwrap().unwrap_err()
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.sim.run_for(time).unwrap();
    }

    /// What becomes of the next request of this kind.
    pub(crate) fn inject(&self, opcode: OpCode, fault: Fault) {
        self.inject_at(Matcher::any().opcode(opcode), fault);
    }

    pub(crate) fn inject_at(&self, matcher: Matcher, fault: Fault) {
        self.server
            .with(|server| server.get_mut().unwrap().inject(matcher, fault));
    }

    /// How many faults that were injected have not happened yet.
    pub(crate) fn pending_faults(&self) -> usize {
        let pending = |server: &mut StandaloneServer| server.get_mut().unwrap().pending_faults();
        self.server.with(pending)
    }

    /// Have all faults that were injected happened?
    pub(crate) fn assert_faults_happened(&self) {
        assert_eq!(self.pending_faults(), 0, "a fault has not happened");
    }

    pub(crate) fn session(client: &Client) -> SessionId {
        client.client_id().unwrap().0
    }

    /// Ends a session at the server.
    pub(crate) fn expire(&self, session: SessionId) {
        let now = self.server.machine().now();
        self.server
            .with(|server| server.get_mut().unwrap().expire(now, session));
        self.pass(Duration::ZERO);
    }

    /// Cuts a machine's connection.
    pub(crate) fn cut(&self, machine: &str) {
        assert!(self.network().cut(machine, "s1", Cut::BeforeDelivery) > 0);
    }

    /// Nothing passes between a machine and the server, and the connection breaks.
    pub(crate) fn part(&self, machine: &str) -> PartitionId {
        let partition = self.network().partition(&[machine], &["s1"]);
        self.cut(machine);
        partition
    }

    pub(crate) fn network(&self) -> Network {
        self.sim.network()
    }

    /// The children that the server has below a node.
    pub(crate) fn children(&self, path: &str) -> BTreeSet<String> {
        let client = self.client("observer");
        let names = self.run(async {
            let names = client.get_children(path).await?;
            client.close().await?;
            Ok(names)
        });
        names.iter().map(str::to_owned).collect()
    }

    /// A node's data and stat, if it is there.
    pub(crate) fn node(&self, path: &str) -> Option<(Vec<u8>, Stat)> {
        let client = self.client("observer");
        self.run(async {
            let found = match client.get(path).await {
                Err(Error::NoNode) => None,
                found => Some(found?),
            };
            client.close().await?;
            Ok(found.map(|(data, stat)| (data.to_vec(), stat)))
        })
    }
}
