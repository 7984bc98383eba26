//! Each kind of violation: a history that is refused, and one that differs a little and is not.

use std::time::Duration;

use proptest::prelude::*;
use zk_proto::{CreateMode, ErrorCode, EventType, Payload, Zxid};

use super::testing::{Plan, run};
use super::*;

const A: ClientNo = ClientNo(0);
const B: ClientNo = ClientNo(1);

/// A story told by hand: one log, two clients, a millisecond for each event.
struct Story {
    history: History,
    log: CommittedLog,
    tree: Tree,
}

impl Story {
    fn new() -> Self {
        let (history, log, tree) = (History::new(), CommittedLog::default(), Tree::new());
        let mut story = Self { history, log, tree };
        for client in [A, B] {
            let session = session(client);
            story.commit(session, Txn::Open);
            let standing = Standing::Connected {
                session,
                until: None,
            };
            story.stand(client, standing);
        }
        story
    }

    fn now(&self) -> Duration {
        let count = self.history.events().len() + self.log.entries.len();
        Duration::from_millis(count as u64)
    }

    fn commit(&mut self, session: SessionId, txn: Txn) -> Zxid {
        let zxid = Zxid(self.log.entries.len() as i64 + 1);
        let at = self.now();
        self.log.entries.push(Entry {
            zxid,
            session,
            at,
            millis: 0,
            txn,
        });
        zxid
    }

    fn push(&mut self, event: Event) {
        self.history.push(self.now(), event);
    }

    fn stand(&mut self, client: ClientNo, standing: Standing) {
        self.push(Event::Stands { client, standing });
    }

    fn begin(&mut self, client: ClientNo, write: &Write) -> OpNo {
        self.history
            .invoke(self.now(), client, Command::Write(write.clone()))
    }

    /// The servers carry a write out.
    fn apply(&mut self, client: ClientNo, write: &Write) -> Reply {
        let stamp = Stamp {
            zxid: Zxid(self.log.entries.len() as i64 + 1),
            millis: 0,
        };
        match self.tree.write(session(client), stamp, write) {
            Ok((reply, effects)) => {
                self.commit(session(client), Txn::Change(effects));
                reply
            }
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    fn end(&mut self, op: OpNo, ended: Ended) {
        self.history.end(self.now(), op, ended, None);
    }

    fn write(&mut self, client: ClientNo, write: &Write) -> Reply {
        let op = self.begin(client, write);
        let reply = self.apply(client, write);
        self.end(op, Ended::Reply(reply.clone()));
        reply
    }

    fn read(&mut self, client: ClientNo, strength: Strength, reply: Reply) -> OpNo {
        let command = Command::Read(Read::Get("/a".to_owned()), strength);
        let op = self.history.invoke(self.now(), client, command);
        self.end(op, Ended::Reply(reply));
        op
    }

    fn get(&self) -> Reply {
        self.tree.read(&Read::Get("/a".to_owned()))
    }

    fn quiet(&mut self) {
        let zxid = Zxid(self.log.entries.len() as i64);
        self.push(Event::Quiet { zxid });
    }

    fn check(&self) -> Result<Summary, Violation> {
        check_all(&self.history, &self.log, options())
    }

    #[track_caller]
    fn refused(&self, rule: Rule) {
        let violation = self.check().expect_err("this is to be refused");
        assert_eq!(
            violation.rule, rule,
            "{violation}\n{}{}",
            self.history, self.log
        );
    }

    #[track_caller]
    fn accepted(&self) {
        if let Err(violation) = self.check() {
            panic!("{violation}\n{}{}", self.history, self.log);
        }
    }
}

fn options() -> Options {
    Options {
        budget: 5_000,
        ..Options::default()
    }
}

fn session(client: ClientNo) -> SessionId {
    SessionId(i64::from(client.0) + 100)
}

fn create() -> Write {
    Write::Create {
        path: "/a".to_owned(),
        data: Payload::null(),
        mode: CreateMode::Persistent,
    }
}

fn set(data: &'static [u8]) -> Write {
    Write::SetData {
        path: "/a".to_owned(),
        data: Payload::from(bytes::Bytes::from_static(data)),
        version: -1,
    }
}

/// Begins with a node, and ends a write of it like this, done or not.
fn ended(done: bool, ended: Ended) -> Story {
    let mut story = Story::new();
    story.write(A, &create());
    let op = story.begin(A, &set(b"1"));
    if done {
        story.apply(A, &set(b"1"));
    }
    story.end(op, ended);
    story
}

#[test]
fn outcomes_are_true() {
    ended(true, Ended::Unknown).accepted();
    ended(false, Ended::Unknown).accepted();
    ended(true, Ended::Applied).accepted();
    ended(false, Ended::Applied).refused(Rule::Applied);
    ended(false, Ended::NotApplied).accepted();
    ended(true, Ended::NotApplied).refused(Rule::NotApplied);
    ended(false, Ended::Reply(Reply::Set(None))).refused(Rule::Applied);
}

#[test]
fn nothing_is_done_twice_or_unasked() {
    let mut story = ended(true, Ended::Unknown);
    story.apply(A, &set(b"1"));
    story.refused(Rule::NotApplied);
    let mut story = ended(true, Ended::Unknown);
    story.apply(A, &set(b"2"));
    story.refused(Rule::NotApplied);
    let mut story = ended(true, Ended::Unknown);
    story.write(A, &set(b"2"));
    story.accepted();
}

#[test]
fn every_operation_ends_once() {
    let mut story = Story::new();
    let op = story.begin(A, &create());
    story.refused(Rule::EndsOnce);
    story.end(op, Ended::NotApplied);
    story.accepted();
    story.end(op, Ended::Unknown);
    story.refused(Rule::EndsOnce);
}

#[test]
fn results_are_those_of_the_log() {
    let mut story = Story::new();
    let op = story.begin(A, &create());
    let reply = story.apply(A, &create());
    let mut wrong = story.history.clone();
    let Reply::Created { path, stat } = reply.clone() else {
        panic!("{reply}")
    };
    let stat = stat.map(|stat| zk_proto::Stat { version: 5, ..stat });
    wrong.end(
        story.now(),
        op,
        Ended::Reply(Reply::Created { path, stat }),
        None,
    );
    story.end(op, Ended::Reply(reply));
    story.accepted();
    story.history = wrong;
    story.refused(Rule::Result);
}

#[test]
fn the_log_follows_from_the_empty_tree() {
    let mut story = Story::new();
    story.write(A, &create());
    let delete = |path: &str| {
        Txn::Change(vec![Effect::Delete {
            path: path.to_owned(),
        }])
    };
    let mut good = story.log.clone();
    story.commit(SessionId(9), delete("/b"));
    story.refused(Rule::Log);
    good.entries.push(story.log.entries.pop().unwrap());
    good.entries.last_mut().unwrap().txn = delete("/a");
    story.log = good;
    story.accepted();
    story.log.entries.last_mut().unwrap().zxid = Zxid(1);
    story.refused(Rule::Log);
}

#[test]
fn real_time_is_the_order_of_zxids() {
    let tell = |first_ends_before: bool| {
        let mut story = Story::new();
        let at = Duration::from_secs(1);
        let a = story.history.invoke(at, A, Command::Write(create()));
        let ended = Ended::Reply(Reply::Created {
            path: "/a".to_owned(),
            stat: None,
        });
        let b = if first_ends_before {
            story.history.end(at, a, ended, None);
            story.history.invoke(at, B, Command::Write(set(b"1")))
        } else {
            let b = story.history.invoke(at, B, Command::Write(set(b"1")));
            story.history.end(at, a, ended, None);
            b
        };
        let refusal = Reply::Refused(ErrorCode::NO_NODE.into());
        story.history.end(at, b, Ended::Reply(refusal), None);
        story.apply(A, &create());
        story.log.entries.last_mut().unwrap().at = at;
        story
    };
    tell(false).accepted();
    tell(true).refused(Rule::Linearizable);
}

#[test]
fn reads_go_forwards_and_strong_ones_keep_up_with_everybody() {
    let tell = |client, strength| {
        let mut story = Story::new();
        story.write(A, &create());
        let old = story.get();
        story.write(A, &set(b"1"));
        story.read(client, strength, old);
        story
    };
    tell(B, Strength::Plain).accepted();
    tell(A, Strength::Plain).refused(Rule::Reads);
    tell(B, Strength::Linearizable).refused(Rule::Reads);
    tell(B, Strength::Synced).refused(Rule::Reads);
    let story = tell(B, Strength::Synced);
    let deposed = Options {
        deposed: Deposed::Possible,
        ..options()
    };
    check_all(&story.history, &story.log, deposed).unwrap();
}

#[test]
fn a_read_shows_what_was_there() {
    let mut story = Story::new();
    story.write(A, &create());
    let Reply::Data { stat, .. } = story.get() else {
        panic!("it is there")
    };
    let invented = Reply::Data {
        data: Payload::from(bytes::Bytes::from_static(b"?")),
        stat,
    };
    story.read(B, Strength::Plain, story.get());
    story.accepted();
    story.read(B, Strength::Plain, invented);
    story.refused(Rule::Reads);
}

/// A watched get, and a change behind it.
fn watched() -> (Story, WatchNo) {
    let mut story = Story::new();
    story.write(A, &create());
    let op = story.read(B, Strength::Plain, story.get());
    let watch = story
        .history
        .watch(story.now(), B, "/a", WatchKind::Data, op);
    story.write(A, &set(b"1"));
    (story, watch)
}

#[test]
fn no_change_is_lost_on_a_one_shot() {
    let (mut story, watch) = watched();
    story.accepted();
    let mut silent = watched().0;
    silent.quiet();
    silent.refused(Rule::WatchLost);
    story.history.watched(
        story.now(),
        watch,
        EventType::NODE_DATA_CHANGED,
        "/a",
        Zxid(4),
    );
    story.quiet();
    story.accepted();
    story.history.watched(
        story.now(),
        watch,
        EventType::NODE_DATA_CHANGED,
        "/a",
        Zxid(4),
    );
    story.refused(Rule::WatchInvented);
}

#[test]
fn a_one_shot_invents_nothing_and_ends_with_its_session_only() {
    for (kind, path, zxid) in [
        (EventType::NODE_DELETED, "/a", 4),
        (EventType::NODE_DATA_CHANGED, "/b", 4),
        (EventType::NODE_DATA_CHANGED, "/a", 3),
    ] {
        let (mut story, watch) = watched();
        story
            .history
            .watched(story.now(), watch, kind, path, Zxid(zxid));
        story.refused(Rule::WatchInvented);
    }
    let (mut story, watch) = watched();
    story.push(Event::WatchEnded { watch });
    story.refused(Rule::WatchLost);
    let (mut story, watch) = watched();
    story.stand(B, Standing::Lost);
    story.push(Event::WatchEnded { watch });
    story.quiet();
    story.accepted();
    story.push(Event::WatchEnded { watch });
    story.refused(Rule::WatchEnd);
}

#[test]
fn an_event_is_before_the_reply_that_shows_its_change() {
    for early in [true, false] {
        let (mut story, watch) = watched();
        let kind = EventType::NODE_DATA_CHANGED;
        if early {
            story
                .history
                .watched(story.now(), watch, kind, "/a", Zxid(4));
        }
        story.read(B, Strength::Plain, story.get());
        if early {
            story.accepted();
        } else {
            story
                .history
                .watched(story.now(), watch, kind, "/a", Zxid(4));
            story.refused(Rule::WatchOrder);
        }
    }
}

/// A stream of three changes, 4 to 6, of which these are told.
fn stream(told: &[i64], gap: Option<(usize, i64, i64)>) -> Story {
    let mut story = Story::new();
    story.write(A, &create());
    let since = Some(Zxid(3));
    let watch = story
        .history
        .stream(story.now(), B, "/a", WatchKind::Persistent, since);
    for data in [b"1", b"2", b"3"] {
        story.write(A, &set(data));
    }
    for at in 0..=told.len() {
        if let Some((_, from, to)) = gap.filter(|(place, ..)| *place == at) {
            let (from, to) = (Zxid(from), Zxid(to));
            story.push(Event::Gap { watch, from, to });
        }
        if let Some(zxid) = told.get(at) {
            let kind = EventType::NODE_DATA_CHANGED;
            story
                .history
                .watched(story.now(), watch, kind, "/a", Zxid(*zxid));
        }
    }
    story.quiet();
    story
}

#[test]
fn events_and_gaps_of_a_stream_cover_all_changes() {
    stream(&[4, 5, 6], None).accepted();
    stream(&[4, 6], None).refused(Rule::WatchLost);
    stream(&[4, 5], None).refused(Rule::WatchLost);
    stream(&[4, 6, 5], None).refused(Rule::WatchLost);
    stream(&[4, 5, 5, 6], None).refused(Rule::WatchInvented);
    stream(&[4, 5, 6, 7], None).refused(Rule::WatchInvented);
    stream(&[4, 6], Some((1, 4, 5))).accepted();
    stream(&[4], Some((1, 4, 5))).refused(Rule::WatchLost);
    stream(&[4], Some((1, 4, 6))).accepted();
    stream(&[4], Some((1, 5, 6))).refused(Rule::WatchLost);
    stream(&[4, 5, 6], Some((1, 4, 3))).refused(Rule::WatchInvented);
}

#[test]
fn a_session_lives_as_long_as_its_client_says() {
    let tell = |until: u64, asked: bool| {
        let mut story = Story::new();
        let (session, until) = (session(A), Some(Duration::from_millis(until)));
        story.stand(A, Standing::Connected { session, until });
        if asked {
            story.push(Event::Closing { client: A });
        }
        story.commit(session, Txn::Close);
        story
    };
    let dropped = tell(0, false).log.entries.last().unwrap().at.as_millis();
    let dropped = u64::try_from(dropped).unwrap();
    tell(dropped, false).accepted();
    tell(dropped + 10, false).refused(Rule::SessionTruth);
    tell(dropped + 10, true).accepted();
}

#[test]
fn leaks_are_named() {
    check_leaks(&[("watches", 0), ("requests", 0)]).unwrap();
    let violation = check_leaks(&[("watches", 2), ("requests", 0)]).unwrap_err();
    assert_eq!(
        (violation.rule, &*violation.text),
        (Rule::Leak, "watches = 2")
    );
}

/// Figures, for whoever changes a check: run it with --release --run-ignored all --no-capture.
#[test]
#[ignore = "says how long things take"]
fn how_long_it_takes() {
    for faults in [0, 10, 25, 50] {
        for seed in 1..=6 {
            let plan = Plan {
                clients: 10,
                operations: 5_000,
                faults,
                ..Plan::new(seed)
            };
            let (history, log) = run(plan);
            let unknown = history
                .events()
                .iter()
                .filter(|(_, event)| {
                    matches!(
                        event,
                        Event::Ended {
                            ended: Ended::Unknown,
                            ..
                        }
                    )
                })
                .count();
            let begun = std::time::Instant::now();
            let without = check_all(
                &history,
                &log,
                Options {
                    budget: 0,
                    ..Options::default()
                },
            );
            let basic = begun.elapsed();
            let begun = std::time::Instant::now();
            let summary = check_all(&history, &log, Options::default());
            println!(
                "faults {faults} seed {seed} unknown {unknown} without search {basic:?} all {:?} {:?} {:?}",
                begun.elapsed(),
                without.err(),
                summary
            );
        }
    }
}

#[test]
fn five_thousand_operations_of_ten_clients_are_judged() {
    for seed in [2, 3] {
        let plan = Plan {
            clients: 10,
            operations: 5_000,
            ..Plan::new(seed)
        };
        let (history, log) = run(plan);
        let summary = check_all(&history, &log, options()).unwrap();
        assert_eq!(summary.operations, 5_000);
        assert!(summary.parts > 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_right_world_leaves_behind_is_accepted(seed: u64) {
        let (history, log) = run(Plan::new(seed));
        match check_all(&history, &log, options()) {
            Ok(summary) => prop_assert!(summary.undecided == 0 && (summary.parts > 0 || summary.applied == 0)),
            Err(violation) => panic!("{history}\n{log}\n{violation}"),
        }
    }

    #[test]
    fn a_write_that_was_answered_is_missed(seed: u64, pick: usize) {
        let (history, mut log) = run(Plan { faults: 0, ..Plan::new(seed) });
        let operations = history.operations().unwrap();
        let matching = outcomes::match_up(&history, &operations, &log, Unrecorded::Nothing).unwrap();
        let answered: Vec<usize> = matching
            .entries
            .iter()
            .filter(|(at, _)| matches!(operations[**at].ended, Some((_, Ended::Reply(_)))))
            .map(|(_, entry)| *entry)
            .collect();
        prop_assume!(!answered.is_empty());
        log.entries.remove(answered[pick % answered.len()]);
        prop_assert!(check_all(&history, &log, options()).is_err());
    }

    #[test]
    fn a_result_of_another_write_is_noticed(seed: u64, pick: usize) {
        let (mut history, log) = run(Plan::new(seed));
        let with_stat = |event: &Event| matches!(event,
            Event::Ended { ended: Ended::Reply(Reply::Set(Some(_)) | Reply::Data { .. }), .. });
        let places: Vec<usize> = (0..history.events().len())
            .filter(|at| with_stat(&history.events()[*at].1))
            .collect();
        prop_assume!(!places.is_empty());
        let place = places[pick % places.len()];
        if let Event::Ended { ended: Ended::Reply(Reply::Set(Some(stat)) | Reply::Data { stat, .. }), .. } =
            &mut history.events_mut()[place].1
        {
            stat.version += 1;
        }
        prop_assert!(check_all(&history, &log, options()).is_err());
    }

    #[test]
    fn an_event_that_is_taken_away_is_missed(seed: u64, pick: usize) {
        let (mut history, log) = run(Plan { faults: 0, headers: true, ..Plan::new(seed) });
        let places: Vec<usize> = (0..history.events().len())
            .filter(|at| matches!(history.events()[*at].1, Event::Watched { .. }))
            .collect();
        prop_assume!(!places.is_empty());
        history.events_mut().remove(places[pick % places.len()]);
        prop_assert!(check_all(&history, &log, options()).is_err());
    }
}
