//! New members for an ensemble (ZooKeeper Dynamic Reconfiguration guide).

use std::{collections::BTreeMap, fmt::Write as _};

use zk_proto::{EnsembleConfig, ErrorCode, Perms, ServerRole};

use crate::{Caller, Membership, Settings, Standing, Tree, TxnKind, path};

/// What is to be changed.
pub(super) struct Change<'a> {
    pub(super) joining: Option<&'a str>,
    pub(super) leaving: Option<&'a str>,
    pub(super) new_members: Option<&'a str>,
    pub(super) from_config: i64,
}

/// As `PrepRequestProcessor` does it: rights are checked last.
pub(super) fn prepare(
    tree: &Tree,
    caller: &Caller<'_>,
    settings: &Settings,
    change: &Change<'_>,
) -> Result<TxnKind, ErrorCode> {
    if !settings.reconfig_enabled {
        return Err(ErrorCode::RECONFIG_DISABLED);
    }
    if caller.standing == Standing::Gone {
        return Err(ErrorCode::SESSION_EXPIRED);
    }
    let Membership::Ensemble { synced } = &settings.membership else {
        return Err(ErrorCode::UNIMPLEMENTED);
    };
    let node = tree.node(path::CONFIG).ok_or(ErrorCode::NO_NODE)?;
    let text = String::from_utf8_lossy(node.data().unwrap_or_default());
    let version = EnsembleConfig::parse(&text).map_or(0, |config| config.version);
    if change.from_config != -1 && change.from_config != version {
        return Err(ErrorCode::BAD_VERSION);
    }
    let members = match change.new_members {
        Some(new_members) => whole(new_members),
        None => changed(&text, change),
    };
    let members = members.ok_or(ErrorCode::BAD_ARGUMENTS)?;
    let voters = || members.iter().filter(|(_, member)| member.votes);
    if voters().count() < 2 {
        return Err(ErrorCode::BAD_ARGUMENTS);
    }
    let ready = voters().filter(|(id, _)| synced.contains(id)).count();
    if ready <= voters().count() / 2 {
        return Err(ErrorCode::NEW_CONFIG_NO_QUORUM);
    }
    caller.check(&node.acl, Perms::WRITE)?;
    let mut text = String::new();
    for (id, member) in &members {
        writeln!(text, "server.{id}={}", member.text).expect("a String takes whatever is written");
    }
    let members = text.into();
    Ok(TxnKind::Reconfig { members })
}

struct Member {
    /// As servers write it.
    text: String,
    votes: bool,
    /// Every address and port, which no other member may have. Wildcards are none.
    addresses: Vec<String>,
}

type Members = BTreeMap<i64, Member>;

/// The members that a text between commas or in lines describes, all of them.
fn whole(text: &str) -> Option<Members> {
    let mut members = Members::new();
    for line in text.split(['\n', ',']).map(str::trim) {
        if line.is_empty() || line.starts_with("version=") {
            continue;
        }
        let (id, member) = Member::parse(line)?;
        members.insert(id, member);
    }
    Some(members)
}

/// The members in force, without those that leave, with those that join.
fn changed(text: &str, change: &Change<'_>) -> Option<Members> {
    let mut members = whole(text)?;
    for id in items(change.leaving) {
        members.remove(&id.parse().ok()?);
    }
    for line in items(change.joining) {
        let (id, joiner) = Member::parse(line)?;
        members.remove(&id);
        let taken = |other: &Member| {
            let mut addresses = joiner.addresses.iter();
            addresses.any(|address| other.addresses.contains(address))
        };
        if members.values().any(taken) {
            return None;
        }
        members.insert(id, joiner);
    }
    Some(members)
}

fn items(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

impl Member {
    /// `server.<id>=<host>:<port>:<port>[:<role>];<client>`, with the address for clients: without
    /// it nobody could use the member.
    fn parse(line: &str) -> Option<(i64, Self)> {
        let config = EnsembleConfig::parse(line).ok()?;
        let [server] = &config.servers[..] else {
            return None;
        };
        server.client_address.as_ref()?;
        let (_, text) = line.split_once('=')?;
        let mut parts = text.trim().splitn(2, ';').map(str::trim);
        let (quorum, client) = (parts.next()?, parts.next()?);
        let quorum = quorum
            .trim_end_matches(":participant")
            .trim_end_matches(":observer");
        let client = if client.parse::<u16>().is_ok() {
            format!("0.0.0.0:{client}")
        } else {
            client.to_owned()
        };
        let is_wildcard = |host: &str| matches!(host, "0.0.0.0" | "::" | "[::]");
        let mut addresses = Vec::new();
        if !client
            .rsplit_once(':')
            .is_some_and(|(host, _)| is_wildcard(host))
        {
            addresses.push(client.clone());
        }
        for address in quorum.split('|') {
            let (rest, election) = address.rsplit_once(':')?;
            let (host, port) = rest.rsplit_once(':')?;
            addresses.push(format!("{host}:{port}"));
            addresses.push(format!("{host}:{election}"));
        }
        let text = format!("{quorum}:{};{client}", server.role);
        let votes = server.role == ServerRole::Participant;
        let member = Self {
            text,
            votes,
            addresses,
        };
        Some((server.id, member))
    }
}
