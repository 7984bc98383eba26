//! The words whose answers are lists of keys and values.

use std::fmt::{self, Write};

use crate::Member;

impl Member {
    pub(super) fn conf(&self, text: &mut String) -> fmt::Result {
        let options = &self.shared.options;
        let (min, max) = options.session_timeouts();
        writeln!(text, "tickTime={}", options.tick.as_millis())?;
        writeln!(
            text,
            "maxClientCnxns={}",
            options.max_connections_per_address
        )?;
        writeln!(text, "minSessionTimeout={}", min.as_millis())?;
        writeln!(text, "maxSessionTimeout={}", max.as_millis())?;
        writeln!(text, "serverId={}", options.member)?;
        writeln!(text, "syncLimit={}", options.sync_limit)
    }

    pub(super) fn envi(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "Environment:")?;
        let version = self.shared.options.release.version();
        writeln!(text, "zookeeper.version={version}-in-memory")?;
        writeln!(text, "zk-server.version={}", env!("CARGO_PKG_VERSION"))
    }

    pub(super) fn mntr(&self, text: &mut String) -> fmt::Result {
        let (shared, tree) = (&self.shared, self.tree());
        let version = shared.options.release.version();
        writeln!(text, "zk_version\t{version}-in-memory")?;
        writeln!(text, "zk_server_state\t{}", self.mode_name())?;
        let figures = [
            ("zk_znode_count", tree.node_count() as u128),
            ("zk_watch_count", shared.watches.count() as u128),
            ("zk_ephemerals_count", tree.ephemeral_count() as u128),
            ("zk_num_alive_connections", self.conns.len() as u128),
            ("zk_outstanding_requests", self.outstanding() as u128),
            ("zk_approximate_data_size", tree.data_size() as u128),
            ("zk_avg_latency", 0),
            ("zk_min_latency", 0),
            ("zk_max_latency", 0),
            ("zk_packets_received", u128::from(shared.received)),
            ("zk_packets_sent", u128::from(shared.sent)),
            ("zk_global_sessions", shared.sessions.len() as u128),
            ("zk_local_sessions", self.local_sessions() as u128),
            ("zk_uptime", shared.clock.elapsed().as_millis()),
        ];
        for (key, value) in figures {
            writeln!(text, "{key}\t{value}")?;
        }
        Ok(())
    }

    fn local_sessions(&self) -> usize {
        let clients = self.conns.values().map(|connection| &connection.client);
        clients.filter(|client| client.is_local()).count()
    }
}
