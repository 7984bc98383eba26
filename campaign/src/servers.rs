//! [`Servers`]: one server, or an ensemble.

use std::sync::Arc;
use std::time::Duration;

use zk_proto::SessionId;
use zk_server::{Member, Txn};
use zk_sim::check::CommittedLog;
use zk_sim::{EnsembleHandle, ServerHandle, Sim, StandaloneServer};

use crate::setup::Setup;

/// The servers of a run.
pub(crate) enum Servers {
    Alone(ServerHandle<StandaloneServer>),
    Together(EnsembleHandle),
}

impl Servers {
    pub(crate) fn start(sim: &Sim, setup: &Setup) -> Self {
        if setup.servers == 1 {
            return Self::Alone(sim.standalone("s1:2181", setup.options()));
        }
        let numbers = 1..=setup.servers;
        let addresses: Vec<String> = numbers.map(|number| format!("s{number}:2181")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let ensemble = sim.ensemble(&addresses, setup.options());
        if let Some((member, lag)) = setup.lag {
            ensemble.with(member, |peer| peer.set_apply_delay(lag));
        }
        Self::Together(ensemble)
    }

    /// From now on no member of theirs is later than this with what it shows its clients.
    pub(crate) fn hurry(&self, setup: &Setup, most: Duration) {
        if let (Self::Together(ensemble), Some((member, lag))) = (self, setup.lag) {
            ensemble.with(member, |peer| peer.set_apply_delay(lag.min(most)));
        }
    }

    /// Do they know the time? Sessions do not end by themselves while nobody leads; whoever leads next
    /// gives each its whole timeout once more.
    pub(crate) fn are_led(&self) -> bool {
        match self {
            Self::Alone(_) => true,
            Self::Together(ensemble) => ensemble.leader().is_some(),
        }
    }

    /// Cuts the connection of a session, and answers whoever comes next with another one.
    pub(crate) fn substitute(&self, session: SessionId, other: SessionId) {
        if let Self::Alone(handle) = self {
            let now = handle.machine().now();
            handle.with(|server| {
                if let Some(server) = server.get_mut() {
                    server.cut_session(now, session);
                    server.substitute_session(other);
                }
            });
        }
    }

    /// How many watches the newest connection of a session has.
    pub(crate) fn watches_of(&self, session: SessionId) -> usize {
        let of = |member: &Member| {
            let conn = member.connection_of(session)?;
            Some((conn, member.watches_of(conn)))
        };
        let newest = match self {
            Self::Alone(handle) => handle.with(|server| of(server.get_mut()?.member())),
            Self::Together(handle) => {
                let members = handle.members().iter();
                let found = members.filter_map(|it| it.with(|it| of(it.peer().member()?)));
                found.max_by_key(|(conn, _)| *conn)
            }
        };
        newest.map_or(0, |(_, watches)| watches)
    }

    /// Ends a session as if it had not been heard of for too long, if anybody can.
    pub(crate) fn expire(&self, session: SessionId) {
        match self {
            Self::Alone(handle) => {
                let now = handle.machine().now();
                handle.with(|server| {
                    if let Some(server) = server.get_mut() {
                        server.expire(now, session);
                    }
                });
            }
            Self::Together(ensemble) => drop(ensemble.expire(session)),
        }
    }

    /// A connect string.
    pub(crate) fn hosts(&self) -> String {
        match self {
            Self::Alone(server) => server.hosts().to_owned(),
            Self::Together(ensemble) => ensemble.hosts().to_owned(),
        }
    }

    /// The same in the words of the checkers.
    pub(crate) fn log(&self) -> CommittedLog {
        match self {
            Self::Alone(server) => server.with(|server| server.committed_log()),
            Self::Together(ensemble) => ensemble.committed_log(),
        }
    }

    /// Everything that was committed, and when.
    pub(crate) fn commits(&self) -> Vec<(Duration, Arc<Txn>)> {
        match self {
            Self::Alone(server) => server.with(|server| server.commits().to_vec()),
            Self::Together(ensemble) => ensemble.commits(),
        }
    }
}
