//! What four-letter words tell.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use zk::SessionId;

/// `wchc`: a line `0xSESSION` for each session that watches, below it the paths behind tabs.
pub(crate) fn watches_of(answer: &str, session: SessionId) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut ours = false;
    for line in answer.lines() {
        match line.strip_prefix('\t') {
            Some(path) if ours => drop(paths.insert(path.to_owned())),
            Some(_) => {}
            None => ours = parse_session(line) == Some(session),
        }
    }
    paths
}

/// `wchp`: a line with each path that is watched, below it `0xSESSION` behind tabs.
pub(crate) fn watchers_of(answer: &str, path: &str) -> BTreeSet<SessionId> {
    let mut sessions = BTreeSet::new();
    let mut ours = false;
    for line in answer.lines() {
        match line.strip_prefix('\t') {
            Some(session) if ours => sessions.extend(parse_session(session)),
            Some(_) => {}
            None => ours = line == path,
        }
    }
    sessions
}

/// `dump`: the sessions by their time of expiry come first, behind tabs.
pub(crate) fn sessions(answer: &str) -> BTreeSet<SessionId> {
    let ephemerals = answer.find("ephemeral nodes dump").unwrap_or(answer.len());
    let lines = answer[..ephemerals].lines();
    lines
        .filter_map(|line| parse_session(line.trim()))
        .collect()
}

/// `cons`: a line ` /IP:PORT[..](..sid=0xSESSION,..)` for each connection.
pub(crate) fn peer_of(answer: &str, session: SessionId) -> Option<IpAddr> {
    let sid = format!("sid=0x{:x},", session.0);
    let line = answer.lines().find(|line| line.contains(&sid))?;
    let (address, _) = line.trim().strip_prefix('/')?.split_once('[')?;
    address.parse().ok().map(|peer: SocketAddr| peer.ip())
}

fn parse_session(text: &str) -> Option<SessionId> {
    let digits = text.strip_prefix("0x")?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    Some(SessionId(number as i64))
}

#[test]
fn words_are_understood() {
    let (a, b) = (SessionId(0x1a), SessionId(-1));
    let set = |paths: &[&str]| {
        paths
            .iter()
            .map(|p| (*p).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let wchc = "0x1a\n\t/x\n\t/y\n0xffffffffffffffff\n\t/z\n";
    assert_eq!(watches_of(wchc, a), set(&["/x", "/y"]));
    assert_eq!(watches_of(wchc, b), set(&["/z"]));
    let wchp = "/x\n\t0x1a\n/xy\n\t0xffffffffffffffff\n";
    assert_eq!(watchers_of(wchp, "/x"), [a].into());
    assert_eq!(watchers_of(wchp, "/xy"), [b].into());
    let dump = "SessionTracker dump:\nSession Sets (1)/(1):\n1 expire at Mon:\n\t0x1a\n\
                ephemeral nodes dump:\nSessions with Ephemerals (1):\n0xffffffffffffffff:\n\t/e\n";
    assert_eq!(sessions(dump), [a].into());
    let cons =
        " /10.0.0.1:40[0](queued=0)\n /10.0.0.2:41[1](queued=0,recved=1,sid=0x1a,lop=PING)\n";
    assert_eq!(peer_of(cons, a), Some(IpAddr::from([10, 0, 0, 2])));
    assert_eq!(peer_of(cons, b), None);
}
