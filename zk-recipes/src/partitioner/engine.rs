//! [`Engine`]: the background task of one member.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use zk_client::{AsyncResult, Children, Error, State, StateStream, SyncKeepAlive};

use super::{Order, PartitionState, SetPartitioner, Share, Shared, lock};
use crate::cell::Seen;
use crate::planted::{Plan, Planted};
use crate::signal::Listening;
use crate::watch::{PatientChildrenWatch, Settled};
use crate::{Lock, LockGuard, ShallowParty, either};

/// Locks that are acquired at once.
const WINDOW: usize = 16;

pub(super) struct Engine {
    config: SetPartitioner,
    party: ShallowParty,
    shared: Arc<Shared>,
    interrupts: Interrupts,
    /// While nothing is held, too: else what is acquired after quiet time may be unproven at once,
    /// where servers are slow, and so again and again.
    _keep_alive: SyncKeepAlive,
}

/// What ends whatever is being done.
struct Interrupts {
    shared: Arc<Shared>,
    states: StateStream,
    seen: Seen,
    listening: Listening,
    released: u64,
    plan: Plan,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Interrupt {
    /// A member has come or gone.
    Changed,
    Suspended,
    Lost,
    /// The items are to be let go.
    Release,
    Finish,
}

/// What becomes of a round.
enum Round {
    Again,
    Over,
}

impl Engine {
    pub(super) fn new(
        config: SetPartitioner,
        party: ShallowParty,
        states: StateStream,
        shared: Arc<Shared>,
    ) -> Self {
        let interrupts = Interrupts {
            shared: Arc::clone(&shared),
            states,
            seen: Seen::default(),
            listening: shared.order.listen(),
            released: 0,
            plan: config.plan,
        };
        Self {
            _keep_alive: config.client.keep_alive_by_sync(),
            config,
            party,
            shared,
            interrupts,
        }
    }

    /// Goes on until it is finished, or its session is lost.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let result = loop {
            match self.round().await {
                Ok(Round::Again) => self.shared.state.set(PartitionState::Allocating),
                Ok(Round::Over) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let let_go = self.let_go().await;
        let left = self.party.leave().await;
        let result = result.and(let_go).and_then(|()| left.map(drop));
        *lock(&self.shared.error) = result.as_ref().err().cloned();
        self.shared.state.set(PartitionState::Failure);
        result
    }

    /// Allocates once, and holds for as long as it may.
    async fn round(&mut self) -> Result<Round, Error> {
        let settled = match self.settle().await? {
            Ok(settled) => settled,
            Err(interrupt) => return self.after(interrupt),
        };
        let Settled {
            children,
            mut changed,
            ..
        } = settled;
        let Some(own) = self.share(&children) else {
            // Deleted by somebody else: it will be back, and that is a change.
            let interrupt = self.interrupts.next(Some(&mut changed)).await;
            return self.after(interrupt);
        };
        match self.acquire(own, &mut changed).await? {
            Ok(held) => *lock(&self.shared.held) = held,
            Err(interrupt) => return self.after(interrupt),
        }
        self.shared.state.set(PartitionState::Acquired);
        let interrupt = self.hold(&mut changed).await?;
        if matches!(interrupt, Interrupt::Changed | Interrupt::Suspended) {
            self.shared.state.set(PartitionState::Release);
            loop {
                match self.interrupts.next(None).await {
                    Interrupt::Changed | Interrupt::Suspended => {}
                    Interrupt::Release => break,
                    over @ (Interrupt::Lost | Interrupt::Finish) => return self.after(over),
                }
            }
        }
        let round = self.after(interrupt)?;
        self.let_go().await?;
        Ok(round)
    }

    fn after(&self, interrupt: Interrupt) -> Result<Round, Error> {
        match interrupt {
            Interrupt::Changed | Interrupt::Suspended | Interrupt::Release => Ok(Round::Again),
            Interrupt::Finish => Ok(Round::Over),
            Interrupt::Lost => Err(Error::SessionExpired { sent: true }),
        }
    }

    /// Waits until no member comes or goes any more.
    async fn settle(&mut self) -> Result<Result<Settled, Interrupt>, Error> {
        let path = format!("{}/party", self.config.path);
        let watch = PatientChildrenWatch::new(&self.config.client, &path)
            .time_boundary(self.config.time_boundary);
        let mut interrupt = Box::pin(self.interrupts.next(None));
        match either(watch.start(), &mut interrupt).await {
            Ok(settled) => settled.map(Ok),
            Err(interrupt) => Ok(Err(interrupt)),
        }
    }

    /// The own items; `None` if this is no member.
    fn share(&self, children: &Children) -> Option<Vec<String>> {
        let own = self.party.node_name();
        let mut members: Vec<(&str, &str)> = children
            .iter()
            .filter_map(|name| Some((name.split_once('-')?.1, name)))
            .collect();
        members.sort_unstable();
        let index = members.iter().position(|(_, name)| *name == own)?;
        let members: Vec<String> = members
            .iter()
            .map(|(identifier, _)| (*identifier).to_owned())
            .collect();
        Some((self.config.divide)(Share {
            members: &members,
            index,
            items: &self.config.items,
        }))
    }

    /// Locks these items, in whatever order they become free.
    async fn acquire(
        &mut self,
        items: Vec<String>,
        changed: &mut AsyncResult<()>,
    ) -> Result<Result<Vec<(String, LockGuard)>, Interrupt>, Error> {
        let mut items = items.into_iter();
        let mut waiting: VecDeque<(String, AsyncResult<LockGuard>)> = VecDeque::new();
        let mut held = Vec::new();
        loop {
            while waiting.len() < WINDOW {
                let Some(item) = items.next() else { break };
                let path = format!("{}/locks/{item}", self.config.path);
                let acquiring = Lock::new(&self.config.client, path).acquire().send();
                waiting.push_back((item, acquiring));
            }
            let Some((item, mut next)) = waiting.pop_front() else {
                return Ok(Ok(held));
            };
            let mut interrupt = Box::pin(self.interrupts.next(Some(changed)));
            match either(&mut next, &mut interrupt).await {
                Ok(guard) => held.push((item, guard?)),
                Err(interrupt) => return Ok(Err(interrupt)),
            }
        }
    }

    /// Waits for what ends the holding.
    async fn hold(&mut self, changed: &mut AsyncResult<()>) -> Result<Interrupt, Error> {
        let mut losses = Vec::new();
        for (_, guard) in lock(&self.shared.held).iter() {
            losses.push(guard.lost());
        }
        let loss = poll_fn(|cx| {
            let mut lost = losses.iter_mut();
            match lost.any(|loss| pin!(loss).poll(cx).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        let mut interrupt = Box::pin(self.interrupts.next(Some(changed)));
        Ok(match either(loss, &mut interrupt).await {
            // Whatever it was, what is left has to be divided anew.
            Ok(()) => Interrupt::Changed,
            Err(interrupt) => interrupt,
        })
    }

    /// Lets all items go, and waits until others can have them.
    async fn let_go(&self) -> Result<(), Error> {
        if self.config.plan.has(Planted::SkipLetGo) {
            return Ok(());
        }
        let held = std::mem::take(&mut *lock(&self.shared.held));
        let releases: Vec<_> = held
            .into_iter()
            .map(|(_, guard)| guard.release().send())
            .collect();
        for release in releases {
            match release.await {
                Ok(()) | Err(Error::NotHeld) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Interrupts {
    async fn next(&mut self, mut changed: Option<&mut AsyncResult<()>>) -> Interrupt {
        poll_fn(|cx| self.poll(cx, changed.as_deref_mut())).await
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        changed: Option<&mut AsyncResult<()>>,
    ) -> Poll<Interrupt> {
        while let Poll::Ready(change) = self.states.poll_next(cx) {
            match change.map(|change| change.to) {
                Some(State::Connected { .. }) => {}
                Some(State::Suspended { .. }) => return Poll::Ready(Interrupt::Suspended),
                Some(State::Lost) | None => return Poll::Ready(Interrupt::Lost),
            }
        }
        while let Poll::Ready(order) = self.poll_order(cx) {
            if order.finish {
                return Poll::Ready(Interrupt::Finish);
            }
            if order.releases > self.released {
                self.released = order.releases;
                return Poll::Ready(Interrupt::Release);
            }
        }
        match changed.filter(|_| !self.plan.has(Planted::IgnoreMembers)) {
            Some(changed) => pin!(changed).poll(cx).map(|_| Interrupt::Changed),
            None => Poll::Pending,
        }
    }

    fn poll_order(&mut self, cx: &mut Context<'_>) -> Poll<Order> {
        let order = &self.shared.order;
        order.poll_next(cx, &mut self.seen, &mut self.listening)
    }
}
