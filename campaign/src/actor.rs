//! [`Actor`]: a program that uses one client after the other, and knows of no faults.

mod ask;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use zk_client::{AsyncResult, Client, SyncKeepAlive};
use zk_proto::SessionId;
use zk_sim::check::{ClientNo, Ended, Event, OpNo, WatchKind, check_leaks};
use zk_sim::{Machine, Rng};

use crate::acts::Views;
use crate::eyes::{Done, Eyes, Target};
use crate::record::Recorder;
use crate::servers::Servers;
use crate::setup::{Setup, Style};

/// What the program and the run share.
pub(crate) struct Stage {
    eyes: Mutex<Eyes>,
    /// It has nothing more to ask, and nothing to wait for.
    rests: AtomicBool,
    /// Its machine has crashed, or it has closed its client.
    over: AtomicBool,
    name: String,
}

impl Stage {
    pub(crate) fn rests(&self) -> bool {
        self.over() || self.rests.load(Ordering::Relaxed)
    }

    pub(crate) fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Takes down what there is to be seen.
    pub(crate) fn drain(&self) {
        if !self.over() {
            self.eyes().drain();
        }
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.eyes().session()
    }

    fn eyes(&self) -> MutexGuard<'_, Eyes> {
        self.eyes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Phase {
    /// Things go wrong.
    Faults,
    /// All is well, and nothing new is asked.
    Rest,
    /// Clients close.
    End,
}

/// What all programs of a run are given.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) setup: Arc<Setup>,
    pub(crate) recorder: Recorder,
    pub(crate) servers: Arc<Servers>,
    pub(crate) stages: Arc<Mutex<Vec<Arc<Stage>>>>,
    pub(crate) phase: Arc<Mutex<Phase>>,
}

impl Scene {
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stages(&self) -> Vec<Arc<Stage>> {
        let stages = self.stages.lock();
        stages.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

type Ending = Pin<Box<dyn Future<Output = Done> + Send>>;

/// A program in one life of its machine.
pub(crate) struct Actor {
    scene: Scene,
    machine: Machine,
    style: Style,
    rng: Rng,
    stage: Arc<Stage>,
    views: Views,
    pending: Vec<(Vec<OpNo>, Ending)>,
    streams: Vec<(Target, WatchKind, Streaming)>,
    guard: Option<SyncKeepAlive>,
    written: u64,
    /// The result of presenting the credential, and whether it was taken.
    presenting: Option<AsyncResult<()>>,
    permitted: bool,
    /// The first number that its clients had.
    number: ClientNo,
}

type Streaming = AsyncResult<zk_client::WatchStream>;

/// Runs a program until the end of its run.
pub(crate) async fn live(scene: Scene, machine: Machine, style: Style, rng: Rng) {
    let mut actor = Actor::start(scene, machine, style, rng);
    actor.act().await;
    actor.rest().await;
    actor.end().await;
}

impl Actor {
    fn start(scene: Scene, machine: Machine, style: Style, rng: Rng) -> Self {
        let client = scene
            .setup
            .client(&scene.servers.hosts(), &style)
            .start(machine.handler())
            .expect("the options are valid");
        let no = scene.recorder.client();
        let truthful = scene.setup.truthful;
        let eyes = Eyes::new(no, &machine, &scene.recorder, &client, truthful);
        let stage = Arc::new(Stage {
            eyes: Mutex::new(eyes),
            rests: AtomicBool::new(false),
            over: AtomicBool::new(false),
            name: format!("client {} on {}", no.0, machine.name()),
        });
        let mut stages = scene.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.push(Arc::clone(&stage));
        drop(stages);
        Self {
            scene,
            machine,
            style,
            rng,
            stage,
            views: Views::new(client),
            pending: Vec::new(),
            streams: Vec::new(),
            guard: None,
            written: 0,
            presenting: None,
            permitted: false,
            number: no,
        }
    }

    fn client(&self) -> &Client {
        &self.views.root
    }

    fn no(&self) -> ClientNo {
        self.stage.eyes().no
    }

    /// Asks for one thing after the other.
    async fn act(&mut self) {
        while self.scene.phase() == Phase::Faults {
            let burst = match self.rng.below(12) {
                0 => 2 + self.rng.below(12),
                _ => 1,
            };
            if self.pending.len() < 24 {
                for _ in 0..burst {
                    self.ask();
                }
            }
            if self.rng.chance(0.012) && !self.scene.setup.substitutes {
                self.begin_anew().await;
            }
            self.pause().await;
        }
    }

    /// Waits a while, taking down what happens.
    async fn pause(&mut self) {
        let mean = self.scene.setup.pause;
        let time = self.rng.pause(mean).min(mean * 10);
        let sleep = self.machine.sleep(time);
        self.until(sleep).await;
    }

    /// Waits for something, taking down what happens.
    async fn until<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.poll(cx);
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Takes down everything that has happened, operations in the order of their submission.
    fn poll(&mut self, cx: &mut Context<'_>) {
        self.stage.eyes().watch(cx);
        let stage = &self.stage;
        self.streams.retain_mut(|(target, kind, result)| {
            match Pin::new(result).poll(cx) {
                Poll::Ready(Ok(stream)) => stage.eyes().stream(*target, *kind, stream),
                Poll::Ready(Err(_)) => {}
                Poll::Pending => return true,
            }
            false
        });
        if let Some(Poll::Ready(taken)) = self.presenting.as_mut().map(|it| Pin::new(it).poll(cx)) {
            self.presenting = None;
            self.permitted = taken.is_ok();
        }
        self.pending.retain_mut(|(ops, ending)| {
            let Poll::Ready(done) = ending.as_mut().poll(cx) else {
                return true;
            };
            stage.eyes().finish(ops, done);
            false
        });
    }

    /// Forgets an operation that is under way.
    fn abandon(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let place = self.rng.below(self.pending.len());
        let (ops, ending) = self.pending.remove(place);
        drop(ending);
        let ends = vec![Ended::Unknown; ops.len()];
        let done = Done {
            ends,
            watch: None,
            no_auth: false,
        };
        self.stage.eyes().finish(&ops, done);
        self.scene.recorder.count("operations abandoned");
    }

    /// Goes on with another session, or with this one in another client.
    async fn begin_anew(&mut self) {
        self.guard = None;
        let choice = self.rng.below(3);
        match choice {
            0 => {
                self.scene.recorder.count("clients restarted");
                self.stage.drain();
                let (at, client) = (self.machine.sim_now(), self.no());
                let closing = Event::Closing { client };
                self.scene.recorder.push(at, closing);
                self.stage.eyes().restarts();
                let client = self.client().clone();
                let restarted = self.until(client.restart()).await;
                if let Err(error) = restarted {
                    let what = format!("{}: restart: {error:?}", self.stage.name());
                    self.scene.recorder.broken(self.machine.sim_now(), what);
                }
                self.stage.eyes().turn_to(&client);
            }
            1 => {
                let Some((id, password)) = self.client().client_id() else {
                    return;
                };
                self.scene.recorder.count("sessions handed over");
                let client = self.client().clone();
                let _ = self.until(client.detach()).await;
                self.replace(|builder| {
                    builder.resume(id, password);
                });
            }
            _ => {
                self.scene.recorder.count("clients replaced");
                self.stage.drain();
                let (at, no) = (self.machine.sim_now(), self.no());
                let closing = Event::Closing { client: no };
                self.scene.recorder.push(at, closing);
                self.stage.eyes().restarts();
                let client = self.client().clone();
                let _ = self.until(client.close()).await;
                self.stage.eyes().drain();
                self.replace(|_| ());
            }
        }
    }

    fn replace(&mut self, refine: impl FnOnce(&mut zk_client::Builder)) {
        let setup = Arc::clone(&self.scene.setup);
        let mut builder = setup.client(&self.scene.servers.hosts(), &self.style);
        refine(&mut builder);
        let client = builder
            .start(self.machine.handler())
            .expect("the options are valid");
        self.views = Views::new(client.clone());
        (self.presenting, self.permitted) = (None, false);
        self.stage.eyes().turn_to(&client);
    }

    /// Waits until everything has ended, and the session can be used.
    async fn rest(&mut self) {
        self.guard = None;
        loop {
            let connected = self.client().clone().until_connected();
            let _ = self.until(connected).await;
            let sleep = self.machine.sleep(Duration::from_millis(20));
            self.until(sleep).await;
            let mine = |no: &ClientNo| *no == self.number;
            let open = self.scene.recorder.lock().open.values().any(mine);
            let quiet = !open && self.pending.is_empty() && self.streams.is_empty();
            let quiet = quiet && self.presenting.is_none();
            if quiet && self.client().connected() {
                break;
            }
        }
        // All that was on the way is here once this is answered.
        let client = self.client().clone();
        let last = client.exists("/").linearizable();
        let _ = self.until(last).await;
        self.stage.rests.store(true, Ordering::Relaxed);
        while self.scene.phase() != Phase::End {
            let sleep = self.machine.sleep(Duration::from_millis(100));
            self.until(sleep).await;
        }
    }

    /// Gives everything back, and looks whether anything is left.
    async fn end(&mut self) {
        while self.stage.eyes().watches() > 0 {
            self.stage.eyes().drop_watch(0);
        }
        self.look_for_leaks("at rest").await;
        self.stage.drain();
        let (at, client) = (self.machine.sim_now(), self.no());
        let closing = Event::Closing { client };
        self.scene.recorder.push(at, closing);
        let client = self.client().clone();
        if let Err(error) = self.until(client.close()).await {
            let what = format!("{}: close: {error:?}", self.stage.name());
            self.scene.recorder.broken(self.machine.sim_now(), what);
        }
        self.stage.eyes().drain();
        self.look_for_leaks("when closed").await;
        self.stage.over.store(true, Ordering::Relaxed);
    }

    async fn look_for_leaks(&mut self, when: &str) {
        let mut left = Ok(());
        // A ping, or the removal of a watch, may be under way.
        for _ in 0..100 {
            let mut counters = leaks(self.client());
            let session = self.stage.session();
            let watches = session.map_or(0, |session| self.scene.servers.watches_of(session));
            counters.push(("watches on the server", watches as u64));
            left = check_leaks(&counters);
            if left.is_ok() {
                return;
            }
            let sleep = self.machine.sleep(Duration::from_millis(50));
            self.until(sleep).await;
        }
        if let Err(left) = left {
            let what = format!("{}: {when}: {left}", self.stage.name());
            self.scene.recorder.broken(self.machine.sim_now(), what);
        }
    }
}

fn leaks(client: &Client) -> Vec<(&'static str, u64)> {
    let stats = client.stats();
    let session = &stats.session;
    [
        ("in_flight", session.in_flight),
        ("queued", session.queued),
        ("pending_bytes", session.pending_bytes),
        ("watches", session.watches),
        ("watched_paths", session.watched_paths),
        ("timers", session.timers),
        ("deadlines", session.deadlines),
        ("events", session.events),
        ("callbacks_queued", stats.callbacks_queued),
        ("waiting_for_room", stats.waiting_for_room),
    ]
    .map(|(name, count)| (name, count as u64))
    .to_vec()
}

impl Drop for Actor {
    /// Its machine has crashed, unless it is at its end: nobody learns what becomes of the rest.
    fn drop(&mut self) {
        if self.stage.over.swap(true, Ordering::Relaxed) {
            return;
        }
        let (at, recorder) = (self.machine.sim_now(), &self.scene.recorder);
        let mut eyes = self.stage.eyes();
        let client = eyes.no;
        while eyes.watches() > 0 {
            eyes.drop_watch(0);
        }
        drop(eyes);
        let open: Vec<OpNo> = {
            let record = recorder.lock();
            let open = record.open.iter();
            open.filter(|(_, no)| **no == self.number)
                .map(|(op, _)| *op)
                .collect()
        };
        for op in open {
            recorder.end(at, op, Ended::Unknown);
        }
        recorder.push(at, Event::Closing { client });
        recorder.count("clients killed");
    }
}
