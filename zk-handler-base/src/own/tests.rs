use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use zk_client::{Client, Error, ServerAddr};

use super::*;
use crate::lock;

const SOON: Duration = Duration::from_secs(20);

/// Keeps the clients, and drives none of them.
#[derive(Default)]
struct Lazy {
    cores: Mutex<Vec<Arc<Core>>>,
    is_over: AtomicBool,
    is_here: AtomicBool,
}

impl OwnLoop for Arc<Lazy> {
    fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
        if self.is_over.load(Ordering::Relaxed) {
            return Err(StartError::ShutDown);
        }
        lock(&self.cores).push(core);
        Ok(())
    }

    fn is_here(&self) -> bool {
        self.is_here.load(Ordering::Relaxed)
    }
}

fn handler() -> (Arc<Lazy>, Arc<OwnHandler<Arc<Lazy>>>) {
    let own = Arc::<Lazy>::default();
    (Arc::clone(&own), Arc::new(OwnHandler::new(own)))
}

#[test]
fn clients_are_handed_to_the_loop() {
    let (own, handler) = handler();
    let client = Client::builder("zk")
        .start(Arc::clone(&handler) as _)
        .unwrap();
    assert_eq!(lock(&own.cores).len(), 1);
    own.is_over.store(true, Ordering::Relaxed);
    let refused = Client::builder("zk").start(handler);
    assert!(matches!(refused, Err(Error::Start(StartError::ShutDown))));
    lock(&own.cores).pop().unwrap().abandon(clock::now());
    assert!(client.get("/").wait().is_err());
}

#[test]
fn nobody_waits_where_the_loop_runs() {
    let (own, handler) = handler();
    let client = Client::builder("zk").start(handler).unwrap();
    own.is_here.store(true, Ordering::Relaxed);
    assert_eq!(client.get("/").wait(), Err(Error::WouldDeadlock));
    own.is_here.store(false, Ordering::Relaxed);
    let result = client.get("/").send().wait_timeout(Duration::ZERO);
    assert!(matches!(result, Err(Error::Timeout { .. })));
    lock(&own.cores).clear();
}

#[test]
fn callbacks_and_tasks_run_on_threads_that_end_with_the_handler() {
    let (own, handler) = handler();
    let client = Client::builder("zk")
        .start(Arc::clone(&handler) as _)
        .unwrap();
    let (tell, told) = mpsc::channel();
    for number in 0..100 {
        let tell = tell.clone();
        let say = move || tell.send((number, thread::current().id())).unwrap();
        handler.dispatch(lock(&own.cores)[0].id(), Callback::new(say));
    }
    for number in 0..100 {
        let (heard, thread) = told.recv_timeout(SOON).unwrap();
        assert_eq!(heard, number);
        assert_ne!(thread, thread::current().id());
    }
    let result = client.run(async { Ok(7) });
    assert_eq!(result.wait_timeout(SOON), Ok(7));
    assert!(handler.threads() > 0);
    let threads = handler.threads.clone();
    lock(&own.cores).pop().unwrap().abandon(clock::now());
    drop((client, handler));
    while threads.running() > 0 {
        thread::yield_now();
    }
}

#[test]
fn words_are_asked_by_the_given_resolver() {
    let resolver = Resolver::on_threads();
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    resolver.resolve_by(Arc::new(move |host: &str, port| {
        lock(&tell).send((host.to_owned(), port)).unwrap();
        Ok(Vec::new())
    }));
    let handler = OwnHandler::new(Arc::<Lazy>::default()).with_resolver(resolver);
    let word = FourLetterWord::new(*b"ruok", ServerAddr::new("zk", 7), None).unwrap();
    let answer = handler.four_letter(word, SOON);
    assert!(matches!(answer.wait_timeout(SOON), Err(Error::Command(_))));
    assert_eq!(told.recv_timeout(SOON), Ok(("zk".to_owned(), 7)));
}
