//! Each kind of violation: a history that is refused, and one that differs a little and is not.

use std::time::Duration;

use zk_proto::{CreateMode, Payload, Zxid};

use super::*;

mod generated;
mod matching;
mod mutations;
mod order;
mod results;
mod watches;

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
