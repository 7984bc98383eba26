//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// What a ZooKeeper client costs: processor time for each operation, beside a raw socket loop.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measures everything against the stub, or a server of yours, and prints a table.
    Table(Table),
    /// Measures what many sessions, many watches and a restart cost, and prints it.
    Scale(Scale),
    /// Runs one workload through the client, and prints a line of JSON for each of its phases.
    Peer {
        /// What drives the client.
        #[arg(long, value_enum, default_value = "threads")]
        handler: HandlerName,
        /// Where the server is.
        hosts: String,
        workload: Workload,
        /// How long, in seconds.
        seconds: f64,
        /// By TLS; the certificate of the authority to be trusted is in this file.
        #[arg(long, value_name = "FILE")]
        tls: Option<PathBuf>,
    },
    /// Runs one workload by a raw loop: encoded frames out, replies counted.
    Raw {
        /// HOST:PORT of the server.
        server: String,
        workload: Workload,
        /// How long, in seconds.
        seconds: f64,
    },
    /// Makes the znodes that the workloads use, on a real server.
    Setup {
        /// HOST:PORT of the server.
        server: String,
    },
    /// Sets each of the watched znodes once.
    Fire {
        /// HOST:PORT of the server.
        server: String,
    },
    /// Answers from one thread with canned replies, on a port of 127.0.0.1 that it prints.
    Stub {
        /// The port; the system picks one otherwise.
        #[arg(default_value_t = 0)]
        port: u16,
        /// By TLS; the certificate of the authority that vouches for it is written to this file.
        #[arg(long, value_name = "FILE")]
        tls: Option<PathBuf>,
    },
    /// Runs the in-memory server on a port of 127.0.0.1 that it prints.
    Serve {
        /// The port; the system picks one otherwise.
        #[arg(default_value_t = 0)]
        port: u16,
    },
}

#[derive(Debug, Parser)]
pub(crate) struct Scale {
    pub(crate) what: Crowd,
    /// How many of them; 10,000 sessions, 1,000,000 watches, 5,000 clients, 1,000 handshakes otherwise.
    #[arg(long)]
    pub(crate) count: Option<usize>,
    /// What drives the clients.
    #[arg(long, value_enum, default_value = "threads")]
    pub(crate) handler: HandlerName,
}

/// Many of something.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Crowd {
    /// Sessions of one process: memory of an idle one, cost of a get with 1 to all of them at work.
    Sessions,
    /// Watches of one session: set, then put back after its connection was cut.
    Watches,
    /// Clients whose server is restarted: attempts and sessions a second while they come back.
    Storm,
    /// Sessions one after the other, plain, by TLS, and by TLS that is resumed.
    Handshakes,
}

#[derive(Debug, Parser)]
pub(crate) struct Table {
    /// A real server, HOST:PORT, instead of the stub. Nodes are made below /bench there.
    #[arg(long)]
    pub(crate) hosts: Option<String>,
    /// Interleaved rounds; the median is told.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) seconds: f64,
    /// Workloads; all of them otherwise.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) workloads: Vec<Workload>,
    /// Handlers; all of them otherwise.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) handlers: Vec<HandlerName>,
    /// Measures each handler by TLS, too. Only against the stub.
    #[arg(long, conflicts_with = "hosts")]
    pub(crate) tls: bool,
    /// Another client, called as PROGRAM HOST:PORT WORKLOAD SECONDS.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) extra: Vec<PathBuf>,
}

/// One of the workloads.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Workload {
    /// Serial gets of 128 bytes.
    W1,
    /// Pipelined gets, one out as one comes back, 1,000 under way.
    W2,
    /// The same in bursts of 1,000.
    W2b,
    /// Pipelined sets.
    W3,
    /// Pipelined creates, then deletes.
    W4,
    /// 100 sessions with serial gets each.
    W5,
    /// The children of a znode that has 10,000.
    W6,
    /// 100,000 one-shot watches set, then all of them fired.
    W7,
    /// Gets of 1,000,000 bytes.
    W8,
}

/// What drives the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum HandlerName {
    /// `zk::threads`.
    Threads,
    /// `zk::tokio` on a current-thread runtime.
    Tokio,
    /// `zk::tokio` on a multi-thread runtime.
    TokioMt,
    /// `zk::smol` on its own thread.
    Smol,
    /// `zk::smol` on the program's executor.
    SmolExecutor,
    /// A loop of the program's own, which it runs on the thread that uses the client.
    Custom,
}

/// The name as it is written on the command line.
pub(crate) fn name(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}
