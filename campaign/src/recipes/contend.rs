//! Programs that contend for something, and judges of what they held when.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use zk_client::{Client, Error, Zxid};
use zk_recipes::{Guard, LockGuard, Pending};

use crate::recipes::contend::fair::Places;
use crate::recipes::contend::store::Store;
use crate::recipes::{Program, Universe};

mod fair;
mod store;

/// Something that was granted, and when, in true time. Whoever asked may look later.
pub(crate) struct Grant {
    pub(crate) held: Held,
    pub(crate) at: Duration,
}

/// Something held.
pub(crate) enum Held {
    /// By nobody else.
    Alone(LockGuard),
    /// Together with others.
    Together(Guard),
}

impl Held {
    pub(crate) fn guard(&self) -> &Guard {
        match self {
            Self::Alone(guard) => guard,
            Self::Together(guard) => guard,
        }
    }

    fn token(&self) -> Option<Zxid> {
        match self {
            Self::Alone(guard) => Some(guard.token()),
            Self::Together(_) => None,
        }
    }

    fn release(self) -> Pending<()> {
        match self {
            Self::Alone(guard) => guard.release(),
            Self::Together(guard) => guard.release(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who held something, and when, in true time.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub(crate) who: String,
    /// `None` if others may hold it, too.
    pub(crate) token: Option<Zxid>,
    pub(crate) node: String,
    pub(crate) from: Duration,
    /// The last moment at which it was certain of it.
    pub(crate) to: Duration,
}

/// All terms.
#[derive(Clone, Default)]
pub(crate) struct Book {
    terms: Arc<Mutex<Vec<Term>>>,
    store: Store,
    places: Places,
}

impl Book {
    pub(crate) fn terms(&self) -> MutexGuard<'_, Vec<Term>> {
        lock(&self.terms)
    }

    fn open(&self, term: Term) -> usize {
        let mut terms = self.terms();
        terms.push(term);
        terms.len() - 1
    }

    /// Somebody was certain of it at this moment.
    pub(crate) fn seen(&self, who: &str, token: Zxid, at: Duration) {
        let known = self
            .terms()
            .iter()
            .position(|term| term.token == Some(token));
        let number = known.unwrap_or_else(|| {
            self.open(Term {
                who: who.to_owned(),
                token: Some(token),
                node: String::new(),
                from: at,
                to: at,
            })
        });
        self.extend(number, at);
    }

    fn extend(&self, at: usize, to: Duration) {
        let term = &mut self.terms()[at];
        term.to = term.to.max(to);
    }

    /// What must be true of what is held alone, or shared by readers: never two at once, and tokens
    /// that grow. Where others interfere with sessions and nodes, those who have lost theirs know it
    /// within a session timeout. Where clocks run wild, nothing is said here.
    pub(crate) fn check(&self, universe: &Universe) -> Result<(), String> {
        let world = &universe.world;
        self.store.check(universe)?;
        if world.beyond {
            if self.check_alone().is_err() {
                world.count("two at once, by wild clocks");
            }
            return Ok(());
        }
        self.check_ends(universe)?;
        if world.rough {
            return Ok(());
        }
        self.check_alone()?;
        self.check_tokens()?;
        self.check_order()
    }

    /// Nobody has lost its place in a line.
    pub(crate) fn check_places(&self, universe: &Universe, line: &str) -> Result<(), String> {
        if universe.world.beyond || universe.world.rough {
            return Ok(());
        }
        self.places.check(universe, line, &self.terms())
    }

    /// Nobody is certain of something for longer than a session timeout after it is gone.
    pub(crate) fn check_ends(&self, universe: &Universe) -> Result<(), String> {
        let gone = universe.deletions();
        for term in self.terms().iter() {
            let Some(gone) = gone.get(&term.node) else {
                continue;
            };
            if term.to > *gone + universe.world.timeout {
                return Err(format!("it was gone at {gone:?} already: {term:?}"));
            }
        }
        Ok(())
    }

    /// Nobody holds what somebody else holds alone.
    pub(crate) fn check_alone(&self) -> Result<(), String> {
        let mut terms = self.terms().clone();
        terms.sort_by_key(|term| term.from);
        // The last of those that hold alone, and of those that share.
        let (mut alone, mut shared): (Option<Term>, Option<Term>) = (None, None);
        for term in terms {
            let rivals = [
                alone.as_ref(),
                shared.as_ref().filter(|_| term.token.is_some()),
            ];
            for rival in rivals.into_iter().flatten() {
                if rival.to > term.from && term.to > term.from {
                    let who = (&rival.who, &term.who);
                    return Err(format!("{who:?} hold it at once: {rival:?} and {term:?}"));
                }
            }
            let last = match term.token {
                Some(_) => &mut alone,
                None => &mut shared,
            };
            if last.as_ref().is_none_or(|last| last.to < term.to) {
                *last = Some(term);
            }
        }
        Ok(())
    }

    /// Tokens grow from holder to holder, in true time.
    pub(crate) fn check_tokens(&self) -> Result<(), String> {
        let mut terms = self.terms().clone();
        terms.retain(|term| term.token.is_some());
        terms.sort_by_key(|term| term.from);
        for pair in terms.windows(2) {
            // Two that begin at one moment do so in an order that is not known.
            if pair[0].token >= pair[1].token && pair[0].from < pair[1].from {
                return Err(format!(
                    "tokens do not grow: {:?} and {:?}",
                    pair[0], pair[1]
                ));
            }
        }
        Ok(())
    }

    /// Nobody has come before whom he stood behind, if one of the two holds it alone.
    fn check_order(&self) -> Result<(), String> {
        let terms = self.terms();
        let mut terms: Vec<_> = terms
            .iter()
            .filter_map(|term| Some((term.number()?, term)))
            .collect();
        terms.sort_by_key(|(_, term)| term.from);
        for (number, term) in &terms {
            let overtaken = terms.iter().find(|(other, late)| {
                let alone = term.token.is_some() || late.token.is_some();
                alone && other < number && late.from > term.from
            });
            if let Some((_, overtaken)) = overtaken {
                return Err(format!("{term:?} came before {overtaken:?}"));
            }
        }
        Ok(())
    }

    /// At no moment do more hold it than may.
    pub(crate) fn check_at_most(&self, limit: usize) -> Result<(), String> {
        let terms = self.terms();
        let mut changes: BTreeMap<Duration, (usize, usize)> = BTreeMap::new();
        for term in terms.iter().filter(|term| term.to > term.from) {
            changes.entry(term.from).or_default().0 += 1;
            changes.entry(term.to).or_default().1 += 1;
        }
        let mut holders = 0;
        for (at, (begin, end)) in changes {
            holders = holders + begin - end;
            if holders > limit {
                let all: Vec<_> = terms
                    .iter()
                    .filter(|term| term.from <= at && at < term.to)
                    .collect();
                return Err(format!("{holders} hold it at {at:?}: {all:?}"));
            }
        }
        Ok(())
    }
}

impl Term {
    /// Its place in the line.
    fn number(&self) -> Option<i64> {
        let digits = self.node.len().checked_sub(10)?;
        self.node.get(digits..)?.parse().ok()
    }
}

/// How something is taken: blocking, or only at once.
pub(crate) enum Taking {
    Blocking(Pending<Grant>),
    AtOnce(Pending<Option<Grant>>),
}

/// Takes down when something is granted.
pub(crate) fn granted<T: Send + 'static>(
    program: &Program,
    client: &Client,
    pending: Pending<T>,
    held: fn(T) -> Held,
) -> Pending<Grant> {
    let machine = program.machine.clone();
    Pending::new(client, async move {
        let held = held(pending.await?);
        let at = machine.sim_now();
        Ok(Grant { held, at })
    })
}

/// The same for what may not be granted.
pub(crate) fn granted_at_once<T: Send + 'static>(
    program: &Program,
    client: &Client,
    pending: Pending<Option<T>>,
    held: fn(T) -> Held,
) -> Pending<Option<Grant>> {
    let machine = program.machine.clone();
    Pending::new(client, async move {
        let at = |held| Grant {
            held,
            at: machine.sim_now(),
        };
        Ok(pending.await?.map(held).map(at))
    })
}

/// Takes something, holds it for a while, gives it back: until the faults are over.
pub(crate) async fn contend(
    mut program: Program,
    client: Client,
    book: Book,
    register: Option<&'static str>,
    mut take: impl FnMut(&mut Program, &Client) -> Taking,
    cancel: impl Fn(),
) {
    book.places.meet(&client);
    while !program.world.is_over() {
        program.pause(Duration::from_millis(300)).await;
        let taking = take(&mut program, &client);
        book.places.begin();
        let held = match taking {
            Taking::AtOnce(pending) => pending.await,
            Taking::Blocking(pending) => give_up(&mut program, pending, &cancel).await,
        };
        match held {
            Ok(Some(grant)) => {
                book.places.granted();
                hold(&mut program, &client, &book, register, grant).await;
            }
            Ok(None) => program.world.count("in vain"),
            Err(Error::Timeout { .. } | Error::Cancelled) => program.world.count("given up"),
            Err(error) => program.world.broken(format!("taking it failed: {error:?}")),
        }
    }
    program.rests();
    // The client stays open until everything is judged.
    std::future::pending::<()>().await;
    drop(client);
}

/// Waits for it, or gives it up in one of all ways.
async fn give_up(
    program: &mut Program,
    pending: Pending<Grant>,
    cancel: &impl Fn(),
) -> Result<Option<Grant>, Error> {
    let limit = program.rng.duration(Duration::ZERO, Duration::from_secs(6));
    // Some are short enough to come between any two steps.
    let limit = limit.mul_f64(program.rng.unit().powi(3));
    match program.rng.below(8) {
        0 => pending.timeout(limit).await.map(Some),
        1 => {
            let running = pending.send();
            program.machine.sleep(limit).await;
            drop(running);
            Ok(None)
        }
        2 => {
            let running = pending.send();
            program.machine.sleep(limit).await;
            cancel();
            running.await.map(Some)
        }
        _ => pending.await.map(Some),
    }
}

/// Holds it for a while, writes down for how long it was certain of it, and gives it back.
pub(crate) async fn hold(
    program: &mut Program,
    client: &Client,
    book: &Book,
    register: Option<&'static str>,
    Grant { held, at }: Grant,
) {
    let (world, machine) = (program.world.clone(), program.machine.clone());
    world.count("held");
    let number = book.open(Term {
        who: program.name.clone(),
        token: held.token(),
        node: held.guard().znode().to_owned(),
        from: at,
        to: at,
    });
    let time = program.rng.duration(Duration::ZERO, Duration::from_secs(4));
    // Some hold it for so long that their session may end.
    let time = if program.rng.chance(0.2) {
        time * 4
    } else {
        time
    };
    let end = machine.now() + time;
    let mut lost = pin!(held.guard().lost());
    loop {
        if !held.guard().is_held() {
            break;
        }
        book.extend(number, machine.sim_now());
        // Until then it will say so, if nothing else is heard.
        let deadline = client.deadline().map(|end| machine.sim_time_of(end));
        if machine.now() >= end || world.is_over() {
            break;
        }
        if let (Some(token), true) = (held.token(), program.rng.chance(0.05)) {
            let node = held.guard().znode();
            // It is under way for a while, or its sender has been paused.
            program.pause(Duration::from_millis(200)).await;
            let accepted = book.store.write(token, node);
            world.count(if accepted {
                "writes into a store"
            } else {
                "writes that a store refused"
            });
            let certain = !world.beyond && !world.rough;
            if !accepted && certain && held.guard().is_held() {
                world.broken(format!("a store has refused {node}, which holds it"));
            }
            continue;
        }
        let writes = program.rng.chance(0.05);
        if let (Some(register), Some(token), true) = (register, held.token(), writes) {
            let token = token.0.to_string();
            let write = held.guard().transaction().set(register, &*token).commit();
            match write.await {
                Ok(_) => world.count("writes under it"),
                Err(Error::NotHeld) => world.count("writes refused"),
                Err(_) => world.count("writes failed"),
            }
            continue;
        }
        let mut pause = pin!(
            machine.sleep(
                program
                    .rng
                    .duration(Duration::from_millis(1), Duration::from_millis(100))
            )
        );
        let told = poll_fn(|cx| {
            if lost.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            pause.as_mut().poll(cx).map(|()| false)
        })
        .await;
        if told {
            // It was certain up to now, or up to the deadline if it was told late.
            let to = machine.sim_now().min(deadline.unwrap_or_default());
            if !world.beyond {
                book.extend(number, to);
            }
            if held.guard().is_held() {
                world.broken("a guard that is lost says that it is held".to_owned());
            }
            break;
        }
    }
    world.count(if held.guard().is_held() {
        "released"
    } else {
        "lost"
    });
    if program.rng.chance(0.5) {
        match held.release().await {
            Ok(()) | Err(Error::NotHeld) => {}
            Err(error) => world.broken(format!("a release failed: {error:?}")),
        }
    }
}
