//! What carries loads out: a bare socket, or a client of one of the handlers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_executor::Executor;
use tokio::runtime::Builder;
use zk_client::{Client, Handler};
use zk_handler_smol::SmolHandler;
use zk_handler_threads::ThreadsHandler;
use zk_handler_tokio::TokioHandler;

use crate::error::Error;
use crate::load::Load;
use crate::{cpu, raw};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Raw,
    Threads,
    /// A current-thread runtime, which runs the load, too.
    Tokio,
    /// A runtime with two workers, one of which runs the load.
    TokioMultiThread,
    /// A thread of its own; the load is on another one.
    Smol,
    /// An executor that runs the load, too.
    SmolExecutor,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Raw => "raw",
            Self::Threads => "threads",
            Self::Tokio => "tokio",
            Self::TokioMultiThread => "tokio-mt",
            Self::Smol => "smol",
            Self::SmolExecutor => "smol-executor",
        })
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Raw,
        Self::Threads,
        Self::Tokio,
        Self::TokioMultiThread,
        Self::Smol,
        Self::SmolExecutor,
    ];

    /// Carries out a load, and says what it took.
    pub(crate) fn run(self, hosts: &str, load: Load, count: usize) -> Result<Duration, Error> {
        match self {
            Self::Raw => raw::run(hosts, load, count),
            Self::Threads => {
                let handler = Arc::new(ThreadsHandler::new());
                let client = Client::builder(hosts).connect(handler).wait()?;
                load.wait(&client, count / 10)?;
                let before = cpu();
                load.wait(&client, count)?;
                let spent = cpu() - before;
                client.close().wait()?;
                Ok(spent)
            }
            Self::Tokio => {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                let handler = TokioHandler::new(runtime.handle().clone());
                runtime.block_on(measured(hosts.to_owned(), handler, load, count))
            }
            Self::TokioMultiThread => {
                let mut builder = Builder::new_multi_thread();
                let runtime = builder.worker_threads(2).enable_all().build()?;
                let handler = TokioHandler::new(runtime.handle().clone());
                let task = runtime.spawn(measured(hosts.to_owned(), handler, load, count));
                runtime.block_on(task).unwrap_or(Err(Error::Answer))
            }
            Self::Smol => {
                let handler = SmolHandler::new();
                async_io::block_on(measured(hosts.to_owned(), handler, load, count))
            }
            Self::SmolExecutor => {
                let executor: Arc<Executor<'static>> = Arc::default();
                let spawner = Arc::downgrade(&executor);
                let handler = SmolHandler::on(move |task| {
                    if let Some(executor) = spawner.upgrade() {
                        executor.spawn(task).detach();
                    }
                });
                let task = executor.spawn(measured(hosts.to_owned(), handler, load, count));
                async_io::block_on(executor.run(task))
            }
        }
    }
}

async fn measured(
    hosts: String,
    handler: impl Handler,
    load: Load,
    count: usize,
) -> Result<Duration, Error> {
    let client = Client::builder(hosts).connect(Arc::new(handler)).await?;
    load.run(client.clone(), count / 10).await?;
    let before = cpu();
    load.run(client.clone(), count).await?;
    let spent = cpu() - before;
    client.close().await?;
    Ok(spent)
}
