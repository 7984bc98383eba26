//! An ensemble of three that things happen to.

use std::thread;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;
use zk_testkit::{Cluster, Options, Proxy, Version};

const MEMBERS: usize = 3;

/// Three members, and a way to each that can be cut.
pub(super) struct Ensemble {
    cluster: Cluster,
    ways: Vec<Proxy>,
}

impl Ensemble {
    pub(super) fn start(version: Version) -> Self {
        let options = Options::new()
            .ensemble(MEMBERS)
            .tick(Duration::from_millis(500))
            .sync_limit(Duration::from_secs(2))
            .proxied_quorum(true);
        let cluster = Cluster::start(version, &options).unwrap();
        let ways = (0..MEMBERS).map(|member| Proxy::start(cluster.address(member)).unwrap());
        Self {
            ways: ways.collect(),
            cluster,
        }
    }

    pub(super) fn release(&self) -> &str {
        self.cluster.dist().release()
    }

    /// The members themselves.
    pub(super) fn direct(&self) -> String {
        self.cluster.connect_string()
    }

    /// The ways to them that are cut.
    pub(super) fn by_proxies(&self) -> String {
        let addresses = self.ways.iter().map(|way| way.address().to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Lets something happen and ends it again; all members serve when this returns. Says what it was.
    pub(super) fn inflict(&self, rng: &mut ChaCha8Rng) -> &'static str {
        let mut below = |bound: u32| rng.next_u32() % bound;
        let member = below(3) as usize;
        let length = Duration::from_millis(u64::from(200 + below(6_000)));
        let (way, cluster) = (&self.ways[member], &self.cluster);
        let what = match below(12) {
            0 => {
                cluster.kill(member);
                thread::sleep(length);
                "member killed"
            }
            1 => {
                let leader = cluster.leader().unwrap_or(member);
                cluster.kill(leader);
                "leader killed"
            }
            2 => {
                let leader = cluster.leader().unwrap_or(member);
                cluster.pause(leader);
                thread::sleep(length);
                cluster.resume(leader);
                "leader paused"
            }
            3 => {
                cluster.pause(member);
                thread::sleep(length);
                cluster.resume(member);
                "member paused"
            }
            4 | 5 => {
                // The follower goes on answering pings and reads for the sync limit.
                let followers = cluster.followers();
                let member = followers.get(member % 2).copied().unwrap_or(member);
                cluster.isolate(member);
                thread::sleep(length);
                cluster.heal(member);
                "follower isolated"
            }
            6 => {
                cluster.kill(member);
                cluster.kill((member + 1) % MEMBERS);
                thread::sleep(length);
                "quorum killed"
            }
            7 => {
                self.ways.iter().for_each(Proxy::cut);
                "all connections cut"
            }
            8 => {
                self.ways.iter().for_each(Proxy::stall_towards_client);
                thread::sleep(length / 8);
                self.cut();
                "answers held up and lost"
            }
            9 => {
                way.refuse(true).unwrap();
                way.cut();
                thread::sleep(length);
                way.refuse(false).unwrap();
                "connections refused"
            }
            10 => {
                way.stall_towards_client();
                thread::sleep(length);
                way.resume();
                "answers held up"
            }
            _ => {
                way.stall_towards_server();
                thread::sleep(length);
                way.resume();
                "requests held up"
            }
        };
        self.make_whole();
        what
    }

    fn cut(&self) {
        for way in &self.ways {
            way.cut();
            way.resume();
        }
    }

    /// All members run and serve.
    fn make_whole(&self) {
        let members = || 0..MEMBERS;
        for member in members().filter(|member| !self.cluster.is_running(*member)) {
            self.cluster.start_without_waiting(member).unwrap();
        }
        members().for_each(|member| self.cluster.wait(member).unwrap());
    }
}
