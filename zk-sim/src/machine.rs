//! [`Machine`]: a host with clients, tasks and servers, a clock of its own, and a power switch.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use zk_client::{AsyncResult, Handler, Task};
use zk_proto::ServerAddr;

use crate::executor::{Job, Place, lock};
use crate::handler::SimHandler;
use crate::net::Owner;
use crate::rng::nanos;
use crate::socket::Socket;
use crate::trace::Kind;
use crate::world::{Event, World};

pub(crate) type Boot = Arc<dyn Fn(Machine) -> Task + Send + Sync>;

/// A machine. Names are those of hosts: `s1` for a server at `s1:2181`. Cheap to clone.
#[derive(Clone)]
pub struct Machine {
    world: Arc<World>,
    host: usize,
    name: Arc<str>,
}

/// How a machine goes down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Crash {
    /// Its programs are killed. The system goes on, and resets their connections.
    Killed,
    /// It loses power: its peers hear nothing, also not that something is wrong.
    PowerLoss,
}

impl Machine {
    pub(crate) fn of(world: &Arc<World>, host: usize) -> Self {
        let name = Arc::clone(&world.lock().hosts[host].name);
        Self {
            world: Arc::clone(world),
            host,
            name,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What drives clients on this machine until it crashes.
    pub fn handler(&self) -> Arc<dyn Handler> {
        Arc::new(SimHandler::new(&self.world, self.host))
    }

    /// Starts a program: a task that ends with the machine.
    pub fn spawn<T: Send + 'static>(
        &self,
        program: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        let (completer, result) = AsyncResult::pair();
        let task = async move { completer.complete(Ok(program.await)) };
        self.world.spawn(self.place(), Task::new(task));
        Running(result)
    }

    /// Starts a program now, and again after every [`restart`](Self::restart).
    pub fn boot<F: Future<Output = ()> + Send + 'static>(
        &self,
        program: impl Fn(Self) -> F + Send + Sync + 'static,
    ) {
        let boot: Boot = Arc::new(move |machine| Task::new(program(machine)));
        let before = self.enter(|state| state.boot.replace(Arc::clone(&boot)));
        drop(before);
        self.world.spawn(self.place(), boot(self.clone()));
    }

    /// Connects to a server without a client, such as `s1:2181`.
    ///
    /// # Errors
    /// No such machine, refused, or reset. A machine that does not answer is waited for without end.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<Socket> {
        let server = ServerAddr::new(host, port);
        Ok(Socket::connect(self, &server).await?)
    }

    // The clock. -------------------------------------------------------------------------------

    /// What its steady clock shows. The clocks of two machines have nothing to do with each other.
    pub fn now(&self) -> Instant {
        let clock = self.enter(|host| Arc::clone(&host.clock));
        lock(&clock).now(self.world.now())
    }

    /// What its wall clock shows.
    pub fn wall_clock(&self) -> SystemTime {
        let clock = self.enter(|host| Arc::clone(&host.clock));
        lock(&clock).wall(self.world.now())
    }

    /// When, in the time of [`Sim::now`](crate::Sim::now), its steady clock shows this: exact for
    /// what is to come, if the clock is not changed again. What was before its last change is put
    /// at that change.
    pub fn sim_time_of(&self, at: Instant) -> Duration {
        let clock = self.enter(|host| Arc::clone(&host.clock));
        let at = lock(&clock).true_time_of(at);
        Duration::from_nanos(at)
    }

    /// The time of [`Sim::now`](crate::Sim::now), which a program must not know, but whoever records
    /// what it does.
    pub fn sim_now(&self) -> Duration {
        Duration::from_nanos(self.world.now())
    }

    /// Resolves when so much time has passed on its steady clock.
    pub fn sleep(&self, time: Duration) -> Sleep {
        let now = self.now();
        let never = || now + Duration::from_secs(u32::MAX.into());
        Sleep {
            until: now.checked_add(time).unwrap_or_else(never),
            machine: self.clone(),
        }
    }

    /// Lets its clocks run faster by so many millionths, or slower if negative.
    pub fn set_drift(&self, millionths: i32) {
        self.change_clock(&format!("drifts by {millionths} ppm"), |clock, now| {
            clock.set_drift(now, millionths);
        });
    }

    /// Puts both clocks forward at once, as if the machine had been suspended.
    pub fn jump_clock(&self, by: Duration) {
        self.change_clock(&format!("jumps by {by:?}"), |clock, now| {
            clock.jump(now, by)
        });
    }

    /// Sets the wall clock forward, or back if negative, by milliseconds.
    pub fn jump_wall_clock(&self, millis: i64) {
        self.change_clock(&format!("sets its clock by {millis} ms"), |clock, _| {
            clock.jump_wall(millis.saturating_mul(1_000_000));
        });
    }

    fn change_clock(&self, what: &str, change: impl FnOnce(&mut crate::clock::Clock, u64)) {
        let now = self.world.now();
        let (drivers, servers, tasks) = self.world.enter(|state| {
            let host = &state.hosts[self.host];
            change(&mut lock(&host.clock), now);
            let found = (
                host.drivers.values().cloned().collect::<Vec<_>>(),
                host.servers.clone(),
                host.tasks.values().cloned().collect::<Vec<_>>(),
            );
            state.note_line(Kind::Fault, &format!("{} {what}", self.name));
            found
        });
        drivers.iter().for_each(|driver| driver.clock_changed());
        servers.iter().for_each(|server| server.clock_changed());
        tasks.iter().for_each(|task| task.schedule());
        self.world.queue.push(Job::Main);
    }

    // The power switch. ------------------------------------------------------------------------

    /// Stops all that runs on it. Its sockets' buffers fill, its clocks go on.
    pub fn pause(&self) {
        self.world.enter(|state| {
            state.hosts[self.host].paused = true;
            state.note_line(Kind::Fault, &format!("{} is paused", self.name));
        });
    }

    /// Goes on after a [`pause`](Self::pause).
    pub fn resume(&self) {
        let parked = self.world.enter(|state| {
            state.note_line(Kind::Fault, &format!("{} goes on", self.name));
            let host = &mut state.hosts[self.host];
            host.paused = false;
            std::mem::take(&mut host.parked)
        });
        self.world.resume_jobs(parked);
    }

    /// Ends everything on it at once: tasks, callbacks, clients, connections. Servers keep what
    /// they have on their disks.
    pub fn crash(&self, how: Crash) {
        let now = self.now();
        let (tasks, drivers, callbacks, servers, parked) = self.world.enter(|state| {
            let host = &mut state.hosts[self.host];
            host.up = false;
            host.powered = how == Crash::Killed;
            host.life += 1;
            let gone = (
                std::mem::take(&mut host.tasks),
                std::mem::take(&mut host.drivers),
                std::mem::take(&mut host.callbacks),
                host.servers.clone(),
                std::mem::take(&mut host.parked),
            );
            state.note_line(Kind::Fault, &format!("{} crashes, {how:?}", self.name));
            state.drop_streams(self.host, how == Crash::PowerLoss);
            gone
        });
        // No lock is held: what is dropped may use the universe.
        drop(parked);
        servers.iter().for_each(|server| server.crash());
        tasks.values().for_each(|task| drop(task.take()));
        callbacks.values().for_each(|queue| drop(queue.take()));
        drivers.values().for_each(|driver| driver.core.abandon(now));
    }

    /// Starts it again after a [`crash`](Self::crash): its servers, and what
    /// [`boot`](Self::boot) has named.
    pub fn restart(&self) {
        let started = self.world.enter(|state| {
            let host = &mut state.hosts[self.host];
            if host.up {
                return None;
            }
            (host.up, host.powered, host.paused) = (true, true, false);
            let started = (host.servers.clone(), host.boot.clone());
            state.note_line(Kind::Fault, &format!("{} starts again", self.name));
            Some(started)
        });
        let Some((servers, boot)) = started else {
            return;
        };
        servers.iter().for_each(|server| server.schedule());
        if let Some(boot) = boot {
            self.world.spawn(self.place(), boot(self.clone()));
        }
    }

    /// Does it run, or is it at least paused only?
    pub fn is_up(&self) -> bool {
        self.enter(|host| host.up)
    }

    /// Is it paused?
    pub fn is_paused(&self) -> bool {
        self.enter(|host| host.paused)
    }

    /// Lets its servers refuse new connections. Those that there are stay.
    pub fn refuse_connections(&self) {
        self.set_refuses(true, "refuses");
    }

    /// Lets its servers accept connections again.
    pub fn accept_connections(&self) {
        self.set_refuses(false, "accepts");
    }

    /// Undoes all of this: lets it run, accept connections, and keep the right time.
    pub fn heal(&self) {
        if self.is_paused() {
            self.resume();
        }
        self.restart();
        self.accept_connections();
        self.set_drift(0);
    }

    fn set_refuses(&self, refuses: bool, what: &str) {
        self.world.enter(|state| {
            let servers = &state.hosts[self.host].servers;
            servers
                .iter()
                .for_each(|server| server.set_refuses(refuses));
            state.note_line(Kind::Fault, &format!("{} {what} connections", self.name));
        });
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.world
    }

    pub(crate) fn host(&self) -> usize {
        self.host
    }

    fn place(&self) -> Place {
        let life = self.enter(|host| host.life);
        Place {
            host: self.host,
            life,
        }
    }

    fn enter<R>(&self, f: impl FnOnce(&mut crate::world::Host) -> R) -> R {
        f(&mut self.world.lock().hosts[self.host])
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Machine").field(&self.name).finish()
    }
}

/// A program on a machine. As a future, its result; `None` if the machine crashed before. Dropping
/// it changes nothing.
pub struct Running<T>(AsyncResult<T>);

impl<T> Future for Running<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl<T> fmt::Debug for Running<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running(..)")
    }
}

/// [`Machine::sleep`].
#[must_use = "nobody sleeps until it is awaited"]
#[derive(Debug)]
pub struct Sleep {
    machine: Machine,
    until: Instant,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.until.saturating_duration_since(self.machine.now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        let at = nanos(self.machine.sim_time_of(self.until));
        let waker = cx.waker().clone();
        self.machine
            .world
            .enter(|state| state.schedule.plan(at, Event::Wake(waker)));
        Poll::Pending
    }
}

impl crate::world::State {
    /// A machine has crashed.
    fn drop_streams(&mut self, host: usize, silent: bool) {
        let all = self.net.streams.iter();
        let own: Vec<_> = all
            .flat_map(|(key, stream)| [(key, 0, stream.hosts[0]), (key, 1, stream.hosts[1])])
            .filter(|(.., of)| *of == host)
            .collect();
        for (key, end, _) in own {
            let Some(stream) = self.net.streams.get_mut(key) else {
                continue;
            };
            if stream.ends[end].owner.is_nobody() {
                continue;
            }
            if silent {
                stream.ends[end].silent = true;
                let owner = std::mem::replace(&mut stream.ends[end].owner, Owner::Nobody);
                self.discard(owner);
                self.reap(key);
            } else {
                self.close(key, end, true);
            }
        }
    }

    /// What has broken a stream for an end.
    pub(crate) fn broken(&self, key: crate::slab::Key, end: usize) -> Option<io::ErrorKind> {
        let stream = self.net.streams.get(key);
        let Some(stream) = stream else {
            return Some(io::ErrorKind::ConnectionReset);
        };
        stream.ends[end]
            .over
            .filter(|kind| *kind != io::ErrorKind::UnexpectedEof)
    }
}
