//! Many short runs in which everything goes wrong, and then nothing any more.

use std::{fmt::Write as _, time::Duration};

use zk_proto::{CreateMode, ErrorCode, OpCode, Reply, Request};

use crate::rig::{
    Got, TICK, World,
    client::{create, get, set, sync},
};

/// What may go wrong in a run.
#[derive(Clone, Copy, Debug)]
struct Plan {
    members: u8,
    clients: usize,
    parts: bool,
    crashes: bool,
    /// One of so many messages is lost.
    loss: u64,
    /// The longest time that a message takes.
    latency: Duration,
    lag: bool,
    snapshot_behind: usize,
}

const CALM: Plan = Plan {
    members: 3,
    clients: 3,
    parts: false,
    crashes: false,
    loss: 0,
    latency: Duration::from_millis(10),
    lag: false,
    snapshot_behind: 500,
};

fn run(plan: Plan, seed: u64) -> World {
    let mut world = World::with(plan.members, seed, crate::rig::options(), |ensemble| {
        ensemble.snapshot_behind(plan.snapshot_behind)
    });
    world.latency.1 = plan.latency;
    world.loss = plan.loss;
    for _ in 0..plan.clients {
        let client = world.add_client();
        world.clients[client].wakes = Some(world.now + Duration::from_millis(client as u64 * 7));
    }
    for _ in 0..30 {
        let time = world.chance.below(2 * TICK.as_millis() as u64);
        world.run(Duration::from_millis(time));
        disturb(&mut world, plan);
    }
    // All is well again.
    world.loss = 0;
    world.heal();
    for at in 0..world.peers.len() {
        world.peers[at].set_apply_delay(Duration::ZERO);
        if world.peers[at].member().is_none() {
            world.start(at);
        }
    }
    // Who has missed something may not know yet.
    world.ticks(crate::rig::SYNC_LIMIT + 1);
    let leader = world.settle();
    for client in 0..plan.clients {
        world.clients[client].wakes = None;
        world.disconnect(client);
    }
    let client = world.client(leader);
    let written = world.call(client, &create("/end", "", CreateMode::Ephemeral));
    assert_eq!(written, Some(Ok(Reply::Path("/end".into()))), "{world:?}");
    world.call(client, &Request::CloseSession);
    // Everybody hears of it, and all sessions end.
    world.ticks(12);
    world.check_end();
    for peer in &world.peers {
        let member = peer.member().unwrap();
        assert_eq!(
            (member.sessions().len(), member.tree().ephemeral_count()),
            (0, 0)
        );
    }
    world
}

fn disturb(world: &mut World, plan: Plan) {
    let count = world.peers.len();
    let at = world.chance.below(count as u64) as usize;
    let is_up = world.peers[at].member().is_some();
    match world.chance.below(8) {
        0 if plan.parts => world.isolate(at),
        1 if plan.parts => {
            let other = world.chance.below(count as u64) as usize;
            if other != at {
                world.part(at, other);
            }
        }
        2 | 3 if plan.parts => world.heal(),
        4 if plan.crashes && is_up => world.crash(at),
        4 | 5 if plan.crashes && !is_up => world.start(at),
        6 if plan.lag => {
            let delay = world.chance.below(300);
            world.peers[at].set_apply_delay(Duration::from_millis(delay));
        }
        _ => {}
    }
}

impl World {
    /// Lets a client do something.
    pub(crate) fn act(&mut self, client: usize) {
        self.take(client);
        let pause = self.chance.below(250) + 5;
        self.clients[client].wakes = Some(self.now + Duration::from_millis(pause));
        let it = &mut self.clients[client];
        if it.closed {
            if it.is_expired || it.is_closing {
                (it.session, it.is_closing) = (None, false);
            }
            let at = self.chance.below(self.peers.len() as u64) as usize;
            return self.connect(client, at);
        }
        if !it.is_up() {
            if self.chance.below(4) == 0 {
                self.disconnect(client);
            }
            return;
        }
        let node = format!("/c{client}");
        match self.chance.below(20) {
            0..8 => {
                let it = &mut self.clients[client];
                it.tried += 1;
                let value = it.tried.to_string();
                let request = set(&node, &value);
                let xid = self.ask(client, &request);
                let tried = self.clients[client].tried;
                self.clients[client].writes.insert(xid, tried);
            }
            8..12 => {
                self.ask(client, &get(&node));
            }
            12..14 => {
                self.ask(client, &sync());
                self.ask(client, &get(&node));
            }
            14..16 => {
                let mut name = String::new();
                let _ = write!(name, "/e{client}-");
                self.ask(client, &create(&name, "", CreateMode::EphemeralSequential));
            }
            16 => {
                self.ask(client, &Request::CloseSession);
            }
            17 => self.disconnect(client),
            _ => {
                self.ask(client, &Request::Ping);
            }
        }
    }

    /// Looks at what a client was sent.
    fn take(&mut self, client: usize) {
        let node = format!("/c{client}");
        while let Some(got) = self.clients[client].got.pop_front() {
            let Got::Reply {
                xid,
                zxid,
                result,
                opcode,
            } = got
            else {
                continue;
            };
            let it = &mut self.clients[client];
            let session = it.session.unwrap().id;
            match (opcode, result) {
                // It came too late: its member was out of touch with the leader, which refuses it.
                (OpCode::SET_DATA | OpCode::CREATE, Err(ErrorCode::SESSION_EXPIRED)) => {
                    self.watch.acknowledged.push((zxid, session));
                    it.writes.remove(&xid);
                }
                (OpCode::SET_DATA, result) => {
                    self.watch.acknowledged.push((zxid, session));
                    let value = it.writes.remove(&xid).unwrap();
                    match result {
                        Ok(_) => it.written = it.written.max(value),
                        Err(ErrorCode::NO_NODE) => {
                            self.ask(client, &create(&node, "0", CreateMode::Persistent));
                        }
                        Err(code) => panic!("{code}"),
                    }
                }
                (OpCode::CREATE | OpCode::CLOSE_SESSION, _) => {
                    self.watch.acknowledged.push((zxid, session));
                }
                (OpCode::GET_DATA, Ok(Reply::Data { data, .. })) => {
                    let value = std::str::from_utf8(&data).unwrap().parse::<u64>().unwrap();
                    assert!(value <= it.tried, "{value} was never written");
                    assert!(value >= it.written || it.writes.len() > 1, "{value} is old");
                }
                (OpCode::GET_DATA, result) => {
                    assert_eq!((result, it.written), (Err(ErrorCode::NO_NODE), 0));
                }
                (OpCode::SYNC | OpCode::PING, result) => assert!(result.is_ok()),
                other => panic!("{other:?}"),
            }
        }
    }
}

const ALL: Plan = Plan {
    parts: true,
    crashes: true,
    lag: true,
    loss: 300,
    snapshot_behind: 5,
    ..CALM
};

fn runs(count: u64, plan: Plan) {
    let mut committed = 0;
    let mut acknowledged = 0;
    let mut compared = 0;
    for seed in 0..count {
        let world = std::panic::catch_unwind(|| run(plan, seed)).unwrap_or_else(|panic| {
            eprintln!("seed {seed} of {plan:?}");
            std::panic::resume_unwind(panic);
        });
        committed += world.watch.log.len();
        acknowledged += world.watch.acknowledged.len();
        compared += world.watch.compared;
    }
    eprintln!(
        "{count} runs: {committed} committed, {acknowledged} acknowledged, {compared} compared"
    );
    assert!(acknowledged as u64 > count * 5 && compared > count);
}

#[test]
fn delays_alone_lose_nothing() {
    runs(100, CALM);
}

#[test]
fn partitions_lose_nothing() {
    runs(
        300,
        Plan {
            parts: true,
            ..CALM
        },
    );
}

#[test]
fn crashes_lose_nothing() {
    runs(
        300,
        Plan {
            crashes: true,
            ..CALM
        },
    );
}

#[test]
fn all_at_once_loses_nothing() {
    runs(300, ALL);
}

#[test]
fn five_members_lose_nothing() {
    runs(
        150,
        Plan {
            members: 5,
            loss: 0,
            snapshot_behind: 20,
            latency: Duration::from_millis(60),
            ..ALL
        },
    );
}

#[test]
fn slow_networks_lose_nothing() {
    runs(
        100,
        Plan {
            parts: true,
            crashes: true,
            latency: Duration::from_millis(150),
            ..CALM
        },
    );
}

#[test]
#[ignore = "by hand: takes minutes, for those who change the protocol between members"]
fn all_at_once_loses_nothing_for_long() {
    runs(20_000, ALL);
    runs(
        5_000,
        Plan {
            members: 5,
            clients: 5,
            latency: Duration::from_millis(40),
            ..ALL
        },
    );
}
