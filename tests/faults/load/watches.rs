//! Watches of every kind: each fires, or says why not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zk::{AsyncResult, Client, Error, EventType, Notice, SessionId, Stat, Watch, WatchStream};

use crate::support::{LIMIT, next, session_of};

/// Changes under way at a time.
const BATCH: usize = 10_000;

/// Watches on nodes that are all changed later.
pub(crate) struct Set {
    session: SessionId,
    once: Vec<(String, EventType, Watch)>,
    streams: Vec<(String, WatchStream)>,
}

impl Set {
    /// So many watches of each of five kinds, on nodes below `root`.
    pub(crate) fn new(watcher: &Client, changer: &Client, root: &str, each: usize) -> Self {
        let paths = |kind: &str| {
            let path = |number| format!("{root}/{kind}/{number}");
            (0..each).map(path).collect::<Vec<_>>()
        };
        for kind in ["data", "exist", "child", "persistent", "recursive"] {
            changer
                .ensure_path(&format!("{root}/{kind}"))
                .wait()
                .unwrap();
            if kind != "exist" {
                all(&paths(kind), |path| changer.create(path, b"").send());
            }
        }
        watcher.sync("/").wait().unwrap();
        let data = all(&paths("data"), |path| watcher.get(path).watched().send());
        let data = data.into_iter().map(|(_, _, watch)| watch);
        let exist = all(&paths("exist"), |path| {
            watcher.exists(path).watched().send()
        });
        let exist = exist.into_iter().map(|(_, watch)| watch);
        let child = all(&paths("child"), |path| {
            watcher.get_children(path).watched().send()
        });
        let child = child.into_iter().map(|(_, watch)| watch);
        let named = |kind, event: EventType| paths(kind).into_iter().map(move |path| (path, event));
        let names = named("data", EventType::NODE_DATA_CHANGED)
            .chain(named("exist", EventType::NODE_CREATED))
            .chain(named("child", EventType::NODE_CHILDREN_CHANGED));
        let once = names.zip(data.chain(exist).chain(child));
        let once = once.map(|((path, event), watch)| (path, event, watch));
        let persistent = all(&paths("persistent"), |path| watcher.add_watch(path).send());
        let recursive = all(&paths("recursive"), |path| {
            watcher.add_watch(path).recursive().send()
        });
        let paths = paths("persistent").into_iter().chain(paths("recursive"));
        Self {
            session: session_of(watcher),
            once: once.collect(),
            streams: paths.zip(persistent.into_iter().chain(recursive)).collect(),
        }
    }

    /// Changes a node here and there, one after the other, until it is over; what fails is left to
    /// [`check`](Self::check).
    pub(crate) fn churn(&self, changer: &Client, over: &AtomicBool) -> usize {
        let mut done = 0;
        for (path, event, _) in self.once.iter().step_by(7) {
            if over.load(Ordering::SeqCst) {
                break;
            }
            done += usize::from(change(changer, path, *event).wait().is_ok());
            std::thread::sleep(Duration::from_millis(5));
        }
        done
    }

    /// Changes everything, and expects that each watch fires, or has ended with its session. Returns
    /// how many have ended.
    pub(crate) fn check(self, watcher: &Client, changer: &Client) -> usize {
        let once = self.once.iter().map(|(path, event, _)| (path, *event));
        let streams = self.streams.iter();
        let streams = streams.map(|(path, _)| (path, EventType::NODE_DATA_CHANGED));
        let changes: Vec<_> = once.chain(streams).collect();
        changes
            .chunks(BATCH)
            .for_each(|batch| insist(changer, batch));
        let mut ended = 0;
        let mut has_ended = |path: &str, why: &dyn std::fmt::Debug| {
            let now = watcher.client_id().map(|(session, _)| session);
            assert_ne!(now, Some(self.session), "{path}: {why:?}");
            ended += 1;
        };
        for (path, event, mut watch) in self.once {
            match watch.wait_for(LIMIT).expect("it fires or ends") {
                Ok(fired) => assert_eq!((fired.kind, &fired.path), (event, &path)),
                Err(error @ Error::WatchEnded(_)) => has_ended(&path, &error),
                Err(error) => panic!("{path}: {error}"),
            }
        }
        for (path, mut stream) in self.streams {
            loop {
                match next(&mut stream) {
                    Notice::Event(event) => {
                        assert_eq!(
                            (event.kind, &event.path),
                            (EventType::NODE_DATA_CHANGED, &path)
                        );
                        break;
                    }
                    // Says that there is to be read what may have gone unseen.
                    Notice::Gap { .. } => {
                        if watcher.get(&path).wait().unwrap().1.version > 0 {
                            break;
                        }
                    }
                    Notice::End(why) => {
                        has_ended(&path, &why);
                        break;
                    }
                    other => panic!("{path}: {other:?}"),
                }
            }
        }
        ended
    }
}

/// A change under way.
enum Change {
    Set(AsyncResult<Stat>),
    Create(AsyncResult<String>),
}

impl Change {
    fn wait(self) -> Result<(), Error> {
        match self {
            Self::Set(result) => result.wait().map(drop),
            Self::Create(result) => result.wait().map(drop),
        }
    }
}

/// Changes all of these, again and again where the connection is lost.
fn insist(changer: &Client, changes: &[(&String, EventType)]) {
    let mut left = changes.to_vec();
    while !left.is_empty() {
        let sent = left
            .iter()
            .map(|(path, event)| change(changer, path, *event));
        let results: Vec<_> = sent.collect();
        let mut results = results.into_iter().map(Change::wait);
        left.retain(|(path, _)| match results.next().expect("one each") {
            // It was changed before.
            Ok(()) | Err(Error::NodeExists) => false,
            Err(error) => {
                let again = matches!(error, Error::ConnectionLoss { .. });
                assert!(again, "{path}: {error}");
                true
            }
        });
    }
}

/// Sends what lets a watch for this event fire.
fn change(changer: &Client, path: &str, event: EventType) -> Change {
    match event {
        EventType::NODE_DATA_CHANGED => Change::Set(changer.set(path, b"changed").send()),
        EventType::NODE_CREATED => Change::Create(changer.create(path, b"").send()),
        _ => Change::Create(changer.create(&format!("{path}/below"), b"").send()),
    }
}

/// Sends one call for each path, then waits for all.
fn all<T: Send + 'static>(paths: &[String], send: impl Fn(&str) -> AsyncResult<T>) -> Vec<T> {
    let pending: Vec<_> = paths.iter().map(|path| send(path)).collect();
    let results = pending.into_iter().map(AsyncResult::wait);
    results.map(Result::unwrap).collect()
}
