//! [`Line`]: the one queue machine that all locks, elections and semaphores stand in.
//!
//! A line is a directory of ephemeral, numbered nodes. Whoever wants its turn makes one, lists the
//! directory, and has its turn if no node before its own stands in the way; else it watches the last
//! one of those, and only that, so that a node that goes wakes one waiter (no herd), and lists again
//! when it is gone.
//!
//! # Why a turn is nobody else's
//!
//! Servers number nodes in the order of their creation. Take the states of the directory after our
//! node was made: nodes before ours may vanish from one state to the next, and none can come.
//! So *once there is none in our way, there never is again*, and whoever comes later finds our node
//! in its own way, for as long as that exists.
//!
//! * **A stale list is good enough.** A follower lags behind its leader, and a leader that was
//!   deposed may not know it: both show an older state, but never one older than what our session
//!   has seen, and so none before our node's creation. If there was nobody in our way then, there is
//!   nobody now.
//! * **What a stale list cannot show is that our own node is gone.** So what is granted is not a fact but a
//!   claim with a limit: it holds while the session is the node's owner and its deadline has not passed
//!   ([`guard`](crate::Guard)). Before a turn is granted that is proven anew, by a `sync` in the flight
//!   of the list.
//! * **The order on the wire is that of the counter**, compared [around its overflow](Sequence). Names of
//!   which the order cannot be told are an error, not a guess: [`RecipeError::Unordered`].
//!
//! # What can go wrong, and what then
//!
//! | what happens | what is done |
//! |---|---|
//! | the reply to our create is lost | the node is looked for by its unique name after a `sync`, and counts only if its owner is the live session; if it is not there, it is made; should both turn up, the other one is deleted |
//! | the session ends between create and list, or while waiting | the node counts no more, be it still there or not; a new one is made in the new session, at the end of the line |
//! | the list still shows our node of an earlier session | names are never used again, and the owner is compared before a turn is granted |
//! | the session is replaced by a server's answer | its id is another: as above |
//! | the node before ours vanishes between list and watch | the watch is not set (`NoNode`): list again |
//! | it is changed, not deleted | the watch fires: list again |
//! | the connection is lost while waiting | the session puts the watch back, and tells what it missed |
//! | the node before ours is deleted by somebody else, or its session expires | as if released: its owner is told by its guard; see there for what clocks do to that |
//! | our own node is deleted by somebody else | noticed by a watch on it: a new one is made, at the end of the line; a guard is lost |
//! | the lock's directory is deleted | so was our node: as above, and the directory is made again |
//! | waiting is given up (drop, timeout, cancel) while the create is under way | the node that it may have made is looked for and deleted in the background |
//! | ... after it | its deletion is in the session's queue at once |
//! | ... when the turn comes at the same moment | either the caller has the guard, or the node is deleted |
//! | the reply to a deletion is lost | it is repeated until the node is known to be gone, or the session is |
//! | the deadline has passed when our turn comes | nothing is granted until a proof has moved it, or the session has ended |
//! | two nodes of one number, numbers half of all numbers apart, a number of more digits | [`RecipeError::Unordered`] |

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use zk_client::{Children, Client, Error, RecipeError, SessionId, Watch};
use zk_proto::Sequence;

use crate::layout::{self, LockLayout};
use crate::node::{Name, Node, Shared, steady};
use crate::planted::{Plan, Planted};
use crate::signal::Listening;
use crate::{Guard, Loss};

/// The pause before another node is made in the same session.
const PAUSE: Duration = Duration::from_millis(100);

/// Who stands in a line, and who in whose way.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) path: String,
    pub(crate) layout: LockLayout,
    /// What the names of our nodes end with, before the number.
    pub(crate) suffix: &'static str,
    /// The endings of those who are in our way.
    pub(crate) rivals: Vec<String>,
    /// What our nodes contain: who we are.
    pub(crate) identifier: Vec<u8>,
    pub(crate) plan: Plan,
}

/// Where our node stands.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Nobody is in our way.
    First,
    /// The last of those in our way, by its path.
    Behind(String),
    /// There is no such node.
    Nowhere,
}

/// A node of ours in the line.
pub(crate) struct Spot<'l> {
    line: &'l Line,
    node: Node,
    number: Sequence,
    /// Has it been looked at before? Then it may be a while ago.
    waited: bool,
    /// What a planted fault has seen too early.
    early: Option<Children>,
}

impl Line {
    /// A turn, when it comes.
    pub(crate) async fn enter(&self, client: &Client) -> Result<Guard, Error> {
        loop {
            let session = client.client_id().map(|(id, _)| id);
            match self.wait(client).await {
                Err(error) if begins_again(&error) => again_after(client, session).await?,
                result => return result,
            }
        }
    }

    async fn wait(&self, client: &Client) -> Result<Guard, Error> {
        let mut spot = self.join(client).await?;
        loop {
            match spot.look(client).await? {
                Place::First => return spot.grant(client).await,
                Place::Behind(other) => spot.wait_for(client, &other).await?,
                Place::Nowhere => return Err(Error::TryAgain),
            }
            if self.plan.has(Planted::LosePlace) {
                return Err(Error::TryAgain);
            }
        }
    }

    /// A turn, if it comes at once. Nothing is left behind otherwise.
    pub(crate) async fn try_enter(&self, client: &Client) -> Result<Option<Guard>, Error> {
        loop {
            let attempt = async {
                let mut spot = self.join(client).await?;
                match spot.look(client).await? {
                    Place::First => spot.grant(client).await.map(Some),
                    Place::Behind(_) => {
                        spot.leave().await?;
                        Ok(None)
                    }
                    Place::Nowhere => Err(Error::TryAgain),
                }
            };
            let session = client.client_id().map(|(id, _)| id);
            match attempt.await {
                Err(error) if begins_again(&error) => again_after(client, session).await?,
                result => return result,
            }
        }
    }

    /// Makes a node, at the end of the line.
    pub(crate) async fn join(&self, client: &Client) -> Result<Spot<'_>, Error> {
        let early = if self.plan.has(Planted::EarlyLook) {
            client.get_children(&self.path).await.ok()
        } else {
            None
        };
        let name = |id: &str| layout::lock_name(self.layout, self.suffix, id);
        let name = (name, Name::Numbered);
        let node = Node::create(client, &self.path, name, &self.identifier, self.plan).await?;
        let number = self.number_of(node.shared().name())?;
        let number = number.ok_or_else(|| self.unordered(node.shared().name()))?;
        Ok(Spot {
            line: self,
            node,
            number,
            waited: false,
            early,
        })
    }

    /// The number of a contender; `None` if the name is not one.
    fn number_of(&self, name: &str) -> Result<Option<Sequence>, Error> {
        let endings = self.rivals.iter().map(String::as_str);
        for ending in endings.chain([self.suffix]) {
            let Some(at) = name.rfind(ending).map(|at| at + ending.len()) else {
                continue;
            };
            let (before, number) = name.split_at(at);
            let digits = number.strip_prefix('-').unwrap_or(number);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            let sequence = Sequence::parse_after(before, name);
            return sequence.map(Some).ok_or_else(|| self.unordered(name));
        }
        Ok(None)
    }

    fn is_rival(&self, name: &str) -> bool {
        self.rivals.iter().any(|ending| {
            let number = name.rfind(ending.as_str()).map(|at| at + ending.len());
            number.is_some_and(|at| name[at..].bytes().all(|b| b.is_ascii_digit() || b == b'-'))
        })
    }

    fn unordered(&self, name: &str) -> Error {
        let (path, name) = (self.path.clone(), name.to_owned());
        RecipeError::Unordered { path, name }.into()
    }

    /// All contenders, ours and those in our way, in their order.
    pub(crate) fn order<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<Vec<(Sequence, &'n str)>, Error> {
        let mut all = Vec::new();
        for name in names {
            if let Some(number) = self.number_of(name)? {
                all.push((number, name));
            }
        }
        let Some((pivot, _)) = all.first().copied() else {
            return Ok(all);
        };
        let far = |number: Sequence| i64::from(number.distance_from(pivot));
        all.sort_by_key(|(number, _)| far(*number));
        self.check_span(far(all[0].0), far(all[all.len() - 1].0), all[0].1)?;
        Ok(all)
    }

    /// Numbers that are half of all numbers apart cannot be ordered.
    fn check_span(&self, least: i64, greatest: i64, name: &str) -> Result<(), Error> {
        if greatest - least < i64::from(i32::MAX) {
            return Ok(());
        }
        Err(self.unordered(name))
    }

    /// Where a node with this name and number stands among these.
    fn place<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
        own: (&str, Sequence),
    ) -> Result<Place, Error> {
        let mut there = false;
        let (mut least, mut greatest, mut first) = (0, 0, own.0);
        let mut before: Option<(i32, &str)> = None;
        for name in names {
            if name == own.0 {
                there = true;
                continue;
            }
            let Some(number) = self.number_of(name)? else {
                continue;
            };
            let distance = number.distance_from(own.1);
            if distance == 0 {
                return Err(self.unordered(name));
            }
            if distance < least {
                (least, first) = (distance, name);
            }
            greatest = greatest.max(distance);
            let nearer = before.is_none_or(|(other, _)| distance > other);
            if distance < 0 && nearer && self.is_rival(name) {
                before = Some((distance, name));
            }
        }
        if !there {
            return Ok(Place::Nowhere);
        }
        self.check_span(i64::from(least), i64::from(greatest), first)?;
        Ok(match before {
            Some((-1, _)) if self.plan.has(Planted::SecondIsFirst) => Place::First,
            Some((_, name)) => Place::Behind(self.child(name)),
            None => Place::First,
        })
    }

    pub(crate) fn child(&self, name: &str) -> String {
        format!("{}/{name}", self.path.trim_end_matches('/'))
    }
}

impl Spot<'_> {
    /// Where it stands. From the second time on with a proof that the session lives.
    pub(crate) async fn look(&mut self, client: &Client) -> Result<Place, Error> {
        if let Some(early) = self.early.take() {
            let own = [self.node.shared().name()];
            return self.place(early.iter().chain(own));
        }
        let list = client.get_children(&self.line.path);
        let list = if std::mem::replace(&mut self.waited, true) {
            list.synced()
        } else {
            list
        };
        match client.retry(&steady(), list).within_session().await {
            Ok(children) => self.place(children.iter()),
            Err(Error::NoNode) => Ok(Place::Nowhere),
            Err(error) => Err(error),
        }
    }

    fn place<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<Place, Error> {
        self.line
            .place(names, (self.node.shared().name(), self.number))
    }

    /// Waits until the other node is gone, or something else makes it worth to look again.
    pub(crate) async fn wait_for(&self, client: &Client, other: &str) -> Result<(), Error> {
        match self.watch(client, other).await? {
            Some(watch) => wait_beside(self.node.shared(), [watch]).await,
            None => Ok(()),
        }
    }

    /// Watches another node; `None` if it is gone.
    pub(crate) async fn watch(&self, client: &Client, other: &str) -> Result<Option<Watch>, Error> {
        if self.line.plan.has(Planted::NoWatch) {
            let get = client.get(other);
            client.retry(&steady(), get).within_session().await?;
            return std::future::pending().await;
        }
        let get = client.get(other).watched();
        match client.retry(&steady(), get).within_session().await {
            Ok((_, _, watch)) => Ok(Some(watch)),
            Err(Error::NoNode) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Our turn has come: makes it a guard as soon as it is proven that the session lives.
    pub(crate) async fn grant(self, client: &Client) -> Result<Guard, Error> {
        prove(client, &self.line.path, self.node).await
    }

    pub(crate) fn shared(&self) -> &Shared {
        self.node.shared()
    }

    /// Gives the place up, and returns when the node is gone.
    pub(crate) async fn leave(self) -> Result<(), Error> {
        match self.node.delete().await {
            Ok(()) | Err(Error::NotHeld) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Waits for an event of one of these, or for the loss of a node of ours.
pub(crate) async fn wait_beside<const N: usize>(
    own: &Shared,
    mut watches: [Watch; N],
) -> Result<(), Error> {
    let mut listening = Listening::to(own.signal());
    poll_fn(|cx| {
        listening.register(cx.waker());
        for watch in &mut watches {
            if let Poll::Ready(event) = Pin::new(watch).poll(cx) {
                return Poll::Ready(event.map(drop));
            }
        }
        match own.lost() {
            Some(_) => Poll::Ready(Err(Error::TryAgain)),
            None => Poll::Pending,
        }
    })
    .await
}

/// Makes a node a guard as soon as it is proven that its session lives. [`Error::TryAgain`] if it is
/// lost.
pub(crate) async fn prove(client: &Client, path: &str, mut node: Node) -> Result<Guard, Error> {
    let mut keep_alive = None;
    loop {
        node = match Guard::new(node) {
            Ok(guard) => return Ok(guard),
            Err((node, Loss::Unproven)) => node,
            Err(_) => return Err(Error::TryAgain),
        };
        // Where servers are slow, the proof that comes after the first is to be on its way by then.
        keep_alive.get_or_insert_with(|| client.keep_alive_by_sync());
        // After a long time without proofs the first one moves the deadline ahead, as there was a
        // ping at least every third of the timeout. On a slow link it may take some.
        let sync = client.sync(path);
        client.retry(&steady(), sync).within_session().await?;
        if node.shared().unproven() == Some(Loss::Unproven) {
            let quarter = client.negotiated_timeout().unwrap_or_default() / 4;
            client.sleep(quarter).await?;
        }
    }
}

/// Goes on at once in another session, and after a pause in the same: whoever deletes our nodes, or
/// gives them other owners, is not to keep us busy.
pub(crate) async fn again_after(client: &Client, session: Option<SessionId>) -> Result<(), Error> {
    if client.client_id().map(|(id, _)| id) != session {
        return Ok(());
    }
    client.sleep(PAUSE).await
}

/// Is another attempt, with another node, what this asks for?
pub(crate) fn begins_again(error: &Error) -> bool {
    matches!(
        error,
        Error::TryAgain | Error::SessionExpired { .. } | Error::WatchEnded(_)
    )
}

#[cfg(test)]
mod tests;
