//! Universes that run at the pace of somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use zk_client::{Client, Handler};
use zk_sim::{Pace, Sim};

use crate::tiny::Tiny;

/// Counts how often it is woken, and rings.
struct Bell {
    woken: AtomicUsize,
    ring: mpsc::Sender<()>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        // Nobody listens any more once the test is over.
        let _ = self.ring.send(());
    }
}

fn bell() -> (Arc<Bell>, mpsc::Receiver<()>) {
    let (ring, heard) = mpsc::channel();
    let woken = AtomicUsize::new(0);
    (Arc::new(Bell { woken, ring }), heard)
}

#[test]
fn time_goes_only_as_far_as_it_may() {
    let sim = Sim::new(1);
    let seconds = Duration::from_secs;
    let (tell, heard) = mpsc::channel();
    for at in [2, 4] {
        let tell = tell.clone();
        sim.after(seconds(at), move || tell.send(at).unwrap());
    }
    let mut asked = Vec::new();
    let paces = [
        Pace::Until(seconds(1)),
        // A moment that is gone already.
        Pace::Until(seconds(0)),
        Pace::Until(seconds(3)),
        Pace::Until(seconds(3)),
        Pace::Until(seconds(9)),
        Pace::Until(seconds(9)),
        Pace::Stop,
    ];
    let mut paces = paces.into_iter();
    sim.run_paced(|next| {
        asked.push((sim.now(), next));
        paces.next().unwrap()
    })
    .unwrap();
    let [two, four] = [Some(seconds(2)), Some(seconds(4))];
    let expected = [
        (0, two),
        (1, two),
        (1, two),
        (2, four),
        (3, four),
        (4, None),
        (9, None),
    ];
    assert_eq!(asked, expected.map(|(at, next)| (seconds(at), next)));
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [2, 4]);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "another thread is what this is about"
)]
fn work_from_another_thread_wakes_who_paces() {
    let sim = Sim::new(2);
    let server = sim.server("s1:2181", Tiny::new());
    let handler: Arc<dyn Handler> = sim.machine("app").handler();
    let hosts = server.hosts().to_owned();
    let (give, given) = mpsc::channel();
    let other = thread::spawn(move || {
        let client = Client::builder(&hosts).start(handler).unwrap();
        let created = client.create("/a", "x").send();
        // Parks on a thread of its own: the universe goes on beside it.
        give.send(zk_client::block_on(created)).unwrap();
    });
    let (bell, heard) = bell();
    let waker = Waker::from(Arc::clone(&bell));
    let mut result = None;
    sim.run_paced(|next| {
        if let Ok(created) = given.try_recv() {
            result = Some(created);
            return Pace::Stop;
        }
        if sim.wake_when_runnable(&waker) && next.is_none() {
            heard.recv().unwrap();
        }
        Pace::Until(
            next.unwrap_or_default()
                .min(sim.now() + Duration::from_millis(1)),
        )
    })
    .unwrap();
    assert_eq!(result.unwrap().unwrap(), "/a");
    assert!(bell.woken.load(Ordering::SeqCst) > 0);
    other.join().unwrap();
}

#[test]
fn who_listens_is_woken_once_and_not_if_there_is_work() {
    let sim = Sim::new(3);
    let machine = sim.machine("app");
    let (bell, _heard) = bell();
    let waker = Waker::from(Arc::clone(&bell));
    assert!(sim.wake_when_runnable(&waker));
    for expected in [1, 1] {
        drop(machine.spawn(async {}));
        assert_eq!(bell.woken.load(Ordering::SeqCst), expected);
        assert!(!sim.wake_when_runnable(&waker));
    }
    sim.run_for(Duration::ZERO).unwrap();
    assert!(sim.wake_when_runnable(&waker));
}
