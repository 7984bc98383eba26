//! [`Driver`]: the task that drives one client on an async runtime.
//!
//! Each poll serves the client in turns: news of a connection go in, actions and bytes come out,
//! all under one lock; then, without it, one write for everything. A turn reads once. After some
//! turns the runtime's other tasks have their share, and the driver is polled again. When nothing
//! is left to do it sleeps: until a socket is ready, until the session's deadline, or until the
//! core's waker is called, which happens only while it sleeps.
//!
//! A runtime that is shut down drops the task. The drop writes all that was queued, and
//! closeSession behind it, as far as the socket takes it at once, and lets nobody hang.

use std::future::Future;
use std::iter;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use zk_client::Core;
use zk_session::{Action, ConnId, State};

use crate::connect::connect;
use crate::link::{Link, News};
use crate::threads::contained;
use crate::{Base, Process, Runtime, Timer, clock};

mod scratch;

use scratch::Scratch;

/// How often a client is served in a row while it has more to do right away.
const TURNS: usize = 4;
/// How long a connection that is being closed may take for what is left to be written.
const LINGER: Duration = Duration::from_secs(1);
/// How often callbacks are tried again when no thread could be started for them.
const STARVED: Duration = Duration::from_millis(100);

/// The task that drives one client. It ends when nothing is left to drive.
pub struct Driver<R: Runtime> {
    runtime: Arc<R>,
    base: Arc<Base>,
    /// `None`: there is nothing left to drive.
    core: Option<Arc<Core>>,
    /// The task's waker, of which the core has been told.
    waker: Option<Waker>,
    /// One, and a second one while it looks for a better server.
    links: Vec<Link<R::Socket>>,
    /// Links that are closing, and the moment when that takes too long.
    closing: Vec<(Instant, Link<R::Socket>)>,
    /// What the session wants.
    deadline: Option<Instant>,
    timer: R::Timer,
    /// What the timer is set to: often earlier than the deadline, which moves with every reply.
    armed: Option<Instant>,
    actions: Vec<Action>,
}

/// What is left to do for the client.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum After {
    /// Nothing until something happens.
    Rest,
    /// More, right away.
    More,
    /// Nothing, ever.
    Finished,
}

impl<R: Runtime> Driver<R> {
    pub(crate) fn new(runtime: &Arc<R>, base: &Arc<Base>, core: Arc<Core>) -> Self {
        // First, as it panics where the runtime has no clock.
        let timer = runtime.timer();
        base.workers.loop_started();
        Self {
            timer,
            runtime: Arc::clone(runtime),
            base: Arc::clone(base),
            core: Some(core),
            waker: None,
            links: Vec::new(),
            closing: Vec::new(),
            deadline: None,
            armed: None,
            actions: Vec::new(),
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.base.process.is_forked() {
            return Poll::Ready(());
        }
        self.tell_waker(cx);
        if self.base.workers.is_starved() {
            self.base.workers.retry();
        }
        let mut scratch = Scratch::take();
        let now = clock::now();
        self.closing
            .retain_mut(|(until, link)| *until > now && !link.close_on(cx, &mut scratch.read));
        // Has the session been visited since the last news, and does it want nothing more?
        let mut rests = false;
        for _ in 0..TURNS {
            let heard = self.hear(cx, &mut scratch);
            let after = match heard {
                Some(after) => after,
                None if rests => After::Rest,
                None => self.turn(cx, None, &mut scratch),
            };
            if after == After::Finished && self.closing.is_empty() {
                return Poll::Ready(());
            }
            // After news the links are polled once more: each has to promise to wake the task.
            if heard.is_none() && after != After::More && self.sleep(cx) {
                return Poll::Pending;
            }
            rests = after == After::Rest && heard.is_some();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn tell_waker(&mut self, cx: &Context<'_>) {
        let known = |waker: &Waker| waker.will_wake(cx.waker());
        let Some(core) = self.core.as_ref() else {
            return;
        };
        if !self.waker.as_ref().is_some_and(known) {
            self.waker = Some(cx.waker().clone());
            core.set_waker(Waker::from(Arc::new(Bell {
                task: cx.waker().clone(),
                core: Arc::downgrade(core),
                process: self.base.process.clone(),
            })));
        }
    }

    /// Goes on with each link, as far as it is possible now, and tells the session. `None`: there
    /// are no news, and each link will wake the task.
    fn hear(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Option<After> {
        let mut after = None;
        let mut index = 0;
        while let Some(link) = self.links.get_mut(index) {
            link.write(cx);
            let Some(news) = link.advance(cx, &mut scratch.read) else {
                index += 1;
                continue;
            };
            let conn = link.conn;
            if matches!(news, News::Lost(_)) {
                self.links.remove(index);
            } else {
                index += 1;
            }
            after = after.max(Some(self.turn(cx, Some((conn, news)), scratch)));
        }
        after
    }

    /// Lets the session have the news, does what it asks for, and writes.
    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        news: Option<(ConnId, News)>,
        scratch: &mut Scratch,
    ) -> After {
        let Some(core) = &self.core else {
            return After::Finished;
        };
        let now = clock::now();
        let due = self.deadline.is_some_and(|at| at <= now);
        let (links, actions) = (&mut self.links, &mut self.actions);
        let (deadline, lost) = core.with(|session| {
            match news {
                Some((conn, News::Connected)) => session.handle_connected(now, conn),
                Some((conn, News::Data(count))) => {
                    session.handle_data(now, conn, &scratch.read[..count]);
                }
                Some((conn, News::Lent(lent))) => session.handle_lent(now, conn, lent),
                Some((conn, News::Lost(why))) => session.handle_disconnected(now, conn, why),
                None => {}
            }
            if due {
                session.handle_timeout(now);
            }
            actions.extend(iter::from_fn(|| session.poll_action()));
            for link in links {
                link.fetch(session, now, &mut scratch.write);
            }
            // The last byte may have been what a close was waiting for.
            actions.extend(iter::from_fn(|| session.poll_action()));
            (session.poll_timeout(), session.state() == State::Lost)
        });
        self.deadline = deadline;
        let mut after = After::Rest;
        for link in &mut self.links {
            link.write(cx);
            if link.wants_more(&mut scratch.write) {
                after = After::More;
            }
        }
        if !self.actions.is_empty() {
            // What is new has not been polled yet.
            after = After::More;
            self.act(cx, &mut scratch.read);
        }
        if lost && self.is_finished() {
            return After::Finished;
        }
        // While events wait, which the core has taken out by now, the session's deadline is now.
        if deadline.is_some_and(|at| at <= now) {
            after = After::More;
        }
        after
    }

    fn act(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) {
        for action in std::mem::take(&mut self.actions) {
            match action {
                Action::Connect {
                    conn,
                    server,
                    attempt,
                } => {
                    let (runtime, resolver) = (&self.runtime, &self.base.resolver);
                    let (runtime, resolver) = (Arc::clone(runtime), Arc::clone(resolver));
                    let connecting = Box::pin(connect(runtime, resolver, server, attempt));
                    self.links.push(Link::new(conn, connecting));
                }
                Action::Disconnect { conn, abort } => {
                    let Some(place) = self.links.iter().position(|link| link.conn == conn) else {
                        continue;
                    };
                    let mut link = self.links.remove(place);
                    if !abort && !link.close_on(cx, buffer) {
                        self.closing.push((clock::now() + LINGER, link));
                    }
                }
                Action::Sasl { conn, work } => {
                    if let Some(core) = &self.core {
                        core.authenticate(conn, work);
                    }
                }
            }
        }
    }

    /// Asks the core, and lets go of it if it is.
    fn is_finished(&mut self) -> bool {
        let finished = self.core.as_ref().is_none_or(|core| core.is_finished());
        if finished && self.core.take().is_some() {
            self.links.clear();
            self.deadline = None;
            self.base.workers.loop_ended();
        }
        finished
    }

    /// Nothing is left to do. `true`: that is still so, and the task will be woken.
    fn sleep(&mut self, cx: &mut Context<'_>) -> bool {
        let closing = self.closing.iter().map(|(until, _)| *until).min();
        let starved = self.base.workers.is_starved();
        let starved = starved.then(|| clock::now() + STARVED);
        let next = [self.deadline, closing, starved]
            .into_iter()
            .flatten()
            .min();
        self.timer_sleeps(cx, next) && self.core.as_ref().is_none_or(|core| core.prepare_sleep())
    }

    /// Sees to it that the task is woken at that moment. `false`: it has come.
    fn timer_sleeps(&mut self, cx: &mut Context<'_>, at: Option<Instant>) -> bool {
        let Some(at) = at else { return true };
        loop {
            let left = at.saturating_duration_since(clock::now());
            if left.is_zero() {
                return false;
            }
            if self.armed.is_none_or(|armed| armed > at) {
                self.timer.set(left);
                self.armed = Some(at);
            }
            if self.timer.poll(cx).is_pending() {
                return true;
            }
            self.armed = None;
        }
    }

    /// The end, if it comes too early: nobody is to hang, and the servers are to know.
    fn give_up(&mut self) {
        let core = self.core.take();
        let now = clock::now();
        if self.base.process.is_forked() {
            // What is on the way is the parent's; not even its event queue may hear of it.
            std::mem::forget(std::mem::take(&mut self.links));
            std::mem::forget(std::mem::take(&mut self.closing));
        } else if contained(|| self.say_farewell(core.as_ref(), now)).is_none() {
            tracing::error!("a client that was given up panicked when it closed its session");
        }
        if let Some(core) = core {
            core.abandon(now);
            self.base.workers.loop_ended();
        }
    }

    fn say_farewell(&mut self, core: Option<&Arc<Core>>, now: Instant) {
        if let Some(core) = core {
            core.with(|session| {
                session.close(now, LINGER);
                for link in &mut self.links {
                    link.fetch_all(session, now);
                }
            });
        }
        let closing = self.closing.iter_mut().map(|(_, link)| link);
        self.links
            .iter_mut()
            .chain(closing)
            .for_each(Link::write_last);
    }
}

impl<R: Runtime> Future for Driver<R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        // What panics in one client is not to end a thread that serves others.
        let polled = contained(|| this.drive(cx)).unwrap_or_else(|| {
            tracing::error!("driving a client panicked; it is given up, others go on");
            Poll::Ready(())
        });
        if polled.is_ready() {
            this.give_up();
        }
        polled
    }
}

impl<R: Runtime> Drop for Driver<R> {
    fn drop(&mut self) {
        if contained(|| self.give_up()).is_none() {
            tracing::error!("giving a client up panicked");
        }
    }
}

/// The waker of a client's core: the task's own, but in a forked child.
struct Bell {
    task: Waker,
    core: Weak<Core>,
    process: Process,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.process.is_forked() {
            self.task.wake_by_ref();
        } else if let Some(core) = self.core.upgrade() {
            // The task is in another process, and the connection is not ours.
            core.abandon(clock::now());
        }
    }
}
