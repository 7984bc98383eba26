//! A running server or ensemble.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use std::{io, thread};

use crate::config::{Config, Peer};
use crate::dist::{Dist, Version};
use crate::error::Error;
use crate::fetch::fetch;
use crate::four_letter::{Mode, four_letter, release_from_srvr};
use crate::home::{RunDir, make_dir};
use crate::member::Member;
use crate::options::Options;
use crate::ports::Port;
use crate::proxy::Proxy;

/// How often a start is tried with other ports when somebody took one.
const ATTEMPTS: usize = 3;

/// A standalone server or an ensemble, which ends with this value.
///
/// Members are numbered from 0, voters before observers; ZooKeeper's own number of a member, its
/// `myid`, is one more. Methods which take a member panic when there is none of that number. All of
/// them may be called from several threads.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: processes before their links, ports and data.
    members: Vec<Member>,
    links: Vec<Link>,
    secure_addresses: Vec<SocketAddr>,
    _ports: Vec<Port>,
    _dir: RunDir,
    dist: Dist,
    ready_within: Duration,
}

/// The way from one member to the quorum port of another.
#[derive(Debug)]
struct Link {
    from: usize,
    to: usize,
    proxy: Proxy,
}

impl Cluster {
    /// Fetches the version if need be, starts the members and waits until all of them serve.
    ///
    /// # Errors
    ///
    /// Those of [`fetch`](fetch()); [`Error::Options`]; [`Error::Ended`] and [`Error::NotServing`] with the
    /// end of the member's log; [`Error::WrongVersion`]; [`Error::NoPorts`]; [`Error::Io`].
    pub fn start(version: Version, options: &Options) -> Result<Self, Error> {
        options.check()?;
        let dist = fetch(version)?;
        let mut attempt = 1;
        loop {
            let cluster = Self::launch(&dist, options)?;
            let waited = (0..cluster.len()).try_for_each(|member| cluster.wait(member));
            let Err(error) = waited else {
                return Ok(cluster);
            };
            if attempt == ATTEMPTS || !cluster.members.iter().any(Member::lost_a_port) {
                return Err(error);
            }
            attempt += 1;
        }
    }

    /// Starts the members without waiting.
    fn launch(dist: &Dist, options: &Options) -> Result<Self, Error> {
        let claim = || {
            (0..options.members())
                .map(|_| Port::claim())
                .collect::<Result<Vec<_>, _>>()
        };
        let (clients, quorums, elections) = (claim()?, claim()?, claim()?);
        let secure = match options.tls {
            Some(_) => claim()?,
            None => Vec::new(),
        };
        let direct: Vec<Peer> = (0..options.members())
            .map(|member| Peer {
                client: clients[member].number(),
                quorum: quorums[member].number(),
                election: elections[member].number(),
                secure: secure.get(member).map(Port::number),
            })
            .collect();
        let links = if options.proxied_quorum {
            link(&quorums)?
        } else {
            Vec::new()
        };
        let dir = RunDir::create()?;
        let mut members = Vec::new();
        for (index, client) in clients.into_iter().enumerate() {
            let mut peers = direct.clone();
            for link in links.iter().filter(|link| link.from == index) {
                peers[link.to].quorum = link.proxy.address().port();
            }
            let home = dir.path().join(index.to_string());
            make_dir(&home)?;
            let config = Config {
                options,
                dir: &home,
                member: index,
                peers: &peers,
            };
            let arguments = config.write(dist)?;
            members.push(Member::new(index, home, client, dist, arguments));
        }
        let secure_addresses = secure.iter().map(Port::address).collect();
        let ports = quorums.into_iter().chain(elections).chain(secure);
        let (dist, ready_within) = (dist.clone(), options.ready_within);
        let cluster = Self {
            members,
            links,
            secure_addresses,
            _ports: ports.collect(),
            _dir: dir,
            dist,
            ready_within,
        };
        cluster.members.iter().try_for_each(Member::launch)?;
        Ok(cluster)
    }

    /// The addresses of all members, as clients take them: `127.0.0.1:20000,127.0.0.1:20001`.
    pub fn connect_string(&self) -> String {
        let addresses = self
            .members
            .iter()
            .map(|member| member.address().to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Where a member serves clients; the same for as long as the cluster lives.
    pub fn address(&self, member: usize) -> SocketAddr {
        self.members[member].address()
    }

    /// Where a member serves clients with TLS; the same for as long as the cluster lives.
    ///
    /// # Panics
    ///
    /// Without [`Options::tls`].
    pub fn secure_address(&self, member: usize) -> SocketAddr {
        self.secure_addresses[member]
    }

    /// The number of members, running or not.
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is no cluster without members"
    )]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// What runs here.
    pub fn dist(&self) -> &Dist {
        &self.dist
    }

    /// Kills a member (`SIGKILL`) and waits until it is gone; nothing happens when it is already.
    pub fn kill(&self, member: usize) {
        self.members[member].kill();
    }

    /// Kills a member if it runs, starts it with the same data and port, and waits until it serves.
    ///
    /// It serves as part of a quorum, so this fails when there are not enough others for one.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`], [`Error::NotServing`], [`Error::WrongVersion`] or [`Error::Io`].
    pub fn restart(&self, member: usize) -> Result<(), Error> {
        self.start_without_waiting(member)?;
        self.wait(member)
    }

    /// Like [`restart`](Self::restart), without waiting until it serves.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when Java cannot be run.
    pub fn start_without_waiting(&self, member: usize) -> Result<(), Error> {
        self.kill(member);
        self.members[member].launch()
    }

    /// Waits until a member serves as part of a quorum, at most [`Options::ready_within`].
    ///
    /// # Errors
    ///
    /// [`Error::Ended`], [`Error::NotServing`] or [`Error::WrongVersion`].
    pub fn wait(&self, member: usize) -> Result<(), Error> {
        self.members[member]
            .wait(self.ready_within, self.dist.release())
            .map(drop)
    }

    /// Stops a member where it is (`SIGSTOP`): its connections stay open and nobody answers.
    pub fn pause(&self, member: usize) {
        self.members[member].pause();
    }

    /// Lets a paused member go on.
    pub fn resume(&self, member: usize) {
        self.members[member].resume();
    }

    /// Whether a member's process exists; that of a paused one does.
    pub fn is_running(&self, member: usize) -> bool {
        self.members[member].is_running()
    }

    /// The process id of a member's JVM while it runs.
    pub fn pid(&self, member: usize) -> Option<u32> {
        self.members[member].pid()
    }

    /// What a member is at the moment; none when it is dead, paused, or looking for a leader.
    pub fn mode(&self, member: usize) -> Option<Mode> {
        Mode::from_srvr(&self.members[member].srvr().ok()?)
    }

    /// The member which says that it leads; none in a standalone server.
    pub fn leader(&self) -> Option<usize> {
        self.in_mode(Mode::Leader).first().copied()
    }

    /// The members which say that they follow.
    pub fn followers(&self) -> Vec<usize> {
        self.in_mode(Mode::Follower)
    }

    fn in_mode(&self, mode: Mode) -> Vec<usize> {
        (0..self.len())
            .filter(|member| self.mode(*member) == Some(mode))
            .collect()
    }

    /// The release that a member says it runs, such as `3.9.3`.
    pub fn release(&self, member: usize) -> Option<String> {
        let answer = self.members[member].srvr().ok()?;
        release_from_srvr(&answer).map(str::to_owned)
    }

    /// Sends a member a four-letter word and returns its answer.
    ///
    /// # Errors
    ///
    /// Those of [`four_letter`].
    pub fn four_letter(&self, member: usize, word: &str) -> io::Result<String> {
        four_letter(self.address(member), word)
    }

    /// The last lines of what a member logged, over all its restarts.
    pub fn log_tail(&self, member: usize, lines: usize) -> String {
        self.members[member].log_tail(lines)
    }

    /// The directory of a member: `zoo.cfg`, `log` and `data` are in it.
    pub fn dir(&self, member: usize) -> &Path {
        self.members[member].dir()
    }

    /// Stalls the quorum traffic between a member and all others, both ways, without closing any
    /// connection. Returns once nothing more is forwarded.
    ///
    /// A follower notices nothing for the [sync limit](Options::sync_limit): it goes on answering
    /// pings and reads while its leader expires the sessions it holds. After that it serves no more
    /// until it is [healed](Self::heal). Elections are not stalled, so isolating the leader leads to
    /// no dependable successor: pause or kill it instead.
    ///
    /// # Panics
    ///
    /// Without [`Options::proxied_quorum`].
    pub fn isolate(&self, member: usize) {
        self.links_of(member).for_each(Proxy::stall);
    }

    /// Ends what [`isolate`](Self::isolate) began; what was held up is delivered first.
    ///
    /// # Panics
    ///
    /// Without [`Options::proxied_quorum`].
    pub fn heal(&self, member: usize) {
        self.links_of(member).for_each(Proxy::resume);
    }

    fn links_of(&self, member: usize) -> impl Iterator<Item = &Proxy> {
        assert!(!self.links.is_empty(), "the quorum is not proxied");
        assert!(member < self.len(), "there is no member {member}");
        let links = self.links.iter();
        links
            .filter(move |link| link.from == member || link.to == member)
            .map(|link| &link.proxy)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            for (index, member) in self.members.iter().enumerate() {
                eprintln!(
                    "testkit: the log of member {index} ends\n{}",
                    member.log_tail(10)
                );
            }
        }
    }
}

/// A proxy from every member to every other.
fn link(quorums: &[Port]) -> Result<Vec<Link>, Error> {
    let count = quorums.len();
    let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    pairs
        .filter(|(from, to)| from != to)
        .map(|(from, to)| {
            Ok(Link {
                from,
                to,
                proxy: Proxy::start(quorums[to].address())?,
            })
        })
        .collect()
}
