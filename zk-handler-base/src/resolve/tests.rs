use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::threads::Threads;

const SOON: Duration = Duration::from_secs(10);

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 0))
}

/// A resolver whose look-ups are answered by the test.
struct Rig {
    resolver: Arc<Resolver>,
    /// Look-ups as they begin, each with the place for its result.
    begun: mpsc::Receiver<(String, mpsc::Sender<io::Result<Vec<SocketAddr>>>)>,
    answer: mpsc::Sender<(u32, Answer)>,
    answers: mpsc::Receiver<(u32, Answer)>,
    threads: Threads,
}

impl Rig {
    fn new() -> Self {
        let threads = Threads::default();
        let pool = BlockingPool::new("test-resolve", threads.clone(), 4, Duration::ZERO);
        let (begin, begun) = mpsc::channel();
        let begin = Mutex::new(begin);
        let (answer, answers) = mpsc::channel();
        let resolver = Resolver::with(
            pool,
            Box::new(move |host| {
                let (result, results) = mpsc::channel();
                lock(&begin).send((host.to_owned(), result)).unwrap();
                results
                    .recv()
                    .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
            }),
        );
        Self {
            resolver,
            begun,
            answer,
            answers,
            threads,
        }
    }

    fn ask(&self, host: &str, port: u16, id: u32) -> Arc<Wanted> {
        let answers = self.answer.clone();
        self.resolver.ask(host, port, move |answer| {
            answers.send((id, answer)).unwrap()
        })
    }

    fn begun(&self) -> (String, mpsc::Sender<io::Result<Vec<SocketAddr>>>) {
        self.begun.recv_timeout(SOON).expect("a look-up begins")
    }

    fn answer(&self) -> (u32, Answer) {
        self.answers.recv_timeout(SOON).expect("an answer comes")
    }
}

#[test]
fn literals_are_not_looked_up() {
    assert_eq!(
        Resolver::literal("10.0.0.7", 21),
        Some(SocketAddr::from(([10, 0, 0, 7], 21)))
    );
    assert_eq!(
        Resolver::literal("::1", 2181),
        Some("[::1]:2181".parse().unwrap())
    );
    assert_eq!(Resolver::literal("zk1", 2181), None);
}

#[test]
fn the_port_is_the_askers() {
    let rig = Rig::new();
    let _wanted = rig.ask("zk", 2181, 1);
    let (host, result) = rig.begun();
    assert_eq!(host, "zk");
    result.send(Ok(vec![address(1), address(2)])).unwrap();
    let (_, answer) = rig.answer();
    let ports: Vec<_> = answer.unwrap().iter().map(SocketAddr::port).collect();
    assert_eq!(ports, [2181, 2181]);
}

#[test]
fn failures_and_empty_answers_are_not_found() {
    let rig = Rig::new();
    for result in [Err(io::ErrorKind::TimedOut.into()), Ok(Vec::new())] {
        let _wanted = rig.ask("zk", 2181, 1);
        rig.begun().1.send(result).unwrap();
        assert_eq!(rig.answer().1.unwrap_err(), io::ErrorKind::NotFound);
    }
}

#[test]
fn a_slow_name_does_not_delay_others() {
    let rig = Rig::new();
    let _slow: Vec<_> = (0..100).map(|id| rig.ask("slow", 1, id)).collect();
    let (_, unanswered) = rig.begun();
    let _fast = rig.ask("fast", 1, 1000);
    let (host, result) = rig.begun();
    assert_eq!(host, "fast");
    result.send(Ok(vec![address(1)])).unwrap();
    assert_eq!(rig.answer().0, 1000);
    drop(unanswered);
}

#[test]
fn those_who_ask_during_a_look_up_share_the_next() {
    let rig = Rig::new();
    let _first = rig.ask("zk", 1, 0);
    let (_, result) = rig.begun();
    let _others: Vec<_> = (1..=50).map(|id| rig.ask("zk", 1, id)).collect();
    result.send(Ok(vec![address(1)])).unwrap();
    assert_eq!(
        rig.answer(),
        (0, Ok(Arc::from([SocketAddr::from(([10, 0, 0, 1], 1))])))
    );
    rig.begun().1.send(Ok(vec![address(2)])).unwrap();
    for id in 1..=50 {
        assert_eq!(
            rig.answer(),
            (id, Ok(Arc::from([SocketAddr::from(([10, 0, 0, 2], 1))])))
        );
    }
    assert!(rig.begun.try_recv().is_err());
}

#[test]
fn nobody_is_told_who_does_not_want_to_know() {
    let rig = Rig::new();
    let blockers: Vec<_> = (0..4)
        .map(|id| rig.ask(&format!("slow{id}"), 1, id))
        .collect();
    let results: Vec<_> = blockers.iter().map(|_| rig.begun().1).collect();
    drop(rig.ask("cancelled", 1, 10));
    drop(blockers);
    let _wanted = rig.ask("wanted", 1, 11);
    results[0].send(Ok(vec![address(1)])).unwrap();
    let (host, result) = rig.begun();
    assert_eq!(host, "wanted", "the cancelled one is skipped");
    result.send(Ok(vec![address(1)])).unwrap();
    assert_eq!(rig.answer().0, 11);
    drop(results);
}

#[test]
fn no_more_names_at_once_than_there_are_threads() {
    let rig = Rig::new();
    let _wanted: Vec<_> = (0..20)
        .map(|id| rig.ask(&format!("zk{id}"), 1, id))
        .collect();
    for _ in 0..5 {
        let four: Vec<_> = (0..4).map(|_| rig.begun()).collect();
        assert!(rig.begun.try_recv().is_err());
        assert_eq!(rig.threads.running(), 4);
        for (_, result) in four {
            result.send(Ok(vec![address(1)])).unwrap();
        }
        for _ in 0..4 {
            rig.answer().1.unwrap();
        }
    }
}

#[test]
fn names_of_this_machine_resolve() {
    let pool = BlockingPool::new("test-resolve", Threads::default(), 4, Duration::ZERO);
    let (send, answers) = mpsc::channel();
    let _wanted = Resolver::new(pool).ask("localhost", 2181, move |answer| {
        send.send(answer).unwrap();
    });
    let addresses = answers.recv_timeout(SOON).unwrap().unwrap();
    assert!(
        addresses.iter().all(|address| address.ip().is_loopback()),
        "{addresses:?}"
    );
}
