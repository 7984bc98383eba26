//! Servers that things happen to.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use zk::{Client, Password, SessionId};
use zk_proto::OpCode;
use zk_server::{Matcher, Server};
use zk_testkit::{Cluster, Options, Proxy, Version};

use super::writes::Load;
use crate::support::{LIMIT, Place, session_of, wait_until};

/// Sessions time out after one second or more.
const TICK: Duration = Duration::from_millis(500);

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// All connections are cut.
    Cut,
    /// One is cut, just before a write is carried out; of servers of ours.
    CutBefore,
    /// One is cut, just after a write was carried out; of servers of ours.
    CutAfter,
    /// Connections are cut, and new ones are refused for a while.
    Refuse,
    /// All sessions end.
    Expire,
    /// Nothing is said on the connections that there are, until they are given up.
    Pause,
    /// The server is killed, and started again with what it had; of real ones.
    Kill,
}

/// A server, and a way to it that can be cut.
pub(super) struct Faulty {
    kind: Kind,
    proxy: Proxy,
}

enum Kind {
    Embedded(Server),
    /// One for all tests, which take turns.
    Real(MutexGuard<'static, Cluster>),
}

impl Faulty {
    pub(super) fn start(place: Place) -> Self {
        static REAL: [OnceLock<Mutex<Cluster>>; 2] = [const { OnceLock::new() }; 2];
        let kind = match place {
            Place::Simulated(_) => panic!("there are no sockets in a universe"),
            Place::Secured(_) => panic!("these tests cut through plain text"),
            Place::Embedded(release) => {
                let builder = Server::builder().quiet().tick(TICK);
                let builder = builder.with(|options| options.release(release));
                Kind::Embedded(builder.start().unwrap())
            }
            Place::Real(version) => {
                let standing = &REAL[usize::from(version >= Version::V3_9)];
                let standing = standing.get_or_init(|| {
                    let options = Options::new().tick(TICK);
                    Mutex::new(Cluster::start(version, &options).unwrap())
                });
                let turn = standing.lock().unwrap_or_else(PoisonError::into_inner);
                Kind::Real(turn)
            }
        };
        let address = match &kind {
            Kind::Embedded(server) => server.local_addr(),
            Kind::Real(cluster) => cluster.address(0),
        };
        let proxy = Proxy::start(address).unwrap();
        Self { kind, proxy }
    }

    /// The way that is cut.
    pub(super) fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// The way that is not.
    pub(super) fn direct(&self) -> SocketAddr {
        match &self.kind {
            Kind::Embedded(server) => server.local_addr(),
            Kind::Real(cluster) => cluster.address(0),
        }
    }

    /// Does the server hold this session? Only ours tells.
    pub(super) fn holds(&self, session: SessionId) -> bool {
        match &self.kind {
            Kind::Embedded(server) => server.is_alive(session),
            Kind::Real(_) => false,
        }
    }

    /// Lets it happen, to these clients, of which the first has this load to write. When this
    /// returns, it is over, and whoever was concerned knows: what a client says of itself is of now.
    pub(super) fn inflict(&self, fault: Fault, clients: &[&Client], load: &Load) {
        let losses = |client: &Client| client.stats().session.losses;
        let before: Vec<u64> = clients.iter().map(|client| losses(client)).collect();
        // One that has no connection may have lost it before all this.
        let noticed =
            |(client, before): (&&Client, &u64)| losses(client) > *before || !client.connected();
        let all_noticed = || clients.iter().zip(&before).all(noticed);
        match (fault, &self.kind) {
            (Fault::Cut, _) => self.cut_under_way(clients[0], load, || ()),
            (Fault::CutBefore, Kind::Embedded(server)) => {
                cut_one(server, zk_server::Fault::CutBefore, clients[0]);
            }
            (Fault::CutAfter, Kind::Embedded(server)) => {
                cut_one(server, zk_server::Fault::CutAfter, clients[0]);
            }
            (Fault::Refuse, Kind::Embedded(server)) => {
                let accepted = self.proxy.accepted();
                self.cut_under_way(clients[0], load, || server.refuse_connects());
                wait_until("the loss", all_noticed);
                wait_until("attempts", || self.proxy.accepted() > accepted + 2);
                server.accept_connects();
            }
            (Fault::Refuse, Kind::Real(_)) => {
                self.cut_under_way(clients[0], load, || self.proxy.refuse(true).unwrap());
                // One that the proxy had just taken up may have come through the first cut.
                wait_until("the loss", || {
                    self.proxy.cut();
                    !clients.iter().any(|client| client.connected())
                });
                self.proxy.refuse(false).unwrap();
            }
            (Fault::Expire, kind) => {
                let sessions: Vec<_> = clients.iter().map(|client| client.client_id()).collect();
                let living = || sessions.iter().flatten();
                self.cut_under_way(clients[0], load, || match kind {
                    Kind::Embedded(server) => living().for_each(|(id, _)| server.expire(*id)),
                    Kind::Real(_) => living().for_each(|session| self.expire(session)),
                });
                for (client, session) in clients.iter().zip(&sessions) {
                    wait_until("another session", || {
                        client.connected() && client.client_id() != *session
                    });
                }
            }
            (Fault::Pause, Kind::Embedded(server)) => {
                for (session, _) in clients.iter().filter_map(|client| client.client_id()) {
                    server.hold(session);
                }
                wait_until("the loss", all_noticed);
                server.release();
            }
            (Fault::Pause, Kind::Real(cluster)) => {
                cluster.pause(0);
                wait_until("the loss", all_noticed);
                cluster.resume(0);
            }
            (Fault::Kill, Kind::Real(cluster)) => {
                self.cut_under_way(clients[0], load, || cluster.kill(0));
                cluster.restart(0).unwrap();
            }
            (Fault::CutBefore | Fault::CutAfter, Kind::Real(_))
            | (Fault::Kill, Kind::Embedded(_)) => panic!("{fault:?} is not for this server"),
        }
        match fault {
            Fault::Cut | Fault::Kill => wait_until("the loss", all_noticed),
            Fault::CutBefore | Fault::CutAfter => {
                wait_until("the writer's loss", || noticed((&clients[0], &before[0])));
            }
            Fault::Refuse | Fault::Expire | Fault::Pause => {} // they have waited
        }
    }

    /// Lets it happen and cuts the connections while answers are on their way.
    fn cut_under_way(&self, writer: &Client, load: &Load, happen: impl FnOnce()) {
        self.proxy.stall_towards_client();
        // Its answer is held up, while those of the others may just be waiting to be read.
        load.one_more();
        wait_until("writes in flight", || {
            let stats = writer.stats().session;
            if writer.connected() {
                self.proxy.stall_towards_client();
            } else {
                self.proxy.resume(); // lost by itself, and without answers it stays so
            }
            writer.connected() && stats.in_flight > 20 && stats.queued == 0
        });
        happen();
        self.proxy.cut();
        self.proxy.resume();
    }

    /// Closes the session behind the client's back. It finds out by itself.
    fn expire(&self, (id, password): &(SessionId, Password)) {
        let mut builder = Client::builder(self.direct().to_string());
        let twin = builder
            .resume(*id, *password)
            .connect(std::sync::Arc::new(zk::threads::ThreadsHandler::new()))
            .limit(LIMIT)
            .wait()
            .unwrap();
        // If the session had ended already, this is another one, which does no harm.
        twin.close().timeout(LIMIT).wait().unwrap();
    }
}

fn cut_one(server: &Server, fault: zk_server::Fault, client: &Client) {
    let matcher = Matcher::any().session(session_of(client));
    server.inject(matcher.opcode(OpCode::CREATE).skip(7), fault);
    wait_until("the cut", || server.pending_faults() == 0);
}
