//! Watches of every kind: each fires, or says why not.

use zk::{AsyncResult, Client, Error, EventType, Notice, SessionId, Watch, WatchStream};

use crate::faults::surely;
use crate::support::{LIMIT, next, session_of, wait_until};

const EACH: usize = 10;

/// Watches on nodes that are all changed later.
pub(super) struct Set {
    session: SessionId,
    once: Vec<(String, EventType, Watch)>,
    streams: Vec<(String, WatchStream)>,
}

impl Set {
    pub(super) fn new(watcher: &Client, changer: &Client) -> Self {
        let paths = |kind: &str| {
            (0..EACH)
                .map(|n| format!("/{kind}-{n}"))
                .collect::<Vec<_>>()
        };
        for kind in ["data", "child", "persistent", "recursive"] {
            each(&paths(kind), |path| {
                surely(changer, changer.ensure_path(path))
            });
        }
        surely(watcher, watcher.sync("/")).wait().unwrap();
        let session = session_of(watcher);
        let data = each(&paths("data"), |path| {
            surely(watcher, watcher.get(path).watched())
        });
        let data = data.into_iter().map(|(_, _, watch)| watch);
        let exist = each(&paths("exist"), |path| {
            surely(watcher, watcher.exists(path).watched())
        });
        let exist = exist.into_iter().map(|(_, watch)| watch);
        let child = each(&paths("child"), |path| {
            surely(watcher, watcher.get_children(path).watched())
        });
        let child = child.into_iter().map(|(_, watch)| watch);
        let named = |kind, event: EventType| paths(kind).into_iter().map(move |path| (path, event));
        let names = named("data", EventType::NODE_DATA_CHANGED)
            .chain(named("exist", EventType::NODE_CREATED))
            .chain(named("child", EventType::NODE_CHILDREN_CHANGED));
        let once = names.zip(data.chain(exist).chain(child));
        let once = once.map(|((path, event), watch)| (path, event, watch));
        let persistent = each(&paths("persistent"), |path| {
            surely(watcher, watcher.add_watch(path))
        });
        let recursive = each(&paths("recursive"), |path| {
            surely(watcher, watcher.add_watch(path).recursive())
        });
        let paths = paths("persistent").into_iter().chain(paths("recursive"));
        Self {
            session,
            once: once.collect(),
            streams: paths.zip(persistent.into_iter().chain(recursive)).collect(),
        }
    }

    /// Changes everything, and expects that each watch fires, or has ended with its session.
    pub(super) fn check(self, watcher: &Client, changer: &Client) {
        let (mut made, mut set) = (Vec::new(), Vec::new());
        for (path, event, _) in &self.once {
            match *event {
                EventType::NODE_DATA_CHANGED => {
                    set.push(surely(changer, changer.set(path, b"changed")))
                }
                EventType::NODE_CREATED => made.push(surely(changer, changer.ensure_path(path))),
                _ => made.push(surely(
                    changer,
                    changer.ensure_path(&format!("{path}/below")),
                )),
            }
        }
        for (path, _) in &self.streams {
            set.push(surely(changer, changer.set(path, b"changed")));
        }
        for made in made {
            made.wait().unwrap();
        }
        for set in set {
            set.wait().unwrap();
        }
        let session = self.session;
        // There is a next session soon.
        let ends_with_session = || {
            wait_until("another session", || {
                let now = watcher.client_id();
                now.is_some_and(|(now, _)| now != session)
            });
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
    }
}

/// Sends one call for each path, then waits for all.
fn each<T: Send + 'static>(paths: &[String], send: impl Fn(&str) -> AsyncResult<T>) -> Vec<T> {
    let pending: Vec<_> = paths.iter().map(|path| send(path)).collect();
    let results = pending.into_iter().map(AsyncResult::wait);
    results.map(Result::unwrap).collect()
}
