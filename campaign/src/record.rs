//! [`Recorder`]: what all clients of a run do and see, in the order in which they could see it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_proto::EventType;
use zk_sim::check::{
    ClientNo, Command, Ended, Event, History, OpNo, Reply, Standing, WatchKind, WatchNo,
};

/// Shared by all clients of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Record>>);

/// Everything that is known of a run but for the servers' log.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) history: History,
    clients: u32,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Promises that were broken, of those that no checker knows.
    pub(crate) broken: Vec<String>,
    /// Operations that have not ended, and the first number of the program whose they are.
    pub(crate) open: BTreeMap<OpNo, ClientNo>,
}

impl Recorder {
    /// The record, while nothing is called.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client that was not there before.
    pub(crate) fn client(&self) -> ClientNo {
        let mut record = self.lock();
        record.clients += 1;
        ClientNo(record.clients - 1)
    }

    pub(crate) fn invoke(
        &self,
        at: Duration,
        (client, program): (ClientNo, ClientNo),
        command: Command,
    ) -> OpNo {
        let mut record = self.lock();
        let op = record.history.invoke(at, client, command);
        record.open.insert(op, program);
        op
    }

    pub(crate) fn end(&self, at: Duration, op: OpNo, ended: Ended) {
        let mut record = self.lock();
        record.open.remove(&op);
        record.count(kind_of(&ended));
        record.history.end(at, op, ended, None);
    }

    pub(crate) fn watch(
        &self,
        at: Duration,
        client: ClientNo,
        path: &str,
        kind: WatchKind,
        op: Option<OpNo>,
    ) -> WatchNo {
        let mut record = self.lock();
        record.count("watches set");
        match op {
            Some(op) => record.history.watch(at, client, path, kind, op),
            None => record.history.stream(at, client, path, kind, None),
        }
    }

    pub(crate) fn stands(&self, at: Duration, client: ClientNo, standing: Standing) {
        self.push(at, Event::Stands { client, standing });
    }

    pub(crate) fn push(&self, at: Duration, event: Event) {
        self.lock().history.push(at, event);
    }

    pub(crate) fn count(&self, what: &'static str) {
        self.lock().count(what);
    }

    /// A promise is broken that no checker knows.
    pub(crate) fn broken(&self, at: Duration, what: impl Into<String>) {
        let what = format!("at {at:?}: {}", what.into());
        self.lock().broken.push(what);
    }
}

impl Record {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn watched(
        &mut self,
        at: Duration,
        watch: WatchNo,
        (kind, path): (EventType, &str),
        zxid: zk_proto::Zxid,
    ) {
        self.count("events seen");
        self.history.watched(at, watch, kind, path, zxid);
    }
}

fn kind_of(ended: &Ended) -> &'static str {
    match ended {
        Ended::Reply(Reply::Refused(_)) => "operations refused",
        Ended::Reply(_) => "operations answered",
        Ended::Applied => "operations applied without answer",
        Ended::NotApplied => "operations not applied",
        Ended::Unknown | _ => "operations unknown",
    }
}
