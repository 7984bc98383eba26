//! How large and how movable the recipes are, and what their calls give.

use std::time::Duration;

use zk_client::Listen;
use zk_recipes::lease::Lease;
use zk_recipes::locking_queue::Item;
use zk_recipes::{
    Barrier, Cache, ChildrenWatch, Counter, DataWatch, DoubleBarrier, Election, Guard, LeaderLatch,
    Lock, LockGuard, LockingQueue, MultiGuard, MultiLock, MultiNonBlockingLease, NonBlockingLease,
    Party, PatientChildrenWatch, Pending, PersistentNode, Queue, ReadLock, Semaphore,
    SetPartitioner, ShallowParty, TreeCache, WriteLock,
};

use crate::rig::Rig;

/// What a call may take on the heap while it is under way.
const LIMIT: usize = 6 << 10;

/// Calls are boxed: what holds them stays small, and can be moved to other threads.
#[test]
fn what_is_held_is_small_and_can_be_sent() {
    shared::<Guard>();
    shared::<LockGuard>();
    shared::<MultiGuard>();
    shared::<Item>();
    shared::<Lease>();
    assert!(
        size_of::<Pending<LockGuard>>() <= 64,
        "{}",
        size_of::<Pending<LockGuard>>()
    );
    assert!(size_of::<LockGuard>() <= 32, "{}", size_of::<LockGuard>());
}

/// All the recipes that there are: they can be shared by threads, and what their longest calls keep
/// is bounded.
#[test]
fn calls_of_every_recipe_are_small_and_can_be_sent() {
    let mut all = Vec::new();
    let mut note = |recipe: &'static str, size: usize| all.push((recipe, size));
    let rig = Rig::new(1);
    let (c, hour) = (&rig.client("a"), Duration::from_secs(3600));

    note("Barrier", of(Barrier::new(c, "/p"), Barrier::wait));
    note("Cache", of(Cache::new(c, "/p"), Cache::start));
    note(
        "ChildrenWatch",
        of(ChildrenWatch::new(c, "/p"), |watch| {
            watch.call(|_| Listen::Keep)
        }),
    );
    note("Counter", of(Counter::new(c, "/p"), |n| n.add(1)));
    note("Counter", of(Counter::new(c, "/p").marked(), |n| n.add(1)));
    note(
        "DataWatch",
        of(DataWatch::new(c, "/p"), |watch| {
            watch.call(|_| Listen::Keep)
        }),
    );
    note(
        "DoubleBarrier",
        of(DoubleBarrier::new(c, "/p", 2), DoubleBarrier::enter),
    );
    note("Election", of(Election::new(c, "/p"), Election::lead));
    note(
        "Election",
        of(Election::new(c, "/p"), |election| {
            election.run(|guard| async move { guard.lost().await })
        }),
    );
    let latch = LeaderLatch::start(c, "/latch", "me");
    note("LeaderLatch", of(latch, LeaderLatch::participants));
    note("Lock", of(Lock::new(c, "/p"), Lock::acquire));
    note("Lock", of(Lock::new(c, "/p"), Lock::try_acquire));
    note(
        "LockingQueue",
        of(LockingQueue::new(c, "/p"), LockingQueue::get),
    );
    note(
        "MultiLock",
        of(MultiLock::new(c, ["/p", "/q"]), MultiLock::acquire),
    );
    note(
        "MultiNonBlockingLease",
        of(
            MultiNonBlockingLease::new(c, 2, "/p", hour),
            MultiNonBlockingLease::obtain,
        ),
    );
    note(
        "NonBlockingLease",
        of(
            NonBlockingLease::new(c, "/p", hour),
            NonBlockingLease::obtain,
        ),
    );
    note("Party", of(Party::new(c, "/p"), Party::join));
    note("Party", of(Party::new(c, "/p"), Party::members));
    note(
        "PatientChildrenWatch",
        of(
            PatientChildrenWatch::new(c, "/p"),
            PatientChildrenWatch::start,
        ),
    );
    let node = PersistentNode::new(c, "/p", "data");
    note("PersistentNode", of(node, PersistentNode::start));
    note("Queue", of(Queue::new(c, "/p"), Queue::get));
    note("ReadLock", of(ReadLock::new(c, "/p"), ReadLock::acquire));
    let semaphore = Semaphore::new(c, "/p", 2);
    note("Semaphore", of(semaphore.clone(), Semaphore::acquire));
    note("Semaphore", of(semaphore, Semaphore::try_acquire));
    shared::<SetPartitioner>();
    let start = SetPartitioner::new(c, "/p", ["a"]).start();
    note("SetPartitioner", size(&start));
    note(
        "ShallowParty",
        of(ShallowParty::new(c, "/p"), ShallowParty::join),
    );
    note("TreeCache", of(TreeCache::new(c, "/p"), TreeCache::start));
    note("WriteLock", of(WriteLock::new(c, "/p"), WriteLock::acquire));

    let large: Vec<_> = all.iter().filter(|(_, size)| *size > LIMIT).collect();
    assert!(large.is_empty(), "{large:?} of {all:?}");
    // Each that the crate has.
    let mut names: Vec<_> = all.into_iter().map(|(name, _)| name).collect();
    names.dedup();
    assert_eq!(names.len(), 23);
}

/// How much a call keeps, which can be sent, as can the recipe.
fn of<R, T, F>(recipe: R, call: F) -> usize
where
    R: Send + Sync + 'static,
    T: Send + 'static,
    F: FnOnce(&R) -> Pending<T>,
{
    size(&call(&recipe))
}

fn size<T: Send + 'static>(pending: &Pending<T>) -> usize {
    fn sent<T: Send + 'static>(_: &T) {}
    sent(pending);
    pending.size()
}

fn shared<T: Send + Sync + 'static>() {}
