//! The project's commands, run as `cargo xtask COMMAND`. See [`HELP`].
//!
//! ```text
//! test      what a change must pass: Rust alone, then real ZooKeeper servers
//! ci        everything a change must pass, with nothing left out
//! nightly   what takes longer, or needs more than every machine has
//! ```
//!
//! All are lists of steps. A step that fails does not stop the ones behind it; a [`Report`] keeps
//! what became of each, and ends with a table.

#![expect(clippy::print_stdout, reason = "a command speaks on its output")]

mod ci;
mod deny;
mod details;
mod error;
mod failures;
mod features;
mod files;
mod fuzz;
mod fuzz_finding;
mod fuzz_log;
mod instructions;
mod loom;
mod matrix;
mod msrv;
mod native;
mod nightly;
mod package;
mod process;
mod pure;
mod report;
mod sim;
mod tally;
mod test;
mod trees;
mod workspace;

use std::env;
use std::process::ExitCode;

use error::Error;
use report::Report;
use workspace::Workspace;

const HELP: &str = "\
cargo xtask COMMAND

  test [--quick]   the tests: with Rust alone, then against real ZooKeeper 3.8 and 3.9
                   --quick       only those that need nothing but Rust
                   ZK_VERSIONS   the versions of ZooKeeper to run, such as 3.8,3.9
                   ZK_STRICT=1   what is left out counts as failed
  ci [STEP..]      every check, with nothing left out; or only the steps named
  nightly [STEP..] what takes too long for every change, or needs more than every machine has
  fuzz [TARGET..]  fuzzes the targets, or all, one after the other: docs/fuzzing.md
                   --minutes N   how long each of them runs; 1 unless given, 0.5 will do
                   --minimise    afterwards, keeps the smallest corpora that cover as much
                   --from DIR    with them what is in DIR/TARGET
  sim [ARG..]      clients and servers under all faults, simulated seed by seed
                   --seeds N     so many; --seed S --trace one of them; --help for the rest
  package          packs every crate as it would be published
  bench [ARG..]    cargo bench --workspace, with these arguments
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {}", error::chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Runs a command; `Ok(false)` if it found fault.
fn run(words: &[&str]) -> Result<bool, Error> {
    match words {
        ["test"] => Ok(test::test(&Workspace::load()?, false)?.finish_with_cases()),
        ["test", "--quick"] => Ok(test::test(&Workspace::load()?, true)?.finish_with_cases()),
        ["ci", steps @ ..] => Ok(ci::ci(&Workspace::load()?, steps)?.finish()),
        ["nightly", steps @ ..] => Ok(nightly::nightly(&Workspace::load()?, steps)?.finish()),
        ["fuzz", words @ ..] => {
            let options = fuzz::Options::parse(words)?;
            Ok(fuzz::fuzz(&Workspace::load()?, &options)?.finish())
        }
        ["sim", arguments @ ..] => sim::sim(&Workspace::load()?, arguments),
        ["package"] => {
            let mut report = Report::new(false);
            let workspace = Workspace::load()?;
            report.step("package", || package::package(&workspace, true));
            Ok(report.finish())
        }
        ["bench", arguments @ ..] => {
            let mut bench = process::cargo(&["bench", "--workspace"]);
            process::run(bench.args(arguments), process::LONG)?;
            Ok(true)
        }
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(true)
        }
        _ => Err(Error::Usage(words.join(" "))),
    }
}
