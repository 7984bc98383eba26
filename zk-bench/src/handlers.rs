//! Where a workload runs: the handler, and the executor of the program's own futures.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_executor::Executor;
use zk_client::{Client, Handler, block_on};
use zk_handler_smol::SmolHandler;
use zk_handler_threads::ThreadsHandler;
use zk_handler_tokio::TokioHandler;

use crate::args::{HandlerName, Workload};
use crate::error::Error;
use crate::nodes::SESSION_TIMEOUT;
use crate::work;

/// Runs the workload on the handler.
pub(crate) fn run(
    name: HandlerName,
    hosts: &str,
    workload: Workload,
    time: Duration,
) -> Result<(), Error> {
    let place = |handler: Arc<dyn Handler>, tasks| Place {
        hosts: hosts.to_owned(),
        handler,
        tasks,
    };
    match name {
        HandlerName::Threads => {
            let executor = Arc::new(Executor::new());
            let handler = Arc::new(ThreadsHandler::new());
            let place = place(handler, Tasks::Executor(Arc::clone(&executor)));
            block_on(executor.run(work::run(place, workload, time)))
        }
        HandlerName::Smol => {
            let executor = Arc::new(Executor::new());
            let handler = Arc::new(SmolHandler::new());
            let place = place(handler, Tasks::Executor(Arc::clone(&executor)));
            block_on(executor.run(work::run(place, workload, time)))
        }
        HandlerName::SmolExecutor => {
            let executor = Arc::new(Executor::new());
            let spawner = Arc::clone(&executor);
            let handler = Arc::new(SmolHandler::on(move |task| spawner.spawn(task).detach()));
            let place = place(handler, Tasks::Executor(Arc::clone(&executor)));
            async_io::block_on(executor.run(work::run(place, workload, time)))
        }
        HandlerName::Tokio => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(Error::io("start a runtime"))?;
            let handler = Arc::new(TokioHandler::new(runtime.handle().clone()));
            runtime.block_on(work::run(place(handler, Tasks::Tokio), workload, time))
        }
        HandlerName::TokioMt => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(Error::io("start a runtime"))?;
            let handler = Arc::new(TokioHandler::new(runtime.handle().clone()));
            let place = place(handler, Tasks::Tokio);
            runtime
                .block_on(async move { Tasks::Tokio.spawn(work::run(place, workload, time)).await })
        }
    }
}

/// Where clients come from, and tasks go to.
pub(crate) struct Place {
    hosts: String,
    handler: Arc<dyn Handler>,
    tasks: Tasks,
}

enum Tasks {
    Tokio,
    Executor(Arc<Executor<'static>>),
}

/// The result of a task.
pub(crate) type Joined<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl Place {
    /// One more session.
    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        let client = Client::builder(&self.hosts)
            .session_timeout(SESSION_TIMEOUT)
            .connect(Arc::clone(&self.handler))
            .await?;
        Ok(client)
    }

    /// Runs it beside the rest.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Joined<T> {
        self.tasks.spawn(future)
    }
}

impl Tasks {
    fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Joined<T> {
        match self {
            Self::Tokio => {
                let task = tokio::spawn(future);
                Box::pin(async move {
                    task.await.map_err(|error| Error::Program {
                        program: "a task".to_owned(),
                        why: error.to_string(),
                    })?
                })
            }
            Self::Executor(executor) => Box::pin(executor.spawn(future)),
        }
    }
}
