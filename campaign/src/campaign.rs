//! [`Campaign`]: many seeds on several threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::{MUTANTS, Mutant, Options, Outcome, Recipe, run};

/// After so many failures a campaign is given up.
const MAX_FAILURES: u64 = 10;

/// How often it says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// Which seeds are run, and how.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "for the commands of this package"
)]
pub struct Campaign {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// On how many threads.
    pub threads: usize,
    /// For how long at most.
    pub limit: Option<Duration>,
    /// What each run is like.
    pub options: Options,
}

/// Sums over runs.
#[derive(Debug, Default)]
struct Sums {
    runs: u64,
    failures: u64,
    events: u64,
    time: Duration,
    undecided: usize,
    parts: usize,
    counts: BTreeMap<&'static str, u64>,
}

impl Campaign {
    /// Runs all seeds. `false` if one of them failed.
    pub fn run(&self, say: &mut dyn FnMut(&str)) -> bool {
        let (start, mut said) = (Instant::now(), Instant::now());
        let mut sums = Sums::default();
        say(&format!(
            "seeds {} to {}",
            self.first,
            self.first + self.seeds - 1
        ));
        self.each(|outcome| {
            sums.take(outcome);
            if let Some(failure) = &outcome.failure {
                let seed = outcome.seed;
                say(&format!("seed {seed}: {failure}"));
                let mutant = self
                    .options
                    .mutant
                    .map(|mutant| format!(" --mutant {}", mutant.name));
                let mutant = mutant.unwrap_or_default();
                let recipe = self.options.recipe;
                let recipe = recipe.map(|recipe| format!(" --recipe {}", recipe.name));
                let recipe = recipe.unwrap_or_default();
                say(&format!(
                    "  cargo xtask sim --seed {seed} --trace{recipe}{mutant}"
                ));
            }
            if said.elapsed() > PROGRESS {
                said = Instant::now();
                say(&sums.line(start.elapsed()));
            }
            let late = self.limit.is_some_and(|limit| start.elapsed() > limit);
            !late && sums.failures < MAX_FAILURES
        });
        for (what, count) in &sums.counts {
            say(&format!("{count:>12} {what}"));
        }
        say(&sums.line(start.elapsed()));
        sums.failures == 0
    }

    /// Plants each fault, and tells under which seed it was found, and after how many. `false` if one
    /// was not.
    pub fn mutants(&self, say: &mut dyn FnMut(&str)) -> bool {
        let mut all = !MUTANTS.is_empty();
        if MUTANTS.is_empty() {
            say("nothing is planted: build with --cfg zk_planted");
        }
        for mutant in MUTANTS {
            let recipe = mutant.recipe.and_then(Recipe::named);
            if let Some(why) = recipe.and_then(|recipe| recipe.open) {
                // What is found there may not be the fault.
                say(&format!("{:<26} left out: {why}", mutant.name));
                continue;
            }
            let found = self.hunt(*mutant);
            all &= found.is_some();
            say(&match found {
                Some((seed, failure)) => {
                    let seeds = seed - self.first - mutant.skip + 1;
                    let first = failure.lines().next().unwrap_or_default();
                    let short: String = first.chars().take(100).collect();
                    format!("{:<26} {seeds:>4} seeds, to {seed:<5} {short}", mutant.name)
                }
                None => format!("{:<26} NOT FOUND within {} seeds", mutant.name, self.seeds),
            });
        }
        all
    }

    /// The seed under which a planted fault is found, and how it shows.
    fn hunt(&self, mutant: Mutant) -> Option<(u64, String)> {
        let mut found: Option<Outcome> = None;
        let options = Options {
            mutant: Some(mutant),
            recipe: mutant.recipe.and_then(Recipe::named),
            ..self.options
        };
        let first = self.first + mutant.skip;
        let hunt = Self {
            first,
            options,
            ..*self
        };
        hunt.each(|outcome| {
            let first = found.as_ref().is_none_or(|found| outcome.seed < found.seed);
            if outcome.failure.is_some() && first {
                found = Some(outcome.clone());
            }
            found.is_none()
        });
        let found = found?;
        Some((found.seed, found.failure?))
    }

    /// Hands over every outcome as long as more are wanted.
    fn each(&self, mut take: impl FnMut(&Outcome) -> bool) {
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            let (sender, outcomes) = mpsc::channel();
            for _ in 0..self.threads.max(1) {
                let (sender, next, stop) = (sender.clone(), &next, &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        if at >= self.seeds {
                            break;
                        }
                        if sender.send(guarded(self.first + at, self.options)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for outcome in outcomes {
                if !take(&outcome) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
    }
}

/// A run that panics has failed.
fn guarded(seed: u64, options: Options) -> Outcome {
    std::panic::catch_unwind(|| run(seed, options)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome::failed(seed, format!("panic: {}", text.unwrap_or_default()))
    })
}

impl Sums {
    fn take(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.failures += u64::from(outcome.failure.is_some());
        self.events += outcome.events;
        self.time += outcome.time;
        self.undecided += outcome.summary.undecided;
        self.parts += outcome.summary.parts;
        for (what, count) in &outcome.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let Self {
            runs,
            failures,
            events,
            time,
            ..
        } = self;
        let seconds = elapsed.as_secs_f64().max(0.001);
        let hours = time.as_secs_f64() / 3600.0;
        format!(
            "{runs} runs in {seconds:.1} s ({:.1}/s), {failures} failed, {events} events in {hours:.1} simulated hours, order found in {} of {} parts",
            *runs as f64 / seconds,
            self.parts - self.undecided,
            self.parts
        )
    }
}
