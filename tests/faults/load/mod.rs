//! Faults under load, for whatever handler drives the clients: pipelined writes, background tasks,
//! callbacks, and watches of every kind. What was said of each write is true, each watch fires or
//! says why not, nobody hangs, and nothing is left: not in a client, no task, and no thread.

mod server;
pub(crate) mod watches;
pub(crate) mod writes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use zk::{Client, Handler};

use super::{close_clean, surely};
use crate::support::under::{Kind, Under};
use crate::support::{LIMIT, Place, session_of, wait_until};
use server::{Fault, Faulty};
use writes::{Fate, Load};

/// Long enough for the restart of a server, most often, and short enough to wait for two thirds.
/// A session may end all the same, where the machine stands still for so long: no test minds.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Watches of each kind.
const WATCHES: usize = 10;

pub(crate) fn connect(hosts: &str, timeout: Duration, handler: Arc<dyn Handler>) -> Client {
    let mut builder = Client::builder(hosts);
    let connect = builder.session_timeout(timeout).connect(handler);
    connect.limit(LIMIT).wait().unwrap()
}

/// A server, somebody who looks on, and two clients of the handler under test.
struct Scene {
    server: Faulty,
    under: Under,
    observer: Client,
    writer: Client,
    watcher: Client,
}

impl Scene {
    fn new(kind: Kind, place: Place) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (server, under) = (Faulty::start(place), Under::start(kind));
        let root = format!("/load-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let direct = format!("{}{root}", server.direct());
        let by_proxy = format!("{}{root}", server.address());
        let threads = Arc::new(zk::threads::ThreadsHandler::new());
        let observer = connect(&direct, Duration::from_secs(20), threads);
        surely(&observer, observer.ensure_path("/")).wait().unwrap();
        let client = || connect(&by_proxy, TIMEOUT, under.handler());
        let (writer, watcher) = (client(), client());
        Self {
            server,
            under,
            observer,
            writer,
            watcher,
        }
    }

    fn clients(&self) -> [&Client; 2] {
        [&self.writer, &self.watcher]
    }

    /// Lets these faults happen under load, then looks whether all is as promised.
    fn survives(self, faults: &[Fault]) {
        let load = Load::start(&self.writer);
        let watches = watches::Set::new(&self.watcher, &self.observer, "", WATCHES);
        load.goes_on(100);
        for fault in faults {
            self.server.inflict(*fault, &self.clients(), &load);
            wait_until("the clients to be connected", || {
                self.clients().iter().all(|client| client.connected())
            });
            load.goes_on(100);
        }
        watches.check(&self.watcher, &self.observer);
        let counts = load.check(&self.observer);
        assert!(counts.contains_key(&Fate::Unknown), "nothing was in flight");
        for client in self.clients() {
            close_clean(client);
        }
        close_clean(&self.observer);
        self.under.assert_nothing_left();
        drop((self.writer, self.watcher));
        self.under.end();
    }
}

pub(crate) fn connections_are_cut_and_refused(kind: Kind, place: Place) {
    Scene::new(kind, place).survives(&[Fault::Cut, Fault::Refuse, Fault::Cut]);
}

pub(crate) fn connections_are_cut_around_a_write(kind: Kind, place: Place) {
    let faults = [Fault::CutAfter, Fault::CutBefore, Fault::CutAfter];
    Scene::new(kind, place).survives(&faults);
}

pub(crate) fn sessions_expire(kind: Kind, place: Place) {
    Scene::new(kind, place).survives(&[Fault::Expire, Fault::Expire]);
}

pub(crate) fn the_server_is_paused(kind: Kind, place: Place) {
    Scene::new(kind, place).survives(&[Fault::Pause]);
}

pub(crate) fn the_server_is_killed(kind: Kind, place: Place) {
    Scene::new(kind, place).survives(&[Fault::Kill]);
}

/// For handlers on somebody's runtime; a thread of a handler's own lives as long as its clients.
pub(crate) fn the_runtime_ends(kind: Kind, place: Place) {
    let scene = Scene::new(kind, place);
    let load = Load::start(&scene.writer);
    let sessions = scene.clients().map(session_of);
    load.goes_on(300);
    scene.under.end();
    load.check(&scene.observer);
    wait_until("the sessions to end", || {
        !sessions.iter().any(|session| scene.server.holds(*session))
    });
    for client in [&scene.writer, &scene.watcher] {
        super::close_unheard(client);
    }
    close_clean(&scene.observer);
}

/// All of these, for one handler and one server.
macro_rules! mount_faults {
    (@ [$($mark:meta)?] $kind:expr, $place:expr, $test:ident) => {
        #[test]
        $(#[$mark])?
        fn $test() {
            $crate::faults::load::$test($kind, $place);
        }
    };
    (real $kind:expr, $version:expr) => {
        $crate::faults::load::mount_faults! {
            [ignore = "needs a real ZooKeeper: cargo xtask test"]
            $kind, $crate::support::Place::Real($version);
            connections_are_cut_and_refused sessions_expire the_server_is_paused
            the_server_is_killed
        }
    };
    (ours $kind:expr, $release:expr $(; $more:ident)*) => {
        $crate::faults::load::mount_faults! {
            [] $kind, $crate::support::Place::Embedded($release);
            connections_are_cut_and_refused connections_are_cut_around_a_write sessions_expire
            the_server_is_paused $($more)*
        }
    };
    ($mark:tt $kind:expr, $place:expr; $($test:ident)*) => {
        mod faults {
            use $crate::support::under::Kind;

            $($crate::faults::load::mount_faults! { @ $mark $kind, $place, $test })*
        }
    };
}

pub(crate) use mount_faults;
