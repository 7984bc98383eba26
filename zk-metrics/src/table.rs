//! The metrics there are.

use metrics::Unit;
use zk_client::{State, Stats};

/// A look at a client.
pub(crate) struct Look {
    pub(crate) state: State,
    pub(crate) stats: Stats,
}

/// A number that only grows.
pub(crate) struct Counted {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) text: &'static str,
    pub(crate) of: fn(&Stats) -> u64,
}

/// A number of this moment.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) text: &'static str,
    pub(crate) of: fn(&Look) -> f64,
}

const fn counted(
    name: &'static str,
    unit: Unit,
    text: &'static str,
    of: fn(&Stats) -> u64,
) -> Counted {
    Counted {
        name,
        unit,
        text,
        of,
    }
}

const fn measured(
    name: &'static str,
    unit: Unit,
    text: &'static str,
    of: fn(&Look) -> f64,
) -> Measured {
    Measured {
        name,
        unit,
        text,
        of,
    }
}

pub(crate) const COUNTERS: [Counted; 11] = [
    counted(
        "zk_client_requests_total",
        Unit::Count,
        "Requests sent",
        |s| s.session.requests,
    ),
    counted(
        "zk_client_replies_total",
        Unit::Count,
        "Replies to requests",
        |s| s.session.replies,
    ),
    counted(
        "zk_client_watch_events_total",
        Unit::Count,
        "Watch events received",
        |s| s.session.watch_events,
    ),
    counted(
        "zk_client_received_bytes_total",
        Unit::Bytes,
        "Bytes received",
        |s| s.session.bytes_in,
    ),
    counted(
        "zk_client_sent_bytes_total",
        Unit::Bytes,
        "Bytes sent",
        |s| s.session.bytes_out,
    ),
    counted(
        "zk_client_connect_attempts_total",
        Unit::Count,
        "Attempts to connect",
        |s| s.session.attempts,
    ),
    counted(
        "zk_client_connections_total",
        Unit::Count,
        "Connections that became usable",
        |s| s.session.connections,
    ),
    counted(
        "zk_client_connections_lost_total",
        Unit::Count,
        "Usable connections lost",
        |s| s.session.losses,
    ),
    counted(
        "zk_client_sessions_total",
        Unit::Count,
        "Sessions that servers gave",
        |s| s.session.sessions,
    ),
    counted(
        "zk_client_sessions_lost_total",
        Unit::Count,
        "Sessions lost",
        |s| s.session.sessions_lost,
    ),
    counted(
        "zk_client_stream_overflows_total",
        Unit::Count,
        "Notices that became a gap",
        |s| s.stream_overflows,
    ),
];

pub(crate) const GAUGES: [Measured; 10] = [
    measured(
        "zk_client_connected",
        Unit::Count,
        "1 while requests are answered",
        |look| f64::from(u8::from(look.state.is_connected())),
    ),
    measured(
        "zk_client_session_alive",
        Unit::Count,
        "1 while there is a session",
        |look| f64::from(u8::from(look.state != State::Lost)),
    ),
    measured(
        "zk_client_in_flight",
        Unit::Count,
        "Requests sent and not answered",
        |look| number(look.stats.session.in_flight),
    ),
    measured(
        "zk_client_queued",
        Unit::Count,
        "Requests not sent yet",
        |look| number(look.stats.session.queued),
    ),
    measured(
        "zk_client_pending_bytes",
        Unit::Bytes,
        "Bytes of both",
        |look| number(look.stats.session.pending_bytes),
    ),
    measured(
        "zk_client_waiting_for_room",
        Unit::Count,
        "Calls the queue has no room for",
        |look| number(look.stats.waiting_for_room),
    ),
    measured("zk_client_watches", Unit::Count, "Watchers", |look| {
        number(look.stats.session.watches)
    }),
    measured(
        "zk_client_watched_paths",
        Unit::Count,
        "Paths that are watched",
        |look| number(look.stats.session.watched_paths),
    ),
    measured(
        "zk_client_callbacks_queued",
        Unit::Count,
        "Callbacks that have not ended",
        |look| number(look.stats.callbacks_queued),
    ),
    measured(
        "zk_client_round_trip_seconds",
        Unit::Seconds,
        "The newest round trip",
        |look| {
            let round_trip = look.stats.session.round_trip;
            round_trip.map_or(0.0, |time| time.as_secs_f64())
        },
    ),
];

/// The names of all metrics, in the order of the table.
pub fn names() -> impl Iterator<Item = &'static str> {
    let counters = COUNTERS.iter().map(|counter| counter.name);
    counters.chain(GAUGES.iter().map(|gauge| gauge.name))
}

/// Nothing that is counted here is beyond what a float holds exactly.
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_have_all_of_them_and_nothing_else() {
        let rows = include_str!("table.md")
            .lines()
            .skip_while(|line| !line.starts_with("|---"));
        let documented = rows.skip(1).filter_map(|row| row.split('`').nth(1));
        assert!(
            documented.eq(names()),
            "table.md does not list what there is"
        );
    }
}
