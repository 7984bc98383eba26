//! Calls of a session in any order, on a network and with servers that are mostly honest.
//!
//! The steps are those of `zk-rig`, told by few bytes each, so that a mutation stays in its step.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use zk_rig::ops::{CODES, Op};
use zk_rig::options::Options;
use zk_rig::registry::Flavour;
use zk_rig::run::{Case, transcript};
use zk_rig::world::Cuts;

/// No case has more steps: what takes longer to happen takes too long to find.
const MOST: usize = 200;

/// What an input says.
#[derive(Arbitrary, Debug)]
struct Input {
    options: Choice,
    check: Check,
    replacing: bool,
    cooperative: bool,
    steps: Vec<Step>,
}

/// What is looked at besides the promises to the driver. Each but the first takes twice the time.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Check {
    Promises,
    Deterministic,
    CutAnyhow(u32),
    ByteByByte,
}

#[derive(Arbitrary, Debug)]
struct Choice {
    members: u8,
    timeout: u8,
    flags: u8,
    auth: u8,
    tries: u8,
    connect_timeout: u8,
    give_up: u8,
    max_queued: (u8, u8),
    limits: u8,
    mechanism: u8,
    seed: u8,
}

/// The first variants are the frequent ones.
#[derive(Arbitrary, Debug)]
enum Step {
    Submit(Submit),
    Submitting(Submit),
    Turns(u8),
    Turning(u8),
    Asked(Asked),
    Network(Network),
    Carried(Carried),
    Wait(u8),
    Servers(Servers),
    Broken(Broken),
}

#[derive(Arbitrary, Debug)]
struct Submit {
    body: u8,
    flags: u8,
    deadline: u8,
}

#[derive(Arbitrary, Debug)]
enum Asked {
    Cancel(u8),
    Unwatch(u8),
    SetTimer(u8),
    CancelTimer(u8),
    SetServers(u8),
    SetFallback(u8),
    KeepAlive(bool),
    Reconnect,
    Close(u8),
    Detach(u8),
}

#[derive(Arbitrary, Debug)]
enum Network {
    Connected(u8),
    Refuse(u8),
    Cut(u8, bool),
    Stale(u8, u8),
    Sasl(u8),
    Skew(u8),
    Timeout,
    Drain,
}

#[derive(Arbitrary, Debug)]
enum Carried {
    Transmit(u8, u8),
    Serve(u8, u8),
    Deliver(u8, u8, u8),
}

#[derive(Arbitrary, Debug)]
enum Servers {
    Kill,
    Substitute,
    Isolate(u8, bool),
    Heal(u8),
    Code(u8, u8),
    Write(bool),
}

#[derive(Arbitrary, Debug)]
enum Broken {
    Garbage(u8, [u8; 6]),
    Corrupt(u8, u8, u8),
    CorruptTwice(u8, [(u8, u8); 2]),
}

/// A session among mostly honest servers.
///
/// # Panics
/// If it breaks a promise, or if the same input does not lead to the same.
pub fn session_ops(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let check = input.check;
    let case = input.case();
    let once = transcript(&case, Cuts::None);
    let cuts = match check {
        Check::Promises => return,
        Check::Deterministic => Cuts::None,
        Check::CutAnyhow(seed) => Cuts::Random(seed),
        Check::ByteByByte => Cuts::Every(1),
    };
    let again = transcript(&case, cuts);
    assert!(once == again, "{}", difference(&once, &again));
}

/// The case that an input of [`session_ops`] stands for, to be written down as a test.
pub fn session_case(input: &[u8]) -> Option<Case> {
    let input = Input::arbitrary_take_rest(Unstructured::new(input));
    input.ok().map(Input::case)
}

fn difference(once: &str, again: &str) -> String {
    let mut lines = once.lines().zip(again.lines());
    match lines.find(|(one, other)| one != other) {
        Some((one, other)) => format!("not the same again:\n  {one}\n  {other}"),
        None => "one ends before the other".to_owned(),
    }
}

/// Short times and long ones: each step is a fourth more than the one before.
fn duration(byte: u8) -> Duration {
    match byte {
        255 => Duration::MAX,
        254 => Duration::from_secs(1 << 40),
        0..64 => Duration::from_millis(u64::from(byte) * 40),
        _ => Duration::from_secs_f64(2.5 * 1.05_f64.powi(i32::from(byte) - 64)),
    }
}

/// Before and after the beginning, which the rig puts 20 s after its epoch.
fn moment(byte: u8) -> i64 {
    i64::from(byte) * 100 - 3000
}

fn few(byte: u8) -> usize {
    1 + usize::from(byte % 20)
}

impl Input {
    fn case(self) -> Case {
        let mut ops: Vec<Op> = self.steps.into_iter().map(Step::op).collect();
        ops.truncate(MOST);
        Case {
            options: self.options.options(),
            flavour: if self.replacing {
                Flavour::Replacing
            } else {
                Flavour::Coexisting
            },
            ops,
            cooperative: self.cooperative,
        }
    }
}

impl Choice {
    fn options(&self) -> Options {
        let flag = |bit: u8| self.flags & (1 << bit) != 0;
        let limit = |bit: u8, low: usize, high: usize| {
            if self.limits & (1 << bit) == 0 {
                high
            } else {
                low + usize::from(self.max_queued.1)
            }
        };
        let seldom = |byte: u8| (byte >= 192).then(|| duration((byte - 192) * 4));
        Options {
            members: 1 + usize::from(self.members % 3),
            timeout: match self.timeout {
                0..128 => 4000,
                128..192 => 6000,
                192..224 => 40_000,
                byte => 1 + u64::from(byte - 224) * 3000,
            },
            resume: flag(0) && flag(1) && flag(2),
            auth: usize::from(self.auth % 3),
            read_only: flag(3),
            tries: (self.tries >= 224).then(|| u32::from(self.tries - 223)),
            connect_timeout: seldom(self.connect_timeout).map(|d| d + Duration::from_millis(1)),
            give_up: seldom(self.give_up),
            max_queued: (
                1 + usize::from(self.max_queued.0),
                100 + usize::from(self.max_queued.1) * 20,
            ),
            max_request: limit(0, 40, 1_048_575),
            max_reply: limit(1, 20, 64 << 20),
            chunk: limit(2, 1, 65_536),
            max_events: limit(3, 1, 16_384),
            layered: flag(4) && flag(5) && flag(6),
            mechanism: match self.mechanism {
                0..208 => None,
                byte => Some(byte % 2 == 0),
            },
            seed: self.seed,
        }
    }
}

impl Step {
    fn op(self) -> Op {
        match self {
            Self::Submit(submit) | Self::Submitting(submit) => submit.op(),
            Self::Turns(n) | Self::Turning(n) => Op::Turns(1 + usize::from(n % 8)),
            Self::Asked(asked) => asked.op(),
            Self::Network(network) => network.op(),
            Self::Carried(carried) => carried.op(),
            Self::Wait(time) => Op::Advance(duration(time.min(230))),
            Self::Servers(servers) => servers.op(),
            Self::Broken(broken) => broken.op(),
        }
    }
}

impl Submit {
    fn op(&self) -> Op {
        let flag = |bit: u8| self.flags & (1 << bit) != 0;
        Op::Submit {
            body: self.body % 20,
            shared: flag(0),
            watch: flag(1),
            chroot: flag(2),
            deadline: flag(3).then(|| moment(self.deadline)),
            urgent: flag(4) && flag(5),
        }
    }
}

impl Asked {
    fn op(self) -> Op {
        match self {
            Self::Cancel(which) => Op::Cancel(usize::from(which)),
            Self::Unwatch(which) => Op::Unwatch(usize::from(which)),
            Self::SetTimer(at) => Op::SetTimer(moment(at)),
            Self::CancelTimer(which) => Op::CancelTimer(usize::from(which)),
            Self::SetServers(mask) => Op::SetServers(mask),
            Self::SetFallback(mask) => Op::SetFallback(mask),
            Self::KeepAlive(sync) => Op::KeepAlive(sync),
            Self::Reconnect => Op::Reconnect,
            Self::Close(limit) => Op::Close(duration(limit)),
            Self::Detach(limit) => Op::Detach(duration(limit)),
        }
    }
}

impl Network {
    fn op(self) -> Op {
        match self {
            Self::Connected(conn) => Op::Connected(usize::from(conn)),
            Self::Refuse(conn) => Op::Refuse(usize::from(conn)),
            Self::Cut(conn, served) => Op::Cut(usize::from(conn), served),
            Self::Stale(conn, kind) => Op::Stale(usize::from(conn % 8), kind),
            Self::Sasl(good) => Op::Sasl(good < 240),
            Self::Skew(time) => Op::Skew(Duration::from_millis(u64::from(time) * 35)),
            Self::Timeout => Op::Timeout,
            Self::Drain => Op::Drain,
        }
    }
}

impl Carried {
    fn op(self) -> Op {
        match self {
            Self::Transmit(conn, times) => Op::Transmit(usize::from(conn), few(times)),
            Self::Serve(conn, times) => Op::Serve(usize::from(conn), few(times)),
            Self::Deliver(conn, times, piece) => {
                let piece = match piece {
                    0..128 => usize::MAX,
                    _ => usize::from(piece - 127),
                };
                Op::Deliver(usize::from(conn), few(times), piece)
            }
        }
    }
}

impl Servers {
    fn op(self) -> Op {
        match self {
            Self::Kill => Op::Kill,
            Self::Substitute => Op::Substitute,
            Self::Isolate(member, read_only) => Op::Isolate(usize::from(member), read_only),
            Self::Heal(member) => Op::Heal(usize::from(member)),
            Self::Code(conn, code) => Op::Code(usize::from(conn), usize::from(code) % CODES.len()),
            Self::Write(delete) => Op::Write(delete),
        }
    }
}

impl Broken {
    fn op(self) -> Op {
        match self {
            Self::Garbage(conn, bytes) => Op::Garbage(usize::from(conn), bytes.to_vec()),
            Self::Corrupt(conn, at, byte) => {
                Op::Corrupt(usize::from(conn), vec![(usize::from(at), byte)])
            }
            Self::CorruptTwice(conn, changes) => {
                let changes = changes.map(|(at, byte)| (usize::from(at), byte));
                Op::Corrupt(usize::from(conn), changes.to_vec())
            }
        }
    }
}
