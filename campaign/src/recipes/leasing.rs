//! Leases: as many holders as there are leases, by clocks that are alike; and nobody takes what has
//! not ended, by whatever clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zk_client::{Client, Error};
use zk_recipes::lease::Lease;
use zk_recipes::{MultiNonBlockingLease, NonBlockingLease, Pending};
use zk_sim::{FaultKind, FaultPlan};

use crate::recipes::lock::vandal;
use crate::recipes::state::State;
use crate::recipes::{DRIFT, Program, Scenario, Universe, World};

const PATH: &str = "/lease";

/// Every machine is a holder, which obtains and renews.
pub(crate) struct Leases {
    /// How many there are, or one that is for itself.
    several: Option<usize>,
    duration: Duration,
    book: Book,
}

type Book = Arc<Mutex<Vec<Term>>>;

/// A lease that was obtained.
#[derive(Clone, Debug)]
struct Term {
    who: String,
    /// What it says.
    end: u64,
    /// When it was obtained, and when it ends by the clock of who has it, both in true time.
    from: Duration,
    to: Duration,
}

fn lock(book: &Book) -> MutexGuard<'_, Vec<Term>> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A record that was written.
struct Written {
    path: String,
    holder: String,
    end: u64,
}

/// A recipe.
enum Recipe {
    One(NonBlockingLease),
    Several(MultiNonBlockingLease),
}

impl Recipe {
    fn obtain(&self) -> Pending<Option<Lease>> {
        match self {
            Self::One(one) => one.obtain(),
            Self::Several(several) => several.obtain(),
        }
    }
}

impl Leases {
    pub(crate) fn for_one() -> Self {
        Self {
            several: None,
            duration: Duration::ZERO,
            book: Book::default(),
        }
    }

    pub(crate) fn for_several() -> Self {
        Self {
            several: Some(2),
            ..Self::for_one()
        }
    }

    /// Nobody takes a lease before it has ended by the clock of who takes it, whatever that shows.
    /// Renewed, it ends later. No holder has two.
    fn check_records(&self, written: &[Written], wild: bool) -> Result<(), String> {
        let mut slots: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
        for Written { path, holder, end } in written {
            let begun = end - self.duration.as_secs();
            if let Some((before, ended)) = slots.get(&**path) {
                let early = before != holder && begun < *ended;
                if early || (!wild && before == holder && end < ended) {
                    return Err(format!(
                        "{holder} took {path}, which was {before}'s to {ended}, to {end}"
                    ));
                }
            }
            // Its clock may have shown nearly a second more.
            let other = slots
                .iter()
                .find(|(slot, (who, to))| **slot != path && who == holder && *to > begun + 1);
            if let (Some(other), false) = (other, wild) {
                return Err(format!("{holder} took {path} to {end}, and has {other:?}"));
            }
            slots.insert(path, (holder, *end));
        }
        Ok(())
    }

    /// There are never more holders than leases, in true time.
    fn check_terms(&self) -> Result<(), String> {
        let terms = lock(&self.book);
        for term in terms.iter() {
            // Of all whose clocks may show that they have it when this one begins.
            let holders: BTreeSet<&str> = terms
                .iter()
                .filter(|other| other.from <= term.from && other.to - margin(other.to) > term.from)
                .map(|other| &*other.who)
                .collect();
            if holders.len() > self.several.unwrap_or(1) {
                return Err(format!(
                    "at {:?} it is held by {holders:?}: {term:?}",
                    term.from
                ));
            }
        }
        Ok(())
    }
}

/// How much two clocks may differ by then, and a little.
fn margin(at: Duration) -> Duration {
    at.mul_f64(2.1 * f64::from(DRIFT) / 1e6)
}

impl Scenario for Leases {
    fn faults(&self, all: FaultPlan, world: &World) -> FaultPlan {
        if world.beyond {
            return all;
        }
        // Leases are as good as clocks are alike.
        all.without(FaultKind::WallClockJump)
            .without(FaultKind::ClientClockJump)
    }

    fn start(&mut self, universe: &Universe) {
        let mut rng = universe.sim.rng("lease");
        self.duration = rng.duration(Duration::from_secs(2), Duration::from_secs(7));
        if universe.world.rough {
            let machine = universe.sim.machine("vandal");
            universe.boot(&machine, |program| {
                vandal(
                    program,
                    Duration::from_millis(80),
                    &[PATH, "/lease/0", "/lease/1"],
                )
            });
        }
        // Two programs may be one holder, if that is to have no more than there is.
        let programs = if self.several.is_none() { 2 } else { 1 };
        let (several, duration) = (self.several, self.duration);
        for machine in &universe.machines {
            let book = Arc::clone(&self.book);
            universe.boot_several(machine, programs, move |mut program| {
                let book = Arc::clone(&book);
                async move {
                    let client = program.client();
                    let who = program.machine.name();
                    let recipe = match several {
                        None => {
                            let lease = NonBlockingLease::new(&client, PATH, duration);
                            Recipe::One(planted!(program, lease.identifier(who)))
                        }
                        Some(count) => {
                            let lease = MultiNonBlockingLease::new(&client, count, PATH, duration);
                            Recipe::Several(planted!(program, lease.identifier(who)))
                        }
                    };
                    live(&mut program, &client, &recipe, duration, &book).await;
                    program.rests();
                    // The client stays open until everything is judged.
                    std::future::pending::<()>().await;
                    drop(client);
                }
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        let (state, wild) = (universe.state(), universe.world.beyond);
        let written = records(&state)?;
        self.check_records(&written, wild)?;
        for term in lock(&self.book).iter() {
            let said = |record: &Written| (&record.holder, record.end) == (&term.who, term.end);
            if !written.iter().any(said) {
                return Err(format!("no such lease was written: {term:?}"));
            }
        }
        if !wild {
            self.check_terms()?;
        }
        let left = state.tree(PATH).into_iter();
        let left: Vec<_> = left.filter(|(_, node)| node.owner.0 != 0).collect();
        if !left.is_empty() {
            return Err(format!("nodes are left behind: {left:?}"));
        }
        Ok(())
    }
}

async fn live(
    program: &mut Program,
    client: &Client,
    recipe: &Recipe,
    duration: Duration,
    book: &Book,
) {
    let world = program.world.clone();
    let mut last: Option<Lease> = None;
    while !world.is_over() {
        program.pause(duration / 4).await;
        let begun = client.wall_clock();
        let obtain = recipe.obtain();
        let limit = program.rng.duration(Duration::ZERO, Duration::from_secs(4));
        let obtained = if program.rng.chance(0.15) {
            obtain.timeout(limit.mul_f64(program.rng.unit())).await
        } else {
            obtain.await
        };
        match obtained {
            Ok(Some(lease)) => {
                world.count("obtained");
                let (now, end) = (client.wall_clock(), lease.end());
                let second = Duration::from_secs(1);
                if !world.beyond && (end > now + duration || end + second < begun + duration) {
                    world.broken(format!("it ends at {end:?}, at {now:?}, since {begun:?}"));
                }
                if let Some(term) = term(program, client, &lease) {
                    lock(book).push(term);
                }
                last = Some(lease);
            }
            Ok(None) => {
                world.count("in vain");
                let much = margin(program.machine.sim_now());
                let held = last.as_ref();
                if held.is_some_and(|held| !world.beyond && held.end() > client.wall_clock() + much)
                {
                    world.broken(format!("{} could not renew {held:?}", program.name));
                }
            }
            Err(Error::Timeout { .. }) => world.count("given up"),
            Err(error) => world.broken(format!("obtaining failed: {error:?}")),
        }
    }
}

/// What it has, unless that has ended already.
fn term(program: &Program, client: &Client, lease: &Lease) -> Option<Term> {
    if !lease.is_valid() {
        program.world.count("obtained too late");
        return None;
    }
    let machine = &program.machine;
    let left = lease.end().duration_since(client.wall_clock()).ok()?;
    let end = lease.end().duration_since(UNIX_EPOCH).ok()?;
    Some(Term {
        who: machine.name().to_owned(),
        end: end.as_secs(),
        from: machine.sim_now(),
        to: machine.sim_time_of(machine.now() + left),
    })
}

/// All records that were written, in the order of the servers.
fn records(state: &State) -> Result<Vec<Written>, String> {
    let mut all: Vec<_> = state
        .written
        .iter()
        .filter(|((path, _), _)| path.starts_with(PATH) && path.ends_with("/lease_holder"))
        .collect();
    all.sort_by_key(|((_, zxid), _)| *zxid);
    let read = |((path, _), data): (&(String, _), &Vec<u8>)| {
        let text = String::from_utf8_lossy(data);
        let (holder, end) = read(&text).ok_or_else(|| format!("{text:?} was written"))?;
        let path = path.clone();
        Ok(Written { path, holder, end })
    };
    all.into_iter().map(read).collect()
}

/// The holder, and the end in seconds since 1970.
fn read(text: &str) -> Option<(String, u64)> {
    let text = text.strip_prefix(r#"{"version": 1, "holder": ""#)?;
    let (holder, text) = text.split_once(r#"", "end": ""#)?;
    // The month in which virtual time begins, and does not end.
    let text = text.strip_prefix("2023-11-")?.strip_suffix(r#""}"#)?;
    let mut numbers = text.split(['T', ':']).map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let (day, hour, minute, second) = (next()?, next()?, next()?, next()?);
    let november = SystemTime::UNIX_EPOCH + Duration::from_secs(1_698_796_800);
    let month = november.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let end = month + (day - 1) * 86_400 + hour * 3600 + minute * 60 + second;
    Some((holder.to_owned(), end))
}
