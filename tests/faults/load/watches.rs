//! Watches of every kind: each fires, or says why not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zk::{AsyncResult, Client, Error, EventType, Notice, SessionId, Stat, Watch, WatchStream};

use crate::faults::surely;
use crate::support::{LIMIT, next, session_of, wait_until};

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
            let parent = format!("{root}/{kind}");
            surely(changer, changer.ensure_path(&parent))
                .wait()
                .unwrap();
            if kind != "exist" {
                all(&paths(kind), |path| {
                    surely(changer, changer.ensure_path(path))
                });
            }
        }
        surely(watcher, watcher.sync("/")).wait().unwrap();
        let session = session_of(watcher);
        let data = all(&paths("data"), |path| {
            surely(watcher, watcher.get(path).watched())
        });
        let data = data.into_iter().map(|(_, _, watch)| watch);
        let exist = all(&paths("exist"), |path| {
            surely(watcher, watcher.exists(path).watched())
        });
        let exist = exist.into_iter().map(|(_, watch)| watch);
        let child = all(&paths("child"), |path| {
            surely(watcher, watcher.get_children(path).watched())
        });
        let child = child.into_iter().map(|(_, watch)| watch);
        let named = |kind, event: EventType| paths(kind).into_iter().map(move |path| (path, event));
        let names = named("data", EventType::NODE_DATA_CHANGED)
            .chain(named("exist", EventType::NODE_CREATED))
            .chain(named("child", EventType::NODE_CHILDREN_CHANGED));
        let once = names.zip(data.chain(exist).chain(child));
        let once = once.map(|((path, event), watch)| (path, event, watch));
        let persistent = all(&paths("persistent"), |path| {
            surely(watcher, watcher.add_watch(path))
        });
        let recursive = all(&paths("recursive"), |path| {
            surely(watcher, watcher.add_watch(path).recursive())
        });
        let paths = paths("persistent").into_iter().chain(paths("recursive"));
        Self {
            session,
            once: once.collect(),
            streams: paths.zip(persistent.into_iter().chain(recursive)).collect(),
        }
    }

    /// Changes a node here and there, one after the other, until it is over. Returns how many.
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
        for batch in changes.chunks(BATCH) {
            let sent = batch
                .iter()
                .map(|(path, event)| change(changer, path, *event));
            let sent: Vec<_> = sent.collect();
            sent.into_iter()
                .for_each(|change| change.wait().expect("it is changed"));
        }
        let session = self.session;
        let mut ended = 0;
        // There is a next session soon.
        let mut ends_with_session = || {
            wait_until("another session", || {
                let now = watcher.client_id();
                now.is_some_and(|(now, _)| now != session)
            });
            ended += 1;
        };
        for (path, event, mut watch) in self.once {
            match watch.wait_for(LIMIT).expect("it fires or ends") {
                Ok(fired) => assert_eq!((fired.kind, &fired.path), (event, &path)),
                Err(error) => {
                    let ended = matches!(error, Error::WatchEnded(_));
                    assert!(ended, "{path}: {error}");
                    ends_with_session();
                }
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
                        if surely(watcher, watcher.get(&path))
                            .wait()
                            .unwrap()
                            .1
                            .version
                            > 0
                        {
                            break;
                        }
                    }
                    Notice::End(_) => {
                        ends_with_session();
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
    Create(AsyncResult<()>),
}

impl Change {
    fn wait(self) -> Result<(), Error> {
        match self {
            Self::Set(result) => result.wait().map(drop),
            Self::Create(result) => result.wait(),
        }
    }
}

/// Sends what lets a watch for this event fire.
fn change(changer: &Client, path: &str, event: EventType) -> Change {
    let below;
    let path = match event {
        EventType::NODE_DATA_CHANGED => {
            return Change::Set(surely(changer, changer.set(path, b"changed")));
        }
        EventType::NODE_CREATED => path,
        _ => {
            below = format!("{path}/below");
            &below
        }
    };
    Change::Create(surely(changer, changer.ensure_path(path)))
}

/// Makes one call for each path, so many at a time.
fn all<T: Send + 'static>(paths: &[String], send: impl Fn(&str) -> AsyncResult<T>) -> Vec<T> {
    let mut results = Vec::new();
    for batch in paths.chunks(BATCH) {
        let pending: Vec<_> = batch.iter().map(|path| send(path)).collect();
        results.extend(pending.into_iter().map(|result| result.wait().unwrap()));
    }
    results
}
