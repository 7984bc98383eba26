//! A universe with a server and as many clients as needed.

use std::future::Future;
use std::time::Duration;

use zk_client::{Client, Error, SessionId};
use zk_server::{Fault, Matcher};
use zk_sim::{Latency, Machine, ServerHandle, Sim, StandaloneServer};

/// The session timeout of all clients.
pub(crate) const T: Duration = Duration::from_secs(10);

/// The time from a client to the server, and that back.
pub(crate) const WAY: Duration = Duration::from_millis(10);

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) struct Rig {
    pub(crate) sim: Sim,
    pub(crate) server: ServerHandle<StandaloneServer>,
}

impl Rig {
    pub(crate) fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        sim.keep_trace();
        sim.network().set_latency(Latency::fixed(WAY));
        let server = sim.standalone("s1:2181", zk_server::Options::new().tick(seconds(2)));
        Self { sim, server }
    }

    pub(crate) fn machine(&self, name: &str) -> Machine {
        self.sim.machine(name)
    }

    /// A connected client on the machine of this name.
    pub(crate) fn client(&self, name: &str) -> Client {
        let mut builder = Client::builder(self.server.hosts());
        let connect = builder
            .session_timeout(T)
            .connect(self.machine(name).handler());
        self.run(connect).unwrap()
    }

    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.sim.block_on(future).unwrap()
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        self.sim.run_for(time).unwrap();
    }

    /// The next request that matches meets this.
    pub(crate) fn inject(&self, matcher: Matcher, fault: Fault) {
        self.server
            .with(|server| server.get_mut().unwrap().inject(matcher, fault));
    }

    pub(crate) fn expire(&self, session: SessionId) {
        let now = self.server.machine().now();
        self.server
            .with(|server| server.get_mut().unwrap().expire(now, session));
    }

    /// The next client that comes back is answered with another session.
    pub(crate) fn substitute(&self, session: SessionId) {
        let now = self.server.machine().now();
        self.server.with(|server| {
            let server = server.get_mut().unwrap();
            server.cut_session(now, session);
            server.substitute_session(SessionId(77 << 40));
        });
    }

    /// The names below a path, by their number.
    pub(crate) fn children(&self, path: &str) -> Vec<String> {
        self.server.with(|server| {
            let tree = server.get_mut().unwrap().tree();
            let node = tree.node(path);
            let mut names: Vec<String> = node
                .map(|node| node.children().map(str::to_owned).collect())
                .unwrap_or_default();
            names.sort_by_key(|name| name.rsplit_once("__").map(|(_, n)| n.to_owned()));
            names
        })
    }

    /// The owner of a node.
    pub(crate) fn owner(&self, path: &str) -> SessionId {
        self.server.with(|server| {
            let tree = server.get_mut().unwrap().tree();
            tree.node(path).unwrap().stat().ephemeral_owner
        })
    }

    /// How often the trace so far has this.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.sim.trace().matches(what).count()
    }

    /// How many requests clients have sent so far: keep-alives and greetings are none.
    pub(crate) fn requests(&self) -> usize {
        let trace = self.sim.trace();
        let sent = trace.lines().filter(|line| line.contains(" -> s1 "));
        sent.flat_map(|line| line.split("; ").skip(1))
            .filter(|name| name.contains(" xid=") && !name.starts_with("ping"))
            .count()
    }
}

pub(crate) fn session_of(client: &Client) -> SessionId {
    client.client_id().unwrap().0
}

/// As every test of a recipe ends: nothing is left when all is given back.
pub(crate) async fn close(client: Client) -> Result<(), Error> {
    client.close().await
}
