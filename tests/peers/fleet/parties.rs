//! Parties and partitioners of both.

use std::time::Duration;

use zk::Client;
use zk::recipes::partitioner::PartitionState;
use zk::recipes::{Party, SetPartitioner, ShallowParty};

use super::{Fleet, LIMIT, Member, fleets};

/// The items to be divided, in both languages.
const ITEMS: &str = "['a', 'b', 'c', 'd']";

#[track_caller]
fn eventually(what: &str, mut look: impl FnMut() -> String, wanted: &str) {
    let mut last = String::new();
    let found = zk_testkit::eventually(LIMIT, || {
        last = look();
        (last == wanted).then_some(())
    });
    assert!(found.is_some(), "{what}: {last}, not {wanted}");
}

fn listed(mut names: Vec<String>) -> String {
    names.sort();
    let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// Everybody sees all who are there, whoever has made them, and nobody who was killed.
fn members_of_both_see_each_other(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let ours = Party::new(&client, "/deep").identifier("ours");
    let shallow = ShallowParty::new(&client, "/shallow").identifier("ours");
    let (mut python, mut rust) = (fleet.python(), fleet.rust());
    let mut looker = fleet.python();
    for member in [&mut python, &mut looker] {
        member.run("deep = client.Party('/deep', 'python')");
        member.run("shallow = client.ShallowParty('/shallow', 'python')");
    }
    python.run("deep.join()");
    python.run("shallow.join()");
    ours.join().wait().unwrap();
    shallow.join().wait().unwrap();
    rust.run("join /deep /shallow rust");
    let mut all_see = |wanted: &str| {
        let members = || listed(ours.members().wait().unwrap());
        eventually("members", members, wanted);
        let members = || listed(shallow.members().wait().unwrap());
        eventually("shallow members", members, wanted);
        eventually("kazoo's members", || looker.run("sorted(deep)"), wanted);
        eventually("kazoo's shallow", || looker.run("sorted(shallow)"), wanted);
        let count = ours.len().wait().unwrap().to_string();
        assert_eq!(looker.run("len(deep)"), count);
    };
    all_see("['ours', 'python', 'rust']");
    python.kill();
    all_see("['ours', 'rust']");
    rust.kill();
    all_see("['ours']");
    assert!(ours.leave().wait().unwrap());
    assert!(shallow.leave().wait().unwrap());
    all_see("[]");
}

/// Kazoo's partitioner, and somebody who lets go whatever is to be let go.
fn kazoo_of(fleet: &Fleet<'_>, name: &str) -> Member {
    let mut python = fleet.python();
    python.run("import time");
    python.run(&format!(
        "part = client.SetPartitioner('/set', set={ITEMS}, identifier='{name}', time_boundary=1)"
    ));
    python.begin(
        "while not part.failed:\n    if part.release: part.release_set()\n    time.sleep(.05)",
    );
    python
}

fn owned(python: &mut Member) -> String {
    python.run("sorted(part) if part.acquired else None")
}

fn items_of(share: &super::worker::Share) -> String {
    if share.part.state() == PartitionState::Acquired {
        listed(share.part.items())
    } else {
        "None".to_owned()
    }
}

fn share(client: &Client, name: &str) -> super::worker::Share {
    let items = ["a", "b", "c", "d"];
    let set = SetPartitioner::new(client, "/set", items).identifier(name);
    super::worker::Share::start(client, set.time_boundary(Duration::from_secs(1))).unwrap()
}

/// Every item is somebody's, and nobody else's, however members come and are killed.
fn items_are_divided_among_both(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let mut one = kazoo_of(fleet, "1");
    eventually("alone", || owned(&mut one), ITEMS);
    let ours = share(&client, "2");
    eventually("kazoo's half", || owned(&mut one), "['a', 'c']");
    eventually("our half", || items_of(&ours), "['b', 'd']");
    let mut rust = fleet.rust();
    rust.run("share /set a,b,c,d 3 it");
    eventually("kazoo's third", || owned(&mut one), "['a', 'd']");
    eventually("our third", || items_of(&ours), "['b']");
    eventually("the other third", || rust.run("items it"), "['c']");
    // Killed while they hold what the others will be given.
    rust.kill();
    eventually("kazoo's half", || owned(&mut one), "['a', 'c']");
    eventually("our half", || items_of(&ours), "['b', 'd']");
    one.kill();
    eventually("all is ours", || items_of(&ours), ITEMS);
    let mut again = kazoo_of(fleet, "9");
    eventually("our half", || items_of(&ours), "['a', 'c']");
    eventually("kazoo's half", || owned(&mut again), "['b', 'd']");
    drop(ours);
    eventually("all is kazoo's", || owned(&mut again), ITEMS);
}

fleets! {
    items_are_divided_among_both
    members_of_both_see_each_other
}
