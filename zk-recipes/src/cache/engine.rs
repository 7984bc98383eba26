//! [`Engine`]: the background task that keeps a cache equal to the tree.
//!
//! A watch that covers the tree is set before anything is read. From then on every change is an
//! event, and a node is read whenever there is one about it. Replies come in the order of the
//! requests, and a stream holds all events from before a reply when that is there. So before a reply
//! is used, all events are taken from the stream; if one of them is about the reply's node, the reply
//! may be older, and the node is read again. What is in the cache was thus read after the last event
//! about it, or is about to be read again.
//!
//! Where events may have been missed, the tree is walked over, and compared: a node's data and stat, and
//! its list if that is not known to be as it was.
//!
//! # When nothing has to be compared
//!
//! Every reply says up to which transaction its server has got, and what a watch tells comes before the
//! reply that reveals it. So a cache that has read all and used all its events is the tree as of the
//! newest reply before a loss, and if the server is still there when the watch is set again, then
//! nothing was missed, as nothing was written. That does not hold of events that were dropped as their
//! buffer was full, nor of a second loss of which the gap has not been told yet.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use zk_client::{
    AsyncResult, Error, Notice, ReadResult, State, StateChange, StateStream, WatchStream,
    WeakClient, Zxid,
};

use super::plan::{Ask, Plan};
use super::{CacheEvent, Shared};
use crate::again::{after, alive, is_over_quickly};

mod apply;

/// Requests in flight at once.
const WINDOW: usize = 8;

/// Notices that are kept while the cache is busy. Beyond them it walks over the tree.
const NOTICES: usize = 1 << 14;

pub(crate) struct Engine {
    weak: WeakClient,
    shared: Arc<Shared>,
    plan: Plan,
    states: StateStream,
    watch: Watch,
    in_flight: VecDeque<(Vec<Ask>, AsyncResult<Vec<ReadResult>>)>,
    /// A reply that is used when all events from before it have been.
    held: Option<(Vec<Ask>, Replied)>,
    /// The walk that is under way makes it current.
    walking: bool,
    /// It was complete once, and all gaps since then have been made up for.
    whole: bool,
    /// Connections lost before that walk.
    losses: u64,
    /// Events of streams dropped before that walk.
    overflows: u64,
    /// A notice that has come while functions were called: whether there is more is not known.
    waiting: Option<Option<Notice>>,
    /// There was such a notice, and not all that came then has been taken since.
    behind: bool,
    news: Vec<CacheEvent>,
}

type Replied = Result<Vec<ReadResult>, Error>;

/// The watch that covers the tree.
enum Watch {
    Coming(AsyncResult<WatchStream>),
    Set(WatchStream),
}

/// What an engine is woken by.
enum Woken {
    State(StateChange),
    Armed(Result<WatchStream, Error>),
    Notice(Option<Notice>),
    Reply(Vec<Ask>, Replied),
    Over,
}

impl Engine {
    /// Begins, and goes on until the client is closed or nothing more can be done.
    pub(crate) async fn run(
        weak: WeakClient,
        shared: Arc<Shared>,
        states: StateStream,
    ) -> Result<(), Error> {
        let coming = arm(&weak, &shared.root).await?;
        let engine = Self {
            weak,
            shared: Arc::clone(&shared),
            plan: Plan::default(),
            states,
            watch: Watch::Coming(coming),
            in_flight: VecDeque::new(),
            held: None,
            walking: false,
            whole: false,
            losses: 0,
            overflows: 0,
            waiting: None,
            behind: false,
            news: Vec::new(),
        };
        let result = engine.go_on().await;
        shared.end(match &result {
            Ok(()) => Error::Closed { sent: false },
            Err(error) => error.clone(),
        });
        result
    }

    async fn go_on(mut self) -> Result<(), Error> {
        loop {
            match self.woken().await {
                Woken::State(change) => self.state(change.to),
                Woken::Armed(Ok(stream)) => {
                    self.watch = Watch::Set(stream);
                    self.catch_up().await?;
                }
                Woken::Armed(Err(error)) => {
                    after(&self.weak, error).await?;
                    self.rearm().await?;
                }
                Woken::Notice(Some(Notice::Event(event))) => self.event(&event),
                // Registrations of a session that is gone, or events that were missed.
                Woken::Notice(Some(Notice::End(_)) | None) => self.rearm().await?,
                Woken::Notice(Some(Notice::Gap { from, to })) if self.nothing_missed(from, to) => {
                    self.go_over();
                }
                Woken::Notice(Some(Notice::Gap { .. } | _)) => self.restart(),
                Woken::Reply(batch, result) => self.reply(batch, result).await?,
                Woken::Over => return Ok(()),
            }
            let synced = self.walking && self.plan.is_complete();
            if synced {
                self.walking = false;
                self.whole = true;
                self.shared.set_current(self.losses);
                self.news.push(CacheEvent::Synced);
            }
            self.tell().await?;
            if synced {
                // After the event, which is none for who begins to listen then.
                self.shared.wake_waiting();
            }
            if let Watch::Set(_) = self.watch {
                self.send().await?;
            }
        }
    }

    async fn tell(&mut self) -> Result<(), Error> {
        if self.news.is_empty() {
            return Ok(());
        }
        let news = std::mem::take(&mut self.news);
        let client = alive(&self.weak)?;
        let Some(mut told) = self.shared.listeners.tell(&client, news) else {
            return Ok(());
        };
        drop(client);
        // If the client is gone, nobody is to be told any more.
        poll_fn(|cx| {
            if pin!(&mut told).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if let (Watch::Set(stream), None) = (&mut self.watch, &self.waiting) {
                if let Poll::Ready(notice) = stream.poll_next(cx) {
                    self.waiting = Some(notice);
                    self.behind = true;
                    self.shared.set_behind();
                }
            }
            Poll::Pending
        })
        .await;
        Ok(())
    }

    /// Waits for what comes next: states, then events, and replies only when there are no events.
    async fn woken(&mut self) -> Woken {
        poll_fn(|cx| {
            loop {
                match self.states.poll_next(cx) {
                    Poll::Ready(Some(change)) => return Poll::Ready(Woken::State(change)),
                    Poll::Ready(None) => return Poll::Ready(Woken::Over),
                    Poll::Pending => {}
                }
                match &mut self.watch {
                    Watch::Coming(result) => {
                        return pin!(result).poll(cx).map(Woken::Armed);
                    }
                    Watch::Set(stream) => {
                        if let Some(notice) = self.waiting.take() {
                            return Poll::Ready(Woken::Notice(notice));
                        }
                        if let Poll::Ready(notice) = stream.poll_next(cx) {
                            return Poll::Ready(Woken::Notice(notice));
                        }
                    }
                }
                if std::mem::take(&mut self.behind) {
                    self.shared.set_up_to_date();
                }
                if let Some((batch, result)) = self.held.take() {
                    return Poll::Ready(Woken::Reply(batch, result));
                }
                let Some((_, front)) = self.in_flight.front_mut() else {
                    return Poll::Pending;
                };
                let Poll::Ready(result) = pin!(front).poll(cx) else {
                    return Poll::Pending;
                };
                // Events from before it may have come a moment ago.
                let batch = self.in_flight.pop_front().map(|(batch, _)| batch);
                self.held = Some((batch.unwrap_or_default(), result));
            }
        })
        .await
    }

    fn state(&mut self, state: State) {
        if !state.is_connected() {
            // A gap, or the end of the watch, will follow, and another walk.
            self.walking = false;
            self.shared.set_outdated();
        }
        self.note(|| CacheEvent::State(state));
    }

    /// Sets the watch anew, in the session that there is or will be.
    async fn rearm(&mut self) -> Result<(), Error> {
        self.restart();
        self.walking = false;
        self.waiting = None;
        self.watch = Watch::Coming(arm(&self.weak, &self.shared.root).await?);
        Ok(())
    }

    /// The watch is there. What this server shows may still be older than what the last session saw.
    async fn catch_up(&mut self) -> Result<(), Error> {
        self.restart();
        let asked = alive(&self.weak)?.sync(&self.shared.root).launched().await;
        match asked.await {
            Err(error) if !is_over_quickly(&error) => after(&self.weak, error).await,
            // If the connection is lost, the stream will say so.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Walks over the whole tree again.
    fn restart(&mut self) {
        self.go_over();
        self.whole = false;
        self.shared.set_outdated();
        self.in_flight.clear();
        self.held = None;
        self.plan.restart(&self.shared.root);
    }

    /// The plan, whatever is left of it, makes the cache current.
    fn go_over(&mut self) {
        self.walking = true;
        if let Some(client) = self.weak.upgrade() {
            let stats = client.stats();
            (self.losses, self.overflows) = (stats.session.losses, stats.stream_overflows);
        }
    }

    /// Was nothing written while the watch was away? See the [module](self).
    fn nothing_missed(&self, from: Zxid, to: Zxid) -> bool {
        let Some(client) = self.weak.upgrade() else {
            return false;
        };
        let stats = client.stats();
        let one_gap = stats.session.losses == self.losses + 1;
        self.whole && from == to && one_gap && stats.stream_overflows == self.overflows
    }

    /// Keeps requests in flight while there is something to read.
    async fn send(&mut self) -> Result<(), Error> {
        while self.in_flight.len() < WINDOW {
            let batch = self.plan.next_batch();
            if batch.is_empty() {
                return Ok(());
            }
            let client = alive(&self.weak)?;
            let mut read = client.multi_read();
            for ask in &batch {
                read = match ask {
                    Ask::Get(path) => read.get(path),
                    Ask::List(path) => read.get_children(path),
                };
            }
            let result = read.launched().await;
            self.in_flight.push_back((batch, result));
        }
        Ok(())
    }

    async fn reply(&mut self, batch: Vec<Ask>, result: Replied) -> Result<(), Error> {
        let error = match result {
            Ok(results) => {
                self.plan.went_well();
                for (ask, result) in batch.into_iter().zip(results) {
                    self.read(ask, result);
                }
                return Ok(());
            }
            Err(error) => error,
        };
        let too_long = matches!(error, Error::ReplyTooLarge { .. });
        match batch.first() {
            Some(Ask::Get(path) | Ask::List(path)) if too_long && batch.len() == 1 => {
                let path = path.clone();
                if matches!(batch.first(), Some(Ask::Get(_))) {
                    self.got(&path, Err(error));
                } else {
                    self.unread(&path, error);
                    self.plan.step();
                }
                Ok(())
            }
            _ => {
                self.plan.again(batch, too_long);
                if too_long {
                    return Ok(());
                }
                after(&self.weak, error).await
            }
        }
    }
}

async fn arm(weak: &WeakClient, root: &str) -> Result<AsyncResult<WatchStream>, Error> {
    let client = alive(weak)?;
    let watch = client.add_watch(root).recursive().capacity(NOTICES);
    Ok(watch.launched().await)
}
