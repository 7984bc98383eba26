//! `Party`, `ShallowParty`, `PersistentNode`.

use zk::recipes::party::{Party, ShallowParty};
use zk::recipes::persistent_node::PersistentNode;

use crate::support::{Env, LIMIT, expire_session, session_of, wait_until};

pub(crate) fn members_and_their_number_follow(env: &Env) {
    let client = env.client();
    let parties: Vec<_> = (0..5)
        .map(|i| Party::new(&client, "/party").identifier(format!("p{i}")))
        .collect();
    let one = &parties[0];
    assert!(one.members().wait().unwrap().is_empty());
    assert_eq!(one.len().wait().unwrap(), 0);
    let mut expected = Vec::new();
    for (i, party) in parties.iter().enumerate() {
        party.join().wait_timeout(LIMIT).unwrap();
        expected.push(format!("p{i}"));
        assert_eq!(one.members().wait().unwrap(), expected);
    }
    for party in &parties {
        assert!(party.participating());
        assert!(party.leave().wait_timeout(LIMIT).unwrap());
        expected.remove(0);
        assert_eq!(one.members().wait().unwrap(), expected);
        assert_eq!(one.len().wait().unwrap(), expected.len());
    }
}

pub(crate) fn shallow_members_follow_too(env: &Env) {
    let client = env.client();
    let parties: Vec<_> = (0..5)
        .map(|i| ShallowParty::new(&client, "/party").identifier(format!("p{i}")))
        .collect();
    let one = &parties[0];
    assert!(one.members().wait().unwrap().is_empty());
    let mut expected = Vec::new();
    for (i, party) in parties.iter().enumerate() {
        party.join().wait_timeout(LIMIT).unwrap();
        expected.push(format!("p{i}"));
        assert_eq!(one.members().wait().unwrap(), expected);
        assert_eq!(one.len().wait().unwrap(), i + 1);
    }
    for party in &parties {
        assert!(party.leave().wait_timeout(LIMIT).unwrap());
        expected.remove(0);
        assert_eq!(one.members().wait().unwrap(), expected);
    }
}

pub(crate) fn joining_twice_and_leaving_what_is_gone_is_fine(env: &Env) {
    let client = env.client();
    let party = Party::new(&client, "/party");
    party.join().wait_timeout(LIMIT).unwrap();
    party.join().wait_timeout(LIMIT).unwrap();
    assert_eq!(party.members().wait().unwrap(), [client.identity()]);
    assert!(party.leave().wait_timeout(LIMIT).unwrap());
    assert!(!party.leave().wait_timeout(LIMIT).unwrap());
    assert!(!party.participating());
    party.join().wait_timeout(LIMIT).unwrap();
    assert_eq!(party.len().wait().unwrap(), 1);
}

pub(crate) fn a_lost_session_is_no_member(env: &Env) {
    let client = env.client();
    let once = Party::new(&client, "/party").identifier("once");
    let again = Party::new(&client, "/party")
        .identifier("again")
        .rejoining();
    once.join().wait_timeout(LIMIT).unwrap();
    again.join().wait_timeout(LIMIT).unwrap();
    expire_session(&client);
    assert!(!once.participating());
    wait_until("it joins again", || again.participating());
    assert_eq!(again.members().wait().unwrap(), ["again"]);
}

pub(crate) fn a_persistent_node_is_made_again(env: &Env) {
    let client = env.client();
    let node = PersistentNode::new(&client, "/deep/node", "me");
    node.start().wait_timeout(LIMIT).unwrap();
    let owner = || {
        let stat = client.exists("/deep/node").wait().unwrap();
        stat.map(|stat| stat.ephemeral_owner)
    };
    assert_eq!(owner(), Some(session_of(&client)));
    client.delete("/deep/node").wait().unwrap();
    wait_until("it is back", || owner().is_some() && node.is_present());
    node.set_data("other").wait_timeout(LIMIT).unwrap();
    expire_session(&client);
    wait_until("it is back", || owner() == Some(session_of(&client)));
    let (data, _) = client.get("/deep/node").wait().unwrap();
    assert_eq!(data, b"other");
    assert!(node.close().wait_timeout(LIMIT).unwrap());
    assert_eq!(owner(), None);
    node.start().wait_timeout(LIMIT).unwrap();
    drop(node);
    wait_until("it is gone", || owner().is_none());
}
