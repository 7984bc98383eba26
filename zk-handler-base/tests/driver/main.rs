//! The driver of async runtimes, on one that does just what a test says.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod world;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zk_client::{Client, Error, FourLetterWord, Handler, StartError, State};
use zk_proto::{
    ErrorCode, EventType, KeeperState, ReplyHeader, ServerAddr, WatcherEvent, Xid, Zxid,
};
use zk_session::{Layer, LayerError, LayerFactory};

use world::World;

/// Reads of one poll at most.
const READS: usize = 4;

/// A frame that says nothing to anybody.
fn noise() -> Vec<u8> {
    let mut frame = vec![0; 4];
    ReplyHeader {
        xid: Xid::WATCH,
        zxid: Zxid(-1),
        err: ErrorCode::OK,
    }
    .encode(&mut frame);
    WatcherEvent {
        kind: EventType::NODE_DATA_CHANGED,
        state: KeeperState::SYNC_CONNECTED,
        path: "/nobody/watches/this".to_owned(),
    }
    .encode(&mut frame);
    let length = u32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_socket_that_never_runs_dry_leaves_others_their_share() {
    let world = World::new();
    let flooded = world.client();
    world.shared().wire().flood = noise();
    let other = world.client_beside();
    let mut get = other.get("/").send();
    world.ring();
    for turn in 0.. {
        assert!(turn < 4, "the other client has its turn");
        assert!(world.turn() > 0, "the flooded one is woken again");
        assert!(world.shared().reads <= READS, "{}", world.shared().reads);
        if get.try_take().is_some() {
            break;
        }
    }
    assert!(flooded.connected());
    world.shut_down();
}

/// It was read to the end of what the peer had sent, which need not come.
#[test]
fn a_socket_that_never_runs_dry_is_closed_in_time() {
    let world = World::new();
    let client = world.client();
    let detached = client.detach().send();
    world.shared().wire().flood = noise();
    let start = Instant::now();
    while world.base.tasks.running() > 0 {
        world.ring();
        world.turn();
        assert!(world.shared().reads <= 2 * READS);
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    World::now(detached).unwrap();
    assert!(world.shared().sockets.is_empty());
}

#[test]
fn a_runtime_that_ends_at_any_moment_lets_nobody_hang() {
    for turns in 0..12 {
        let world = World::new();
        let client = world.start(&World::builder());
        let connected = client.until_connected();
        let create = client.create("/a", b"").ephemeral().send();
        let watch = client.exists("/b").watched().send();
        let task = client.run(async { std::future::pending::<Result<(), Error>>().await });
        let sleep = client.sleep(Duration::from_secs(1000));
        let word = client.command(*b"ruok").send();
        for _ in 0..turns {
            world.turn();
        }
        let greeted = client.connected();
        world.shut_down();
        let created = World::now(create);
        if greeted {
            World::now(connected).unwrap();
        } else {
            World::now(connected).unwrap_err();
            assert_eq!(created, Err(Error::Closed { sent: false }));
        }
        if let Ok((_, mut watch)) = World::now(watch) {
            watch.try_take().expect("it has ended").unwrap_err();
        }
        World::now(task).unwrap_err();
        World::now(sleep).unwrap_err();
        World::now(word).unwrap_err();
        assert_eq!(client.state(), State::Lost);
        assert!(client.get("/").send().is_ready());
        let shared = world.shared();
        assert!(shared.sockets.is_empty() && shared.server.member().sessions().is_empty());
        drop(shared);
        assert_eq!(world.base.tasks.running(), 0);
        until("the threads end", || world.base.threads.running() == 0);
    }
}

/// What a closing connection had left was dropped with the runtime.
#[test]
fn a_runtime_that_ends_writes_what_a_closing_connection_has_left() {
    let world = World::new();
    let client = world.client();
    let created = client.create("/a", b"before").send();
    world.run();
    World::now(created).unwrap();
    world.shared().wire().room = 10;
    let set = client.set("/a", b"left").send();
    let detached = client.detach().timeout(Duration::ZERO).send();
    world.run();
    world.ring();
    world.run();
    World::now(detached).unwrap();
    drop(set);
    assert_eq!(world.base.tasks.running(), 1, "it is closing");
    world.shared().wire().room = usize::MAX;
    world.shut_down();
    let shared = world.shared();
    let data = shared.server.tree().node("/a").unwrap().data();
    assert_eq!(data, Some(&b"left"[..]));
}

/// Something is asked for at each point of a poll in turn. It is answered, though nothing else
/// happens: the wake is not lost.
#[test]
fn what_is_asked_at_any_moment_of_a_poll_is_answered() {
    let most = Arc::new(AtomicUsize::new(1));
    let mut point = 0;
    while point < most.load(Ordering::Relaxed) {
        let world = World::new();
        let client = world.start(&World::builder());
        let asked = Arc::new(Mutex::new(None));
        let (calls, inner, slot) = (Arc::clone(&most), client.clone(), Arc::clone(&asked));
        world.set_hook(move |call| {
            calls.fetch_max(call + 1, Ordering::Relaxed);
            if call == point {
                *slot.lock().unwrap() = Some(inner.exists("/").send());
            }
        });
        let first = client.sync("/").send();
        world.run();
        World::now(first).unwrap();
        if let Some(result) = asked.lock().unwrap().take() {
            World::now(result).unwrap();
        }
        world.shut_down();
        point += 1;
    }
    assert!(point > 10, "only {point} points");
}

/// Works until told to panic, in every call.
#[derive(Debug)]
struct Trap(AtomicUsize);

struct TrapLayer(Arc<Trap>);

#[derive(Debug)]
struct Traps(Arc<Trap>);

impl LayerFactory for Traps {
    fn layer(&self, _: &ServerAddr) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(TrapLayer(Arc::clone(&self.0))))
    }
}

impl Layer for TrapLayer {
    fn is_established(&self) -> bool {
        true
    }

    fn flush(&mut self, _: &mut Vec<u8>) {}

    fn decode(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        _: &mut Vec<u8>,
    ) -> Result<(), LayerError> {
        plain.extend_from_slice(wire);
        Ok(())
    }

    fn encode(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), LayerError> {
        let left = self.0.0.load(Ordering::Relaxed);
        assert!(left > 0, "as the test wants it");
        self.0.0.store(left - 1, Ordering::Relaxed);
        wire.extend_from_slice(plain);
        Ok(())
    }
}

/// It panicked again when the session was to be closed, and then everybody hung.
#[test]
fn a_layer_that_panics_lets_nobody_hang() {
    for calls in 0..3 {
        let world = World::new();
        let other = world.client();
        let trap = Arc::new(Trap(AtomicUsize::new(calls)));
        let mut builder = World::builder();
        builder.layer(Arc::new(Traps(trap)));
        let client: Client = world.start(&builder);
        let results = [client.get("/").send(), client.get("/").send()];
        world.run();
        let more = client.get("/").send();
        world.run();
        drop(results);
        assert!(more.is_ready());
        assert!(matches!(World::now(more), Err(Error::Closed { .. })));
        let get = other.get("/").send();
        world.run();
        World::now(get).unwrap();
        assert_eq!(world.base.tasks.running(), 1);
        world.shut_down();
        until("the threads end", || world.base.threads.running() == 0);
    }
}

/// It went on until its limit.
#[test]
fn a_word_that_is_given_up_leaves_no_task() {
    let world = World::new();
    let server = ServerAddr::new("127.0.0.1", 2181);
    // A frame that the server waits for the rest of.
    let word = FourLetterWord::new(*b"\0\0\0\x2c", server, None).unwrap();
    let word = world.four_letter(word, Duration::from_secs(1000));
    world.run();
    assert_eq!(world.base.tasks.running(), 1);
    drop(word);
    world.run();
    assert_eq!(world.base.tasks.running(), 0);
    assert!(world.shared().sockets.is_empty());
}

#[test]
fn an_idle_client_is_left_alone() {
    let world = World::new();
    let client = world.client();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    world.set_hook(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    for _ in 0..3 {
        assert_eq!(world.turn(), 0);
    }
    // A read: written, answered, and that there is nothing more is found out once.
    let get = client.get("/").send();
    world.run();
    World::now(get).unwrap();
    assert!(calls.load(Ordering::Relaxed) <= 6, "{calls:?}");
    world.shut_down();
}

thread_local! {
    static PROCESS_ID: Cell<u32> = const { Cell::new(1) };
}

#[test]
fn nobody_hangs_in_a_forked_child() {
    let world = World::in_process(|| PROCESS_ID.get());
    let client = world.client();
    let before = client.get("/").send();
    world.run();
    let sent = world.shared().server.member().sessions().len();

    PROCESS_ID.set(2);
    // Whoever wakes the driver finds out that it has stayed behind.
    let after = client.get("/after").send();
    assert!(World::now(before).is_ok());
    assert!(matches!(World::now(after), Err(Error::Closed { .. })));
    assert_eq!(client.state(), State::Lost);
    let another = World::builder().start(Arc::new(world.clone()));
    assert_eq!(another.unwrap_err(), Error::Start(StartError::ShutDown));
    // The connection is the parent's, and so is the session.
    world.run();
    assert_eq!(world.shared().server.member().sessions().len(), sent);
    assert_eq!(world.shared().sockets.len(), 1);
}
