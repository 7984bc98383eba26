//! Measures what a ZooKeeper client costs: processor time for each operation, on every handler,
//! beside a raw socket loop, on a stub that answers from canned bytes or on a real server.
//!
//! ```text
//! cargo run --release -p zk-bench -- table
//! cargo run --release -p zk-bench -- table --hosts 127.0.0.1:2181 --workloads w2,w3
//! ```
//!
//! What the figures mean is in `docs/performance.md`.

#![forbid(unsafe_code)]

mod args;
mod error;
mod handlers;
mod meter;
mod nodes;
mod own_loop;
mod process;
mod raw;
mod scale;
mod stub;
mod table;
mod tls;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use args::{Args, Command};
use error::Error;
use handlers::Hosts;

fn main() -> ExitCode {
    match run(Args::parse().command) {
        // Sessions are left to the server: closing them is not measured.
        Ok(()) => std::process::exit(0),
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "a program says why it failed")]
            {
                eprintln!("zk-bench: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Table(options) => table::run(&options),
        Command::Peer {
            handler,
            hosts,
            workload,
            seconds,
            tls,
        } => {
            let time = Duration::from_secs_f64(seconds);
            let tls = tls.map(|file| tls::client(&tls::trusting(&file)));
            let hosts = Hosts::new(hosts, tls.transpose()?);
            handlers::run(handler, &hosts, |place| work::run(place, workload, time))
        }
        Command::Scale(options) => scale::run(&options),
        Command::Serve { port } => scale::serve(port),
        Command::Raw {
            server,
            workload,
            seconds,
        } => raw::run(&server, workload, Duration::from_secs_f64(seconds)),
        Command::Setup { server } => raw::set_up(&server),
        Command::Fire { server } => raw::fire(&server),
        Command::Stub { port, tls } => stub::run(port, tls.as_deref()),
    }
}
