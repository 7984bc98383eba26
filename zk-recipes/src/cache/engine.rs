//! [`Engine`]: the background task that keeps a cache equal to the tree.
//!
//! A watch that covers the tree is set before anything is read. From then on every change is an
//! event, and a node is read whenever there is one about it. Replies come in the order of the
//! requests, and a stream holds all events from before a reply when that is there. So before a reply
//! is used, all events are taken from the stream; if one of them is about the reply's node, the reply
//! may be older, and the node is read again. What is in the cache was thus read after the last event
//! about it, or is about to be read again.
//!
//! Where events may have been missed, the tree is walked over, and compared.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use zk_client::{
    AsyncResult, Error, EventType, Notice, Payload, ReadResult, Stat, State, StateChange,
    StateStream, WatchStream, WatchedEvent, WeakClient,
};

use super::plan::{Ask, Plan, Use, below};
use super::tree::Node;
use super::{CacheEvent, Shared};
use crate::again::{after, alive, is_over_quickly};

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
                Woken::Notice(Some(Notice::Gap { .. } | _)) => self.restart(),
                Woken::Reply(batch, result) => self.reply(batch, result).await?,
                Woken::Over => return Ok(()),
            }
            if self.walking && self.plan.is_complete() {
                self.walking = false;
                self.shared.set_current(true);
                self.news.push(CacheEvent::Synced);
            }
            self.tell().await?;
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
        self.shared.listeners.tell(client, news).await;
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
                        if let Poll::Ready(notice) = stream.poll_next(cx) {
                            return Poll::Ready(Woken::Notice(notice));
                        }
                    }
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
            self.shared.set_current(false);
        }
        self.note(|| CacheEvent::State(state));
    }

    /// Sets the watch anew, in the session that there is or will be.
    async fn rearm(&mut self) -> Result<(), Error> {
        self.restart();
        self.walking = false;
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
        self.walking = true;
        self.shared.set_current(false);
        self.in_flight.clear();
        self.held = None;
        self.plan.restart(&self.shared.root);
    }

    fn event(&mut self, event: &WatchedEvent) {
        match event.kind {
            EventType::NODE_CREATED | EventType::NODE_DATA_CHANGED => {
                self.plan.touched(&event.path);
            }
            EventType::NODE_DELETED => {
                self.plan.vanished(&event.path);
                self.remove(&event.path);
            }
            _ => {}
        }
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

    fn read(&mut self, ask: Ask, result: ReadResult) {
        match (ask, result) {
            (Ask::Get(path), ReadResult::Data { data, stat }) => self.got(&path, Ok((data, stat))),
            (Ask::List(path), ReadResult::Children(children)) => {
                let listed = children.sorted();
                let gone: Vec<String> = {
                    let tree = self.shared.tree();
                    let known = tree.children(&path);
                    known
                        .filter(|name| listed.binary_search(name).is_err())
                        .map(|name| below(&path, name))
                        .collect()
                };
                for path in gone.iter().rev() {
                    self.remove(path);
                }
                self.plan.listed(&path, children);
            }
            (Ask::Get(path), ReadResult::Error(code)) => self.got(&path, Err(code.into())),
            (Ask::List(path), ReadResult::Error(code)) => {
                self.unread(&path, code.into());
                self.plan.step();
            }
            (Ask::Get(path), _) => self.got(&path, Err(Error::UnexpectedReply)),
            (Ask::List(path), _) => {
                self.unread(&path, Error::UnexpectedReply);
                self.plan.step();
            }
        }
    }

    /// The reply about a node's data.
    fn got(&mut self, path: &str, result: Result<(Payload, Stat), Error>) {
        let Use::Fresh { deep } = self.plan.got(path) else {
            return;
        };
        let mut goes_on = false;
        match result {
            // The walk comes to it yet, by a list that is younger than this.
            Ok(_) if !deep && self.walking && !self.has_parent_of(path) => {}
            Ok((data, stat)) => {
                self.put(path, data, stat);
                if deep && stat.num_children > 0 {
                    goes_on = true;
                    let count = usize::try_from(stat.num_children).unwrap_or(0);
                    self.plan.descend(path, count);
                } else if deep {
                    let gone = self.shared.tree_mut().remove_below(path);
                    self.removed(gone);
                }
            }
            Err(Error::NoNode) => self.remove(path),
            Err(error) => {
                self.remove(path);
                self.unread(path, error);
            }
        }
        if deep && !goes_on {
            self.plan.step();
        }
    }

    /// Is what is above this node in the cache, or is this the root?
    fn has_parent_of(&self, path: &str) -> bool {
        let above = match path.rsplit_once('/') {
            Some(("", _)) => "/",
            Some((above, _)) => above,
            None => return true,
        };
        path == self.shared.root || self.shared.tree().get(above).is_some()
    }

    fn put(&mut self, path: &str, data: Payload, stat: Stat) {
        // A slice of a reply would keep all of it alive.
        let data = data.as_option().map_or_else(Payload::null, Payload::from);
        let node = Node { data, stat };
        let known = self.shared.tree().get(path).map(|known| known.stat.czxid);
        if known.is_some_and(|czxid| czxid != stat.czxid) {
            self.remove(path);
        }
        let before = self.shared.tree_mut().insert(path, node.clone());
        match before {
            None => self.note(|| CacheEvent::Added(node.named(path))),
            Some(before) if before.stat.mzxid != stat.mzxid => self.note(|| CacheEvent::Changed {
                before: before.named(path),
                now: node.named(path),
            }),
            Some(_) => {}
        }
    }

    fn remove(&mut self, path: &str) {
        let gone = self.shared.tree_mut().remove(path);
        self.removed(gone);
    }

    fn removed(&mut self, gone: Vec<(String, Node)>) {
        for (path, node) in gone {
            self.note(|| CacheEvent::Removed(node.named(&path)));
        }
    }

    /// A node, or its list, that cannot be read. One that is gone will be, or was, told of.
    fn unread(&mut self, path: &str, error: Error) {
        if error != Error::NoNode {
            let path = path.to_owned();
            self.note(|| CacheEvent::Unread { path, error });
        }
    }

    fn note(&mut self, event: impl FnOnce() -> CacheEvent) {
        if self.shared.listeners.any() {
            self.news.push(event());
        }
    }
}

async fn arm(weak: &WeakClient, root: &str) -> Result<AsyncResult<WatchStream>, Error> {
    let client = alive(weak)?;
    let watch = client.add_watch(root).recursive().capacity(NOTICES);
    Ok(watch.launched().await)
}
