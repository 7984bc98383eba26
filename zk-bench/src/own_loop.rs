//! A loop of the program's own, on the thread that uses the clients: no thread is woken, and what
//! is measured is the client itself.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime};

use async_executor::Executor;
use mio::net::TcpStream;
use mio::{Events, Interest, Registry, Token};
use zk_client::{
    AsyncResult, Callback, ClientId, Core, Error as ClientError, FourLetterWord, Handler,
    LinkError, StartError, Task,
};
use zk_proto::ServerAddr;
use zk_session::{Flow, Wire};

use crate::error::Error;

/// Rounds of one client before the others have their turn.
const TURNS: usize = 4;

/// Keeps clients for the loop.
#[derive(Debug, Default)]
pub(crate) struct OwnLoop {
    new: Mutex<Vec<Arc<Core>>>,
    executor: Arc<Executor<'static>>,
}

impl OwnLoop {
    /// With an executor, which the loop runs, too.
    pub(crate) fn new(executor: &Arc<Executor<'static>>) -> Self {
        Self {
            new: Mutex::default(),
            executor: Arc::clone(executor),
        }
    }

    /// Runs a future to its end, with all clients and tasks that come of it.
    pub(crate) fn run(&self, future: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        let mut poll = mio::Poll::new().map_err(Error::io("poll"))?;
        let mut events = Events::with_capacity(1024);
        let mut driven: Vec<Driven> = Vec::new();
        let flag = Flag::raised();
        let waker = Waker::from(Arc::clone(&flag));
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        // A task that is woken raises the flag.
        let mut tasks = pin!(self.executor.run(std::future::pending::<()>()));
        loop {
            while flag.take() {
                if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
                    return result;
                }
                let _ = tasks.as_mut().poll(&mut cx);
            }
            for core in std::mem::take(&mut *lock(&self.new)) {
                driven.push(Driven::new(core));
            }
            let now = Instant::now();
            let mut busy = false;
            let mut next: Option<Instant> = None;
            for (index, driven) in driven.iter_mut().enumerate() {
                if driven.wants_service(now) {
                    busy |= driven.serve(poll.registry(), Token(index));
                }
                next = [next, driven.deadline].into_iter().flatten().min();
            }
            let rests = !busy && !flag.is_raised() && lock(&self.new).is_empty();
            let wait = if rests {
                next.map(|at| at.saturating_duration_since(Instant::now()))
            } else {
                Some(Duration::ZERO)
            };
            match poll.poll(&mut events, wait) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                polled => polled.map_err(Error::io("poll"))?,
            }
            for event in &events {
                if let Some(driven) = driven.get_mut(event.token().0) {
                    driven.ready = true;
                }
            }
        }
    }
}

/// One client.
struct Driven {
    core: Arc<Core>,
    wire: Wire<TcpStream>,
    /// Something was submitted.
    flag: Arc<Flag>,
    /// Its socket is ready.
    ready: bool,
    deadline: Option<Instant>,
}

impl Driven {
    fn new(core: Arc<Core>) -> Self {
        let flag = Flag::raised();
        core.set_waker(Waker::from(Arc::clone(&flag)));
        Self {
            core,
            wire: Wire::new(),
            flag,
            ready: true,
            deadline: None,
        }
    }

    fn wants_service(&self, now: Instant) -> bool {
        self.ready || self.flag.is_raised() || self.deadline.is_some_and(|at| at <= now)
    }

    /// `true`: there is more to do at once.
    fn serve(&mut self, registry: &Registry, token: Token) -> bool {
        self.flag.take();
        self.ready = false;
        for _ in 0..TURNS {
            let wire = &mut self.wire;
            let flow = self.core.with(|session| {
                wire.follow(session, Instant::now, |server, _| {
                    connect(server, registry, token)
                });
                let flow = wire.turn(session, Instant::now);
                session.handle_timeout(Instant::now());
                flow
            });
            self.deadline = self.core.look(zk_session::Session::poll_timeout);
            if self.core.is_finished() {
                self.deadline = None;
                return false;
            }
            if flow != Flow::Moved && self.core.prepare_sleep() {
                return false;
            }
        }
        self.ready = true;
        true
    }
}

/// Connects, and waits for that: what is measured is not this.
fn connect(server: &ServerAddr, registry: &Registry, token: Token) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = (server.host(), server.port()).to_socket_addrs()?.collect();
    let stream = std::net::TcpStream::connect(addresses.as_slice())?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

/// Raised by whoever wakes.
#[derive(Debug)]
struct Flag(AtomicBool);

impl Flag {
    fn raised() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self) -> bool {
        self.is_raised() && self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Handler for OwnLoop {
    fn name(&self) -> &'static str {
        "own loop"
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn identity(&self) -> &'static str {
        "zk-bench"
    }

    /// Nobody attacks a measurement.
    fn entropy(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&std::process::id().to_le_bytes());
        seed
    }

    fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
        lock(&self.new).push(core);
        Ok(())
    }

    fn spawn(&self, task: Task) {
        self.executor.spawn(task).detach();
    }

    fn dispatch(&self, _: ClientId, callback: Callback) {
        self.executor.spawn(async move { callback.run() }).detach();
    }

    fn may_block(&self) -> bool {
        false
    }

    fn four_letter(&self, _: FourLetterWord, _: Duration) -> AsyncResult<String> {
        AsyncResult::ready(Err(ClientError::Command(LinkError::Silent)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
