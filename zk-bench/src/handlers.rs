//! Where a workload runs: the handler, and the executor of the program's own futures.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_executor::Executor;
use zk_client::{Builder, Client, Handler, block_on};
use zk_handler_smol::SmolHandler;
use zk_handler_threads::ThreadsHandler;
use zk_handler_tokio::TokioHandler;
use zk_tls::Tls;

use crate::args::HandlerName;
use crate::error::Error;
use crate::nodes::SESSION_TIMEOUT;
use crate::own_loop::OwnLoop;

/// Runs `work` on the handler, to its end.
pub(crate) fn run<F>(
    name: HandlerName,
    hosts: &Hosts,
    work: impl FnOnce(Place) -> F,
) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let place = |handler: Arc<dyn Handler>, tasks| Place {
        hosts: hosts.clone(),
        handler,
        tasks,
    };
    let executor = Arc::new(Executor::new());
    let tasks = Tasks::Executor(Arc::clone(&executor));
    match name {
        HandlerName::Threads => {
            let place = place(Arc::new(ThreadsHandler::new()), tasks);
            block_on(executor.run(work(place)))
        }
        HandlerName::Smol => {
            let place = place(Arc::new(SmolHandler::new()), tasks);
            block_on(executor.run(work(place)))
        }
        HandlerName::SmolExecutor => {
            let spawner = Arc::clone(&executor);
            let handler = SmolHandler::on(move |task| spawner.spawn(task).detach());
            async_io::block_on(executor.run(work(place(Arc::new(handler), tasks))))
        }
        HandlerName::Custom => {
            let own = Arc::new(OwnLoop::new(&executor));
            let work = work(place(Arc::clone(&own) as Arc<dyn Handler>, tasks));
            own.run(work)
        }
        HandlerName::Tokio | HandlerName::TokioMt => {
            let mut builder = if name == HandlerName::TokioMt {
                tokio::runtime::Builder::new_multi_thread()
            } else {
                tokio::runtime::Builder::new_current_thread()
            };
            let runtime = builder
                .enable_all()
                .build()
                .map_err(Error::io("start a runtime"))?;
            let handler = Arc::new(TokioHandler::new(runtime.handle().clone()));
            let work = work(place(handler, Tasks::Tokio));
            // A task of a worker, not of the thread that waits beside them.
            runtime.block_on(async move { Tasks::Tokio.spawn(work).await })
        }
    }
}

/// Where the servers are, and how they are spoken to.
#[derive(Clone)]
pub(crate) struct Hosts {
    names: String,
    tls: Option<Tls>,
}

impl Hosts {
    pub(crate) fn new(names: impl Into<String>, tls: Option<Tls>) -> Self {
        Self {
            names: names.into(),
            tls,
        }
    }
}

/// Where clients come from, and tasks go to.
pub(crate) struct Place {
    hosts: Hosts,
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
        let handler = Arc::clone(&self.handler);
        let connect = self.builder().connect(handler);
        Ok(connect.limit(SESSION_TIMEOUT).await?)
    }

    /// One more session, to come.
    pub(crate) fn start(&self) -> Result<Client, Error> {
        Ok(self.builder().start(Arc::clone(&self.handler))?)
    }

    fn builder(&self) -> Builder {
        let mut builder = Client::builder(&self.hosts.names);
        builder.session_timeout(SESSION_TIMEOUT);
        if let Some(tls) = &self.hosts.tls {
            builder.tls(tls.clone());
        }
        builder
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
