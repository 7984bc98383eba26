//! The campaign's command: seeds by the thousand, one seed, or all planted faults.

#![expect(clippy::print_stdout, reason = "a command speaks on its output")]

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zk_campaign::{Campaign, MUTANTS, Mutant, Options, RECIPES, Recipe, run};

const HELP: &str = "\
zk-campaign [OPTION..]

  --seeds N            runs N seeds; default 1000
  --first S            the first of them; default from the clock
  --threads N          on so many threads; default 2
  --minutes M          and stops after M minutes
  --seed S             runs one seed, and says what was wrong
  --trace              with all that happened, that clients saw, and that servers agreed on
  --until SECONDS      up to this time only
  --recipe NAME        of this recipe, instead of calls of all kinds; all: of each that is settled
  --list-recipes       the names of them
  --mutant NAME        with this fault planted
  --mutants            plants each fault, and tells under which seed it is found; the first is 0 then
  --list-mutants       the names of them: none, unless built with --cfg zk_planted
";

fn main() -> ExitCode {
    match Command::parse(std::env::args().skip(1)) {
        Ok(command) => command.carry_out(),
        Err(error) => {
            eprintln!("zk-campaign: {error}\n\n{HELP}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, Default)]
struct Command {
    seed: Option<u64>,
    seeds: Option<u64>,
    first: Option<u64>,
    threads: Option<usize>,
    minutes: Option<u64>,
    options: Options,
    mutants: bool,
    list: bool,
    recipes: Vec<Recipe>,
    list_recipes: bool,
    help: bool,
}

impl Command {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut command = Self::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--seed" => command.seed = Some(number(&value()?)?),
                "--seeds" => command.seeds = Some(number(&value()?)?),
                "--first" => command.first = Some(number(&value()?)?),
                "--threads" => command.threads = Some(number(&value()?)?),
                "--minutes" => command.minutes = Some(number(&value()?)?),
                "--until" => {
                    let seconds: f64 = number(&value()?)?;
                    command.options.until = Some(Duration::from_secs_f64(seconds.max(0.0)));
                }
                "--trace" => command.options.trace = true,
                "--recipe" => match value()?.as_str() {
                    "all" => {
                        let settled = RECIPES.iter().filter(|recipe| recipe.open.is_none());
                        command.recipes = settled.copied().collect();
                    }
                    name => {
                        let found = Recipe::named(name);
                        let found = found.ok_or_else(|| format!("no recipe {name}"))?;
                        command.recipes.push(found);
                    }
                },
                "--list-recipes" => command.list_recipes = true,
                "--mutant" => {
                    let name = value()?;
                    let found = Mutant::named(&name).ok_or_else(|| format!("no mutant {name}"))?;
                    command.options.mutant = Some(found);
                }
                "--mutants" => command.mutants = true,
                "--list-mutants" => command.list = true,
                "--help" | "-h" => command.help = true,
                _ => return Err(format!("what is {word}?")),
            }
        }
        Ok(command)
    }

    fn carry_out(self) -> ExitCode {
        if self.help {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        if self.list {
            MUTANTS
                .iter()
                .for_each(|mutant| println!("{}", mutant.name));
            return ExitCode::SUCCESS;
        }
        if self.list_recipes {
            for recipe in RECIPES {
                match recipe.open {
                    None => println!("{}", recipe.name),
                    Some(why) => println!("{} (not among all: {why})", recipe.name),
                }
            }
            return ExitCode::SUCCESS;
        }
        let mut all: Vec<Option<Recipe>> = self.recipes.iter().copied().map(Some).collect();
        if all.is_empty() {
            all.push(None);
        }
        let mut code = ExitCode::SUCCESS;
        for recipe in all {
            if let Some(recipe) = recipe {
                println!("{}", recipe.name);
            }
            if !self.run(recipe) {
                code = ExitCode::FAILURE;
            }
        }
        code
    }

    /// Calls of all kinds, or one recipe. `false` if something was wrong.
    fn run(&self, recipe: Option<Recipe>) -> bool {
        let options = Options {
            recipe,
            ..self.options
        };
        if let Some(seed) = self.seed {
            return one(seed, options);
        }
        let clock = SystemTime::now().duration_since(UNIX_EPOCH);
        // Hunts are repeatable.
        let first = match clock {
            Ok(time) if !self.mutants => time.as_secs() * 1_000_000,
            Ok(_) | Err(_) => 0,
        };
        let campaign = Campaign {
            first: self.first.unwrap_or(first),
            seeds: self.seeds.unwrap_or(if self.mutants { 300 } else { 1000 }),
            threads: self.threads.unwrap_or(2),
            limit: self
                .minutes
                .map(|minutes| Duration::from_secs(60 * minutes)),
            options,
        };
        if self.mutants {
            campaign.mutants(&mut |line| println!("{line}"))
        } else {
            campaign.run(&mut |line| println!("{line}"))
        }
    }
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word} is not a number"))
}

fn one(seed: u64, options: Options) -> bool {
    let outcome = run(seed, options);
    print!("{}{}", outcome.trace, outcome.history);
    println!(
        "seed {seed}: {:?}, {} events, trace {:032x}",
        outcome.time, outcome.events, outcome.hash
    );
    for (what, count) in &outcome.counts {
        println!("  {count:>8} {what}");
    }
    match outcome.failure {
        Some(failure) => {
            println!("seed {seed}: {failure}");
            false
        }
        None => {
            println!("seed {seed}: all is well; {:?}", outcome.summary);
            true
        }
    }
}
