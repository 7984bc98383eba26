//! Four-letter words: what operators ask (ZooKeeper Administrator's Guide, The Four Letter Words).
//!
//! Answers are lines of text, then the connection is closed. `dirs`, `gtmk`, `stmk` and `hash` are
//! about what is not here, and are answered like words that are not on the whitelist.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    time::Duration,
};

use crate::{
    ConnId, Leader, Member, Role,
    connection::{Client, Connection, Ending},
    member::Mode,
};

mod figures;

/// The day on which the first line says that the version was built: there is no such day here.
const BUILT: &str = "01/01/1970 00:00 UTC";

impl Member {
    /// Answers the four-letter words that have arrived. `leader` is given if it is at hand: it knows
    /// when sessions expire.
    pub fn answer_words(&mut self, leader: Option<&Leader>) {
        while let Some((conn, word)) = self.shared.words.pop_front() {
            let word = String::from_utf8_lossy(&word).into_owned();
            let mut text = String::new();
            if self.answer_word(&word, leader, &mut text).is_err() {
                text.clear();
            }
            if self.shared.options.whitelist.allows(&word) && self.is_serving() {
                self.reset(&word);
            }
            if let Some(Connection { client, .. }) = self.conns.get_mut(&conn) {
                client.output.begin().extend_from_slice(text.as_bytes());
                client.end(Ending::Flush);
                self.finish(conn);
            }
        }
    }

    fn answer_word(&self, word: &str, leader: Option<&Leader>, text: &mut String) -> fmt::Result {
        let options = &self.shared.options;
        let always = word == "isro" && options.read_only_mode;
        let known = matches!(
            word,
            "ruok"
                | "isro"
                | "srvr"
                | "stat"
                | "cons"
                | "conf"
                | "mntr"
                | "envi"
                | "dump"
                | "wchs"
                | "wchc"
                | "wchp"
                | "srst"
                | "crst"
        );
        if !known || !always && !options.whitelist.allows(word) {
            return writeln!(
                text,
                "{word} is not executed because it is not in the whitelist."
            );
        }
        let serving = self.is_serving();
        match word {
            "ruok" => text.write_str("imok"),
            "isro" => text.write_str(match self.shared.mode {
                Mode::Down => "null",
                Mode::ReadOnly => "ro",
                Mode::Serving(_) => "rw",
            }),
            "conf" => self.conf(text),
            "envi" => self.envi(text),
            _ if !serving => {
                writeln!(
                    text,
                    "This ZooKeeper instance is not currently serving requests"
                )
            }
            "srvr" => {
                self.version(text)?;
                self.server(text)
            }
            "stat" => {
                self.version(text)?;
                writeln!(text, "Clients:")?;
                for Connection { client, .. } in self.conns.values() {
                    write_brief(text, client)?;
                    writeln!(text, ")")?;
                }
                writeln!(text)?;
                self.server(text)
            }
            "cons" => {
                for Connection { client, .. } in self.conns.values() {
                    self.write_full(text, client)?;
                }
                writeln!(text)
            }
            "mntr" => self.mntr(text),
            "dump" => self.dump(leader, text),
            "wchs" => self.wchs(text),
            "wchc" => self.wchc(text),
            "srst" => writeln!(text, "Server stats reset."),
            "crst" => writeln!(text, "Connection stats reset."),
            _ => self.wchp(text),
        }
    }

    /// `srst` and `crst` are told before they are done, which nobody can see.
    fn reset(&mut self, word: &str) {
        match word {
            "srst" => (self.shared.received, self.shared.sent) = (0, 0),
            "crst" => {
                for Connection { client, .. } in self.conns.values_mut() {
                    (client.stats.received, client.stats.sent) = (0, 0);
                }
            }
            _ => {}
        }
    }

    fn version(&self, text: &mut String) -> fmt::Result {
        let version = self.shared.options.release.version();
        writeln!(
            text,
            "Zookeeper version: {version}-in-memory, built on {BUILT}"
        )
    }

    fn server(&self, text: &mut String) -> fmt::Result {
        if self.is_read_only() {
            writeln!(text, "READ-ONLY mode; serving only read-only clients")?;
        }
        writeln!(text, "Latency min/avg/max: 0/0.0/0")?;
        writeln!(text, "Received: {}", self.shared.received)?;
        writeln!(text, "Sent: {}", self.shared.sent)?;
        writeln!(text, "Connections: {}", self.conns.len())?;
        writeln!(text, "Outstanding: {}", self.outstanding())?;
        writeln!(text, "Zxid: {}", self.tree().last_zxid())?;
        writeln!(text, "Mode: {}", self.mode_name())?;
        writeln!(text, "Node count: {}", self.tree().node_count())
    }

    fn write_full(&self, text: &mut String, client: &Client) -> fmt::Result {
        write_brief(text, client)?;
        if let Some(session) = client.session() {
            let stats = &client.stats;
            let operation = stats.last_opcode.map_or("NA", operation);
            write!(
                text,
                ",sid={session},lop={operation},est={},to={},lcxid={:#x},lzxid={},lresp={},llat=0,\
                 minlat=0,avglat=0,maxlat=0",
                stats.established,
                client.timeout().unwrap_or(0),
                stats.last_xid,
                stats.last_zxid,
                self.shared.clock.elapsed().as_millis(),
            )?;
        }
        writeln!(text, ")")
    }

    fn dump(&self, leader: Option<&Leader>, text: &mut String) -> fmt::Result {
        writeln!(text, "SessionTracker dump:")?;
        let buckets: Vec<_> = leader.into_iter().flat_map(Leader::expiries).collect();
        writeln!(
            text,
            "Session Sets ({})/({}):",
            buckets.len(),
            self.sessions().len()
        )?;
        for (at, sessions) in buckets {
            writeln!(text, "{} expire at {}:", sessions.len(), Since(at))?;
            for session in sessions {
                writeln!(text, "\t{session}")?;
            }
        }
        writeln!(text, "ephemeral nodes dump:")?;
        let owners: Vec<_> = self.tree().owners().collect();
        writeln!(text, "Sessions with Ephemerals ({}):", owners.len())?;
        for session in owners {
            writeln!(text, "{session}:")?;
            for path in self.tree().ephemerals(session) {
                writeln!(text, "\t{path}")?;
            }
        }
        writeln!(text, "Connections dump:")?;
        writeln!(text, "Connections Sets ({}):", self.conns.len())?;
        for Connection { client, .. } in self.conns.values() {
            self.write_full(text, client)?;
        }
        Ok(())
    }

    fn wchs(&self, text: &mut String) -> fmt::Result {
        let watches = &self.shared.watches;
        let (conns, paths) = (watches.by_conn().count(), watches.by_path().count());
        let total: usize = watches.by_path().map(|(_, conns)| conns.count()).sum();
        writeln!(text, "{conns} connections watching {paths} paths")?;
        writeln!(text, "Total watches:{total}")
    }

    fn wchc(&self, text: &mut String) -> fmt::Result {
        // By session, as connections are not shown.
        let mut sessions = BTreeMap::new();
        for (conn, paths) in self.shared.watches.by_conn() {
            sessions.insert(self.session_of(conn).unwrap_or_default(), paths);
        }
        for (session, paths) in sessions {
            writeln!(text, "{session}")?;
            for path in paths {
                writeln!(text, "\t{path}")?;
            }
        }
        writeln!(text)
    }

    fn wchp(&self, text: &mut String) -> fmt::Result {
        for (path, conns) in self.shared.watches.by_path() {
            writeln!(text, "{path}")?;
            for session in conns.filter_map(|conn: ConnId| self.session_of(conn)) {
                writeln!(text, "\t{session}")?;
            }
        }
        writeln!(text)
    }

    fn mode_name(&self) -> &'static str {
        match self.shared.mode {
            Mode::Down => "down",
            Mode::ReadOnly => "read-only",
            Mode::Serving(Role::Standalone) => "standalone",
            Mode::Serving(Role::Leader) => "leader",
            Mode::Serving(Role::Follower { .. }) => "follower",
        }
    }

    fn outstanding(&self) -> usize {
        self.conns
            .values()
            .map(|connection| connection.client.waiting.len())
            .sum()
    }
}

fn write_brief(text: &mut String, client: &Client) -> fmt::Result {
    write!(
        text,
        " /{}[1](queued={},recved={},sent={}",
        client.peer,
        client.waiting.len(),
        client.stats.received,
        client.stats.sent,
    )
}

/// What servers call the operations here (`FinalRequestProcessor`).
fn operation(opcode: zk_proto::OpCode) -> &'static str {
    use zk_proto::OpCode;
    match opcode {
        OpCode::CREATE | OpCode::CREATE2 | OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => "CREA",
        OpCode::DELETE => "DELE",
        OpCode::EXISTS => "EXIS",
        OpCode::GET_DATA => "GETD",
        OpCode::SET_DATA => "SETD",
        OpCode::GET_ACL => "GETA",
        OpCode::SET_ACL => "SETA",
        OpCode::GET_CHILDREN | OpCode::GET_CHILDREN2 => "GETC",
        OpCode::SYNC => "SYNC",
        OpCode::PING => "PING",
        OpCode::CHECK => "CHEC",
        OpCode::MULTI => "MULT",
        OpCode::MULTI_READ => "MLTR",
        OpCode::RECONFIG => "RECO",
        OpCode::CHECK_WATCHES => "CHKW",
        OpCode::REMOVE_WATCHES => "REMW",
        OpCode::SET_WATCHES => "SETW",
        OpCode::SET_WATCHES2 => "STW2",
        OpCode::ADD_WATCH => "ADDW",
        OpCode::GET_EPHEMERALS => "GETE",
        OpCode::GET_ALL_CHILDREN_NUMBER => "GETACN",
        OpCode::WHO_AM_I => "HOMI",
        OpCode::CLOSE_SESSION => "CLOS",
        OpCode(_) => "NA",
    }
}

/// A time since the leader began.
struct Since(Duration);

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms after the start", self.0.as_millis())
    }
}
