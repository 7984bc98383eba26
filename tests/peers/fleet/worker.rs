//! A member of a fleet in a process of its own, with `zk`: this program again, asked for one test.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, thread};

use zk::Client;
use zk::recipes::double_barrier::Inside;
use zk::recipes::layout::LockLayout;
use zk::recipes::locking_queue::Item;
use zk::recipes::partitioner::{Partition, PartitionState};
use zk::recipes::{
    Counter, DoubleBarrier, Election, Lock, LockingQueue, NonBlockingLease, Party, Queue,
    Semaphore, SetPartitioner, ShallowParty,
};

const HOSTS: &str = "ZK_FLEET_HOSTS";

/// This program as a member.
pub(crate) fn command(hosts: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    let name = concat!(module_path!(), "::obeys_its_input");
    let (_, name) = name.split_once("::").unwrap();
    command
        .args(["--exact", name, "--include-ignored", "--nocapture"])
        .env(HOSTS, hosts);
    command
}

#[test]
#[ignore = "needs another test, which starts it as a member of a fleet"]
fn obeys_its_input() {
    let Ok(hosts) = env::var(HOSTS) else {
        return;
    };
    let client = super::connect(&hosts);
    let held = Arc::<Held>::default();
    // What the harness says of the test has no line of its own.
    writeln!(std::io::stdout()).unwrap();
    say(0, "ready");
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let (client, held) = (client.clone(), Arc::clone(&held));
        thread::spawn(move || {
            let mut words = line.split(' ');
            let number = words.next().unwrap().parse().unwrap();
            let words: Vec<_> = words.collect();
            match obey(&client, &held, &words) {
                Ok(value) => say(number, &format!("ok {value}")),
                Err(error) => say(number, &format!("error {error}")),
            }
        });
    }
}

fn say(number: u64, what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{number} {what}").unwrap();
    out.flush().unwrap();
}

/// Guards, by the names that they were given.
#[derive(Default)]
struct Held(Mutex<BTreeMap<String, Box<dyn Any + Send>>>);

impl Held {
    fn put(&self, name: &str, guard: impl Any + Send) {
        self.0
            .lock()
            .unwrap()
            .insert(name.to_owned(), Box::new(guard));
    }

    fn take<T: Any>(&self, name: &str) -> T {
        let guard = self.0.lock().unwrap().remove(name).unwrap();
        *guard.downcast().ok().unwrap()
    }
}

/// Does what it is told. Answers are as kazoo would give them, bytes as text.
fn obey(client: &Client, held: &Held, words: &[&str]) -> Result<String, zk::Error> {
    let done = |()| "None".to_owned();
    match *words {
        // Counts up, and tells each time.
        ["add", path, times] => {
            let counter = Counter::new(client, path);
            for _ in 0..times.parse().unwrap() {
                let change = counter.add(1).wait()?;
                say(0, &format!("tell {}", change.post_value));
            }
            Ok(done(()))
        }
        // Takes what there is, and tells each item.
        ["drain", path] => {
            let queue = Queue::new(client, path);
            while let Some(item) = queue.get().wait()? {
                say(0, &format!("tell {}", String::from_utf8_lossy(&item)));
            }
            Ok(done(()))
        }
        ["claim", path, name] => {
            let item = LockingQueue::new(client, path).get().wait()?;
            let data = String::from_utf8_lossy(item.data()).into_owned();
            held.put(name, item);
            Ok(data)
        }
        ["consume", name] => held.take::<Item>(name).consume().wait().map(done),
        ["enter", path, members, name] => {
            let barrier = DoubleBarrier::new(client, path, members.parse().unwrap());
            held.put(name, barrier.enter().wait()?);
            Ok(done(()))
        }
        // Counts up under a lock, by a read and a write, and tells each time.
        [how @ ("count" | "count-as-curator"), path, times] => {
            let lock = lock(client, path, how).identifier("rust");
            for n in 0..times.parse().unwrap() {
                let guard = lock.acquire().wait()?;
                let (data, stat) = client.get("/count").wait()?;
                let next: u32 = String::from_utf8_lossy(&data).parse().unwrap();
                let set = client.set("/count", (next + 1).to_string());
                set.version(stat.version).wait()?;
                guard.release().wait()?;
                say(0, &format!("tell {n}"));
            }
            Ok(done(()))
        }
        // Takes a lease, tells how many there are, and gives it back.
        ["lease", path, limit, times] => {
            let sem = Semaphore::new(client, path, limit.parse().unwrap());
            for _ in 0..times.parse().unwrap() {
                let guard = sem.acquire().wait()?;
                let leases = client.get_children(path).wait()?.iter().count();
                say(0, &format!("tell {leases}"));
                guard.release().wait()?;
            }
            Ok(done(()))
        }
        // Whether it has obtained a lease for so many seconds.
        ["lease-for", path, seconds, who] => {
            let seconds = Duration::from_secs(seconds.parse().unwrap());
            let lease = NonBlockingLease::new(client, path, seconds).identifier(who);
            let obtained = lease.obtain().wait()?.is_some();
            Ok(if obtained { "True" } else { "False" }.to_owned())
        }
        // Holds a lock, under a name.
        [how @ ("hold" | "hold-as-curator"), path, name] => {
            held.put(name, lock(client, path, how).acquire().wait()?);
            Ok(done(()))
        }
        // Leads for ever.
        ["lead", path] => {
            let election = Election::new(client, path).identifier("rust");
            let run = election.run(|guard| async move {
                say(0, "tell leads");
                guard.lost().await?;
                Ok(())
            });
            run.wait().map(done)
        }
        ["leave", name] => held.take::<Inside>(name).leave().wait().map(done),
        ["join", deep, shallow, name] => {
            let deep = Party::new(client, deep).identifier(name);
            let shallow = ShallowParty::new(client, shallow).identifier(name);
            deep.join().wait()?;
            shallow.join().wait()?;
            held.put(name, (deep, shallow));
            Ok(done(()))
        }
        ["share", path, items, identifier, name] => {
            let set = SetPartitioner::new(client, path, items.split(',')).identifier(identifier);
            let set = set.time_boundary(Duration::from_secs(1));
            held.put(name, Share::start(client, set)?);
            Ok(done(()))
        }
        ["items", name] => {
            let share = held.take::<Share>(name);
            let items = if share.part.state() == PartitionState::Acquired {
                format!("{:?}", share.part.items()).replace('"', "'")
            } else {
                done(())
            };
            held.put(name, share);
            Ok(items)
        }
        _ => unreachable!("{words:?}"),
    }
}

/// A lock, whose nodes are named as Curator does if that is how.
fn lock(client: &Client, path: &str, how: &str) -> Lock {
    let lock = Lock::new(client, path);
    if how.ends_with("-as-curator") {
        lock.layout(LockLayout::Curator)
    } else {
        lock
    }
}

/// A member of a partitioner that lets go whatever is to be let go.
pub(super) struct Share {
    pub(super) part: Arc<Partition>,
    _serves: zk::AsyncResult<()>,
}

impl Share {
    pub(super) fn start(client: &Client, set: SetPartitioner) -> Result<Self, zk::Error> {
        let part = Arc::new(set.start().wait()?);
        let mut states = part.changes();
        let own = Arc::downgrade(&part);
        let serves = client.run(async move {
            while let Some(state) = states.next().await {
                if let (PartitionState::Release, Some(part)) = (state?, own.upgrade()) {
                    part.release_set().await?;
                }
            }
            Ok(())
        });
        Ok(Self {
            part,
            _serves: serves,
        })
    }
}
