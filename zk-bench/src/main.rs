//! What an operation costs on each handler, in CPU time of this process: clock time depends on
//! what else the machine does, and the server is another process.
//!
//! ```text
//! cargo run --release -p zk-bench                            # all handlers, five rounds
//! cargo run --release -p zk-bench -- --handler tokio --rounds 3
//! ```
//!
//! Rounds are interleaved, so that what disturbs one handler disturbs all; medians are printed, and
//! how they compare with a bare socket and with the handler on threads. With `--limit N` it fails if
//! a handler takes more than N times the CPU of that on threads for a pipelined get.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command speaks on its output")]

mod error;
mod handler;
mod load;
mod options;
mod raw;
mod server;

use std::process::ExitCode;
use std::time::Duration;

use crate::error::Error;
use crate::handler::Kind;
use crate::load::Load;
use crate::options::Options;
use crate::server::Child;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &*arguments {
        [word] if word == server::SERVE => server::serve().map(|()| true),
        words => Options::parse(words).and_then(|options| measure(&options)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("zk-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints; `Ok(false)` if something takes more than its limit.
fn measure(options: &Options) -> Result<bool, Error> {
    let child = match &options.hosts {
        Some(_) => None,
        None => Some(Child::start()?),
    };
    let own = child.as_ref().map(Child::hosts);
    let hosts = options.hosts.as_deref().or(own).unwrap_or_default();
    load::prepare(hosts)?;
    println!(
        "CPU in microseconds for each operation, medians of {} rounds",
        options.rounds
    );
    let mut good = true;
    for load in Load::ALL {
        let count = load.count(options.operations);
        let mut samples = vec![Vec::new(); options.kinds.len()];
        for _ in 0..options.rounds {
            for (kind, samples) in options.kinds.iter().zip(&mut samples) {
                let spent = kind.run(hosts, load, count)?;
                samples.push(spent.as_secs_f64() * 1e6 / count as f64);
            }
        }
        let medians: Vec<f64> = samples.iter_mut().map(|samples| median(samples)).collect();
        let of = |wanted| {
            let place = options.kinds.iter().position(|kind| *kind == wanted)?;
            Some(medians[place])
        };
        println!("\n{load}, {count} operations a round");
        println!(
            "{:16}{:>9}{:>9}{:>9}{:>9}{:>11}",
            "", "median", "least", "most", "/ raw", "/ threads"
        );
        for ((kind, samples), median) in options.kinds.iter().zip(&samples).zip(&medians) {
            let ratio = |of: Option<f64>| {
                of.map_or_else(|| "-".to_owned(), |of| format!("{:.2}", median / of))
            };
            println!(
                "{kind:16}{median:>9.3}{:>9.3}{:>9.3}{:>9}{:>11}",
                samples[0],
                samples[samples.len() - 1],
                ratio(of(Kind::Raw)),
                ratio(of(Kind::Threads)),
            );
            let over = of(Kind::Threads).zip(options.limit);
            let over = over.is_some_and(|(threads, limit)| *median > threads * limit);
            good &= !(over && load == Load::Pipelined);
        }
    }
    if !good {
        println!("\na pipelined get takes more than the limit on some handler");
    }
    Ok(good)
}

/// Sorts, too.
fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// What this process has spent so far.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [7.0]), 7.0);
    }

    /// Against a server in this process, so that the figures mean nothing.
    #[test]
    fn every_handler_carries_out_every_load() {
        let server = zk_server::Server::builder().quiet().start().unwrap();
        load::prepare(&server.hosts()).unwrap();
        for kind in Kind::ALL {
            for load in Load::ALL {
                assert!(kind.run(&server.hosts(), load, 2_000).unwrap() > Duration::ZERO);
            }
        }
    }
}
