//! Caches and watches: at rest, all show what the servers have, and never anything that was not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_client::{Listen, Zxid};
use zk_recipes::cache::{Cache, CacheEvent, CacheNode};
use zk_recipes::watch::{ChildrenWatch, DataWatch};
use zk_recipes::{Calls, TreeCache};

use crate::recipes::state::State;
use crate::recipes::{Program, Scenario, Universe, World};

const ROOT: &str = "/tree";

/// The node whose data, and the one whose children are watched.
const DATA: &str = "/tree/0";
const PARENT: &str = "/tree/1";

/// Every machine writes all over one tree, and looks at it in every way there is.
#[derive(Default)]
pub(crate) struct Caches {
    views: Arc<Mutex<BTreeMap<String, View>>>,
}

/// What one program sees in its present life.
struct View {
    cache: Cache,
    tree: TreeCache,
    seen: Arc<Mutex<Seen>>,
    _calls: (Calls, Calls),
}

/// What was told.
#[derive(Default)]
struct Seen {
    /// The nodes that there are according to the events.
    told: BTreeMap<String, Zxid>,
    node: Option<(Zxid, Vec<u8>)>,
    nodes: Vec<(Zxid, Vec<u8>)>,
    children: Option<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scenario for Caches {
    fn start(&mut self, universe: &Universe) {
        for machine in &universe.machines {
            let views = Arc::clone(&self.views);
            universe.boot(machine, move |program| live(program, Arc::clone(&views)));
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        let state = universe.state();
        for (name, view) in lock(&self.views).iter() {
            view.check(&state).map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(())
    }
}

impl View {
    fn check(&self, state: &State) -> Result<(), String> {
        let there: BTreeMap<_, _> = state
            .tree(ROOT)
            .into_iter()
            .map(|(path, node)| (path, (node.czxid, node.mzxid, node.data)))
            .collect();
        for cache in [&self.cache, self.tree.as_cache()] {
            if !cache.is_current() {
                return Err(format!("not current: {cache:?}"));
            }
            let entry = |node: CacheNode| {
                let (czxid, mzxid) = (node.stat.czxid, node.stat.mzxid);
                (node.path, (czxid, mzxid, node.data.to_vec()))
            };
            let here: BTreeMap<_, _> = cache.snapshot(ROOT).into_iter().map(entry).collect();
            differ("a cache", &here, &there)?;
        }
        let seen = lock(&self.seen);
        let mzxids = there.iter().map(|(path, (_, mzxid, _))| (path, *mzxid));
        let mzxids: BTreeMap<String, Zxid> = mzxids.map(|(path, z)| (path.clone(), z)).collect();
        differ("what was told", &seen.told, &mzxids)?;
        let node = there
            .get(DATA)
            .map(|(_, mzxid, data)| (*mzxid, data.clone()));
        if seen.node != node {
            return Err(format!(
                "a DataWatch saw {:?} last, it is {node:?}",
                seen.node
            ));
        }
        for (mzxid, data) in &seen.nodes {
            if state.written.get(&(DATA.to_owned(), *mzxid)) != Some(data) {
                return Err(format!("a DataWatch saw what was never written: {mzxid:?}"));
            }
        }
        let prefix = format!("{PARENT}/");
        let below = there.keys().filter_map(|path| path.strip_prefix(&prefix));
        let below = below.filter(|name| !name.contains('/')).map(str::to_owned);
        let children = there.contains_key(PARENT).then(|| below.collect());
        if seen.children != children {
            return Err(format!(
                "a ChildrenWatch saw {:?} last, it is {children:?}",
                seen.children
            ));
        }
        Ok(())
    }
}

fn differ<T: PartialEq + std::fmt::Debug>(
    what: &str,
    here: &BTreeMap<String, T>,
    there: &BTreeMap<String, T>,
) -> Result<(), String> {
    let paths = here.keys().chain(there.keys());
    for path in paths {
        if here.get(path) != there.get(path) {
            return Err(format!(
                "{path}: {what} has {:?}, servers have {:?}",
                here.get(path),
                there.get(path)
            ));
        }
    }
    Ok(())
}

/// Notes what a cache tells, and whether it makes sense.
fn tell(world: &World, seen: &Mutex<Seen>, event: &CacheEvent) {
    let mut seen = lock(seen);
    match event {
        CacheEvent::Added(node) => {
            let parent = node.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            if node.path != ROOT && !seen.told.contains_key(parent) {
                world.broken(format!("{} came before its parent", node.path));
            }
            if seen
                .told
                .insert(node.path.clone(), node.stat.mzxid)
                .is_some()
            {
                world.broken(format!("{} was added twice", node.path));
            }
        }
        CacheEvent::Changed { before, now } => {
            let known = seen.told.insert(now.path.clone(), now.stat.mzxid);
            if known != Some(before.stat.mzxid) || before.stat.mzxid == now.stat.mzxid {
                world.broken(format!("{} has changed from what it was not", now.path));
            }
        }
        CacheEvent::Removed(node) => {
            let prefix = format!("{}/", node.path);
            if seen.told.keys().any(|path| path.starts_with(&prefix)) {
                world.broken(format!("{} went before its children", node.path));
            }
            if seen.told.remove(&node.path) != Some(node.stat.mzxid) {
                world.broken(format!("{} is gone, and was not there", node.path));
            }
        }
        CacheEvent::Synced => world.count("caches in sync"),
        CacheEvent::Unread { path, error } => {
            world.broken(format!("{path} cannot be read: {error:?}"));
        }
        CacheEvent::State(_) | CacheEvent::Lagged | _ => {}
    }
}

async fn live(mut program: Program, views: Arc<Mutex<BTreeMap<String, View>>>) {
    let client = program.client();
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let cache = Cache::new(&client, ROOT);
    let tree = TreeCache::new(&client, ROOT);
    #[cfg(zk_planted)]
    let cache = match program.world.planted {
        Some(planted) => cache.planted(planted),
        None => cache,
    };
    let (world, told) = (program.world.clone(), Arc::clone(&seen));
    cache.listen(move |event| {
        tell(&world, &told, event);
        Listen::Keep
    });
    let told = Arc::clone(&seen);
    let watch = DataWatch::new(&client, DATA);
    #[cfg(zk_planted)]
    let watch = match program.world.planted {
        Some(planted) => watch.planted(planted),
        None => watch,
    };
    let data = watch.call(move |change| {
        let mut seen = lock(&told);
        seen.node = change.node.map(|(data, stat)| (stat.mzxid, data.to_vec()));
        let last = seen.node.clone();
        seen.nodes.extend(last);
        Listen::Keep
    });
    let told = Arc::clone(&seen);
    let children = ChildrenWatch::new(&client, PARENT).call(move |change| {
        let names = |names: zk_client::Children| {
            let names = names.sorted();
            names.into_iter().map(str::to_owned).collect()
        };
        lock(&told).children = change.children.map(names);
        Listen::Keep
    });
    cache.start().detach();
    let (Ok(data), Ok(children)) = (data.await, children.await) else {
        program.world.broken("a watch has not begun".to_owned());
        return;
    };
    if let Err(error) = tree.start().await {
        program
            .world
            .broken(format!("a cache has not begun: {error}"));
    }
    let view = View {
        cache,
        tree,
        seen,
        _calls: (data, children),
    };
    let before = lock(&views).insert(program.name.clone(), view);
    drop(before);
    let mut number = 0;
    while !program.world.is_over() {
        program.pause(Duration::from_millis(300)).await;
        // Some write many at once.
        for _ in 0..[1, 1, 1, 30][program.rng.below(4)] {
            number += 1;
            write(&mut program, &client, number).await;
        }
    }
    program.rests();
    std::future::pending::<()>().await;
}

async fn write(program: &mut Program, client: &zk_client::Client, number: u32) {
    let mut path = ROOT.to_owned();
    for _ in 0..=program.rng.below(3) {
        path += &format!("/{}", program.rng.below(3));
    }
    let data = format!("{} {number}", program.name);
    let done = match program.rng.below(5) {
        0 | 1 => client.create(&path, data).make_path().await.map(drop),
        2 => client.create(&path, data).ephemeral().await.map(drop),
        3 => client.set(&path, data).await.map(drop),
        _ => client.delete(&path).recursive().await,
    };
    program.world.count(if done.is_ok() {
        "writes"
    } else {
        "writes refused"
    });
}
