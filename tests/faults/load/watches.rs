//! Watches of every kind: each fires, or says why not.

use zk::{AsyncResult, Client, Error, EventType, Notice, SessionId, Watch, WatchStream};

use crate::support::{LIMIT, next, session_of};

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
            each(&paths(kind), |path| changer.create(path, b"").send());
        }
        watcher.sync("/").wait().unwrap();
        let data = each(&paths("data"), |path| watcher.get(path).watched().send());
        let data = data.into_iter().map(|(_, _, watch)| watch);
        let exist = each(&paths("exist"), |path| {
            watcher.exists(path).watched().send()
        });
        let exist = exist.into_iter().map(|(_, watch)| watch);
        let child = each(&paths("child"), |path| {
            watcher.get_children(path).watched().send()
        });
        let child = child.into_iter().map(|(_, watch)| watch);
        let named = |kind, event: EventType| paths(kind).into_iter().map(move |path| (path, event));
        let names = named("data", EventType::NODE_DATA_CHANGED)
            .chain(named("exist", EventType::NODE_CREATED))
            .chain(named("child", EventType::NODE_CHILDREN_CHANGED));
        let once = names.zip(data.chain(exist).chain(child));
        let once = once.map(|((path, event), watch)| (path, event, watch));
        let persistent = each(&paths("persistent"), |path| watcher.add_watch(path).send());
        let recursive = each(&paths("recursive"), |path| {
            watcher.add_watch(path).recursive().send()
        });
        let paths = paths("persistent").into_iter().chain(paths("recursive"));
        Self {
            session: session_of(watcher),
            once: once.collect(),
            streams: paths.zip(persistent.into_iter().chain(recursive)).collect(),
        }
    }

    /// Changes everything, and expects that each watch fires, or has ended with its session.
    pub(super) fn check(self, watcher: &Client, changer: &Client) {
        let mut changes = Vec::new();
        for (path, event, _) in &self.once {
            match *event {
                EventType::NODE_DATA_CHANGED => changer.set(path, b"changed").send().detach(),
                EventType::NODE_CREATED => changes.push(changer.create(path, b"").send()),
                _ => changes.push(changer.create(&format!("{path}/below"), b"").send()),
            }
        }
        for (path, _) in &self.streams {
            changer.set(path, b"changed").send().detach();
        }
        for change in changes {
            change.wait().unwrap();
        }
        let may_end = session_of(watcher) != self.session;
        for (path, event, mut watch) in self.once {
            match watch.wait_for(LIMIT).expect("it fires or ends") {
                Ok(fired) => assert_eq!((fired.kind, &fired.path), (event, &path)),
                Err(error) => {
                    let ended = matches!(error, Error::WatchEnded(_));
                    assert!(ended && may_end, "{path}: {error}");
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
                        if watcher.get(&path).wait().unwrap().1.version > 0 {
                            break;
                        }
                    }
                    Notice::End(why) => {
                        assert!(may_end, "{path}: {why:?}");
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
