//! The loop: what can run runs, and only then time passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use super::{Pace, Sim};
use crate::driver::{After, Driver};
use crate::executor::{Job, lock};
use crate::rng::nanos;
use crate::serve::ServerCell;
use crate::trace::Kind;
use crate::world::{Admission, Event, State};
use crate::{SimError, alarm};

/// How often something may run without time passing. Far above what a busy universe needs.
const TURNS: u32 = 1_000_000;

impl Sim {
    /// Runs until `main` says so, nothing can happen, or the limit.
    pub(super) fn run(
        &self,
        limit: Limit<'_>,
        main: &mut dyn FnMut() -> bool,
    ) -> Result<(), SimError> {
        if self.running.swap(true, Ordering::Relaxed) {
            return Err(SimError::Nested { seed: self.seed() });
        }
        let _runs = Runs(&self.running);
        let listener = alarm::listen(&self.world.alarm);
        tracing::dispatcher::with_default(&listener, || self.turn(limit, main))
    }

    fn turn(&self, mut limit: Limit<'_>, main: &mut dyn FnMut() -> bool) -> Result<(), SimError> {
        let world = &self.world;
        let mut turns = 0;
        loop {
            let job = world.queue.pick(&mut lock(&world.order));
            turns += 1;
            if turns > TURNS {
                let (seed, at) = (self.seed(), self.now());
                return Err(SimError::Livelock { seed, at });
            }
            if let Some(job) = job {
                let done = self.run_job(job, main);
                self.look_for_errors()?;
                if done {
                    return Ok(());
                }
                continue;
            }
            let at = world.now();
            let until = match &mut limit {
                Limit::At(until) => *until,
                Limit::Paced(pace) => {
                    let next = world.enter(|state| state.schedule.next());
                    match pace(next.map(Duration::from_nanos)) {
                        Pace::Until(until) => nanos(until).max(world.now()),
                        Pace::Stop => return Ok(()),
                    }
                }
            };
            let event = world.enter(|state| {
                let at = state.schedule.next().filter(|at| *at <= until);
                if at.is_none() && (limit.is_paced() || state.schedule.next().is_some()) {
                    world.set_now(state, until);
                }
                let (at, event) = at.and_then(|_| state.schedule.pop())?;
                if at > state.now {
                    world.set_now(state, at);
                }
                state.happen(event)
            });
            if limit.is_paced() || world.now() > at {
                turns = 0;
            }
            match event {
                Some(event) => self.happen(event),
                None if limit.is_paced() => {}
                None => return Ok(()),
            }
            self.look_for_errors()?;
        }
    }

    fn look_for_errors(&self) -> Result<(), SimError> {
        match self.world.alarm.take() {
            None => Ok(()),
            Some((at, message)) => Err(SimError::ErrorLogged {
                seed: self.seed(),
                at,
                message,
            }),
        }
    }

    /// `true`: it was the main future, and it is done.
    fn run_job(&self, job: Job, main: &mut dyn FnMut() -> bool) -> bool {
        let world = &*self.world;
        let job = match world.enter(|state| state.admit(job)) {
            Admission::Run(job) => job,
            Admission::Parked => return false,
            Admission::Drop(job) => {
                if let Job::Server(server) = job {
                    server.unqueued();
                }
                return false;
            }
        };
        match job {
            Job::Main => return main(),
            Job::Task(task) => {
                if task.poll() {
                    let (host, number) = (task.place.host, task.number);
                    drop(world.enter(|state| state.hosts[host].tasks.remove(&number)));
                } else if !world.enter(|state| state.lives(task.place)) {
                    // It has ended its own machine.
                    drop(task.take());
                }
            }
            Job::Driver(driver) => {
                if let After::Finished = driver.serve(world) {
                    let (host, number) = (driver.place.host, driver.number);
                    let removed = world.enter(|state| {
                        let drivers = &mut state.hosts[host].drivers;
                        // A restarted client has another driver by now.
                        let own = |it: &mut Arc<_>| Arc::ptr_eq(it, &driver);
                        let own = drivers.get_mut(&number).is_some_and(own);
                        own.then(|| drivers.remove(&number))
                    });
                    drop(removed);
                }
            }
            Job::Callbacks(queue) => queue.run(),
            Job::Server(server) => server.serve(world),
        }
        false
    }

    fn happen(&self, event: Happened) {
        match event {
            Happened::Nothing => {}
            Happened::Driver(driver, at) => driver.timer(at),
            Happened::Server(server, at) => server.timer(at),
            Happened::Wake(waker) => waker.wake(),
            Happened::Call(call) => call(),
        }
    }
}

/// How far time may go.
pub(super) enum Limit<'a> {
    At(u64),
    /// As somebody says whenever nothing can run.
    Paced(&'a mut dyn FnMut(Option<Duration>) -> Pace),
}

impl Limit<'_> {
    fn is_paced(&self) -> bool {
        matches!(self, Self::Paced(_))
    }
}

/// What is left to do about an event with no lock held.
enum Happened {
    Nothing,
    Driver(Arc<Driver>, u64),
    Server(Arc<ServerCell>, u64),
    Wake(Waker),
    Call(Box<dyn FnOnce() + Send>),
}

impl State {
    fn happen(&mut self, event: Event) -> Option<Happened> {
        Some(match event {
            Event::Arrive { key, direction } => {
                self.arrive(key, direction);
                Happened::Nothing
            }
            Event::Flush { key, direction } => {
                self.flush(key, direction);
                Happened::Nothing
            }
            Event::Driver(driver, at) => match driver.upgrade() {
                Some(driver) => Happened::Driver(driver, at),
                None => Happened::Nothing,
            },
            Event::Server(server, at) => Happened::Server(server, at),
            Event::Message { from, to, message } => {
                let reaches = self.hosts[to.host].up && !self.net.links.is_blocked(from, to.host);
                let names = [&self.hosts[from].name, &self.hosts[to.host].name];
                let from = Arc::clone(names[0]);
                let line = format!("{} <- {from} {}", names[1], message.label());
                if reaches {
                    self.note_line(Kind::Arrived, &line);
                    to.deliver(from, message);
                } else {
                    self.note_line(Kind::Lost, &format!("{line} is lost"));
                }
                Happened::Nothing
            }
            Event::Wake(waker) => Happened::Wake(waker),
            Event::Call(call) => Happened::Call(call),
        })
    }
}

/// Says that the universe no longer runs, also after a panic.
struct Runs<'a>(&'a AtomicBool);

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
