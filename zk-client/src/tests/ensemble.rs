//! Following the ensemble's configuration.

use std::time::Duration;

use zk_proto::{EventType, OpCode, Reply};

use super::Rig;
use super::rig::Asked;
use super::world::SESSION;
use crate::{Client, Stat};

const PATH: &str = "/zookeeper/config";

fn tracking(hosts: &str) -> Rig {
    let mut rig = Rig::with(
        Client::builder(hosts)
            .randomize_hosts(false)
            .track_ensemble(),
    );
    rig.handler.run_tasks();
    rig.reconnect(SESSION);
    rig
}

fn servers(rig: &Rig) -> Vec<String> {
    rig.client
        .servers()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn answer(rig: &mut Rig, text: &str) {
    rig.handler.run_tasks();
    let asked: Vec<Asked> = rig.asked();
    let asked = asked.iter().find(|asked| asked.opcode == OpCode::GET_DATA);
    let asked = asked.expect("the configuration is read");
    assert_eq!(asked.path(), PATH);
    let (data, stat) = (text.as_bytes().into(), Stat::default());
    rig.reply(asked, Ok(Reply::Data { data, stat }));
    rig.handler.run_tasks();
}

fn changed(rig: &mut Rig) {
    let event = Rig::event_frame(EventType::NODE_DATA_CHANGED, PATH);
    rig.feed(&event);
}

#[test]
fn newer_members_come_behind_the_given_servers() {
    let mut rig = tracking("h1,h2/app");
    answer(
        &mut rig,
        "server.1=h2:1:2;2181\nserver.2=h3:1:2;2181\nversion=a",
    );
    assert_eq!(servers(&rig), ["h1:2181", "h2:2181", "h3:2181"]);
    // An older one, from a server that lags behind.
    changed(&mut rig);
    answer(&mut rig, "server.2=h4:1:2;2181\nversion=9");
    assert_eq!(servers(&rig).len(), 3);
    changed(&mut rig);
    answer(&mut rig, "nonsense\nserver.2=");
    assert_eq!(servers(&rig).len(), 3);
    changed(&mut rig);
    answer(&mut rig, "server.2=h4:1:2;2181\nversion=b");
    assert_eq!(servers(&rig), ["h1:2181", "h2:2181", "h4:2181"]);
    assert_eq!(rig.client.root_path(), "/app");
}

#[test]
fn it_goes_on_after_a_loss_and_with_a_new_session() {
    let mut rig = tracking("h1");
    answer(&mut rig, "server.2=h3:1:2;2181\nversion=a");
    rig.cut();
    rig.handler.run_tasks();
    rig.reconnect(SESSION);
    // The watch is put back; nothing is read.
    let asked = rig.asked_one();
    assert_ne!(asked.opcode, OpCode::GET_DATA);
    rig.reply(&asked, Ok(Reply::Empty));
    changed(&mut rig);
    answer(&mut rig, "server.2=h4:1:2;2181\nversion=b");
    assert_eq!(servers(&rig), ["h1:2181", "h4:2181"]);
    rig.cut();
    rig.reconnect(SESSION + 1);
    answer(&mut rig, "server.2=h5:1:2;2181\nversion=c");
    assert_eq!(servers(&rig), ["h1:2181", "h5:2181"]);
}

#[test]
fn what_cannot_be_read_is_tried_again_on_the_next_connection() {
    let mut rig = tracking("h1");
    rig.handler.run_tasks();
    let asked = rig.asked_one();
    rig.reply(&asked, Err(zk_proto::ErrorCode::NO_NODE));
    rig.handler.run_tasks();
    let asked: Vec<_> = rig.asked().iter().map(|a| a.opcode).collect();
    assert_eq!(asked, []);
    rig.cut();
    rig.handler.run_tasks();
    rig.reconnect(SESSION);
    answer(&mut rig, "server.2=h3:1:2;2181\nversion=a");
    assert_eq!(servers(&rig).len(), 2);
}

#[test]
fn it_is_off_unless_asked_for_and_keeps_no_client_open() {
    let rig = Rig::connected();
    assert_eq!(rig.handler.tasks(), 0);
    let mut rig = tracking("h1");
    answer(&mut rig, "server.2=h3:1:2;2181\nversion=a");
    assert_eq!(rig.handler.tasks(), 1);
    rig.client.close().timeout(Duration::ZERO).send().detach();
    rig.advance(Duration::from_millis(1));
    for _ in 0..3 {
        rig.handler.run_tasks();
    }
    assert_eq!(rig.handler.tasks(), 0);
}
