use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::threads::Threads;

const SOON: Duration = Duration::from_secs(60);

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 2181))
}

type Outcome = mpsc::Sender<io::Result<Vec<SocketAddr>>>;

/// A resolver whose look-ups are answered by the test.
struct Rig {
    resolver: Arc<Resolver>,
    /// Look-ups as they begin, each with the place for its result.
    begun: mpsc::Receiver<(String, u16, Outcome)>,
    answer: mpsc::Sender<(u32, Answer)>,
    answers: mpsc::Receiver<(u32, Answer)>,
    threads: Threads,
}

impl Rig {
    fn new() -> Self {
        Self::with_patience(Duration::MAX)
    }

    fn with_patience(patience: Duration) -> Self {
        let threads = Threads::default();
        let (name, threads_of) = ("test-resolve", threads.clone());
        let pool = BlockingPool::with_patience(name, threads_of, 4, Duration::ZERO, patience);
        let (begin, begun) = mpsc::channel();
        let begin = Mutex::new(begin);
        let (answer, answers) = mpsc::channel();
        let resolver = Resolver::with(
            pool,
            Arc::new(move |host: &str, port: u16| {
                let (result, results) = mpsc::channel();
                lock(&begin).send((host.to_owned(), port, result)).unwrap();
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

    fn begun(&self) -> (String, Outcome) {
        let (host, _, outcome) = self.begun.recv_timeout(SOON).expect("a look-up begins");
        (host, outcome)
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
    let rig = Rig::new();
    let _wanted = rig.ask("::1", 21, 1);
    let answer = rig.answers.try_recv().expect("it was answered here");
    assert_eq!(answer, (1, Ok(Arc::from(["[::1]:21".parse().unwrap()]))));
    assert!(rig.begun.try_recv().is_err());
}

#[test]
fn who_looks_up_is_told_the_port_and_may_give_another() {
    let rig = Rig::new();
    let _wanted = rig.ask("zk", 2181, 1);
    let _other = rig.ask("zk", 2182, 2);
    for _ in 0..2 {
        let (host, port, result) = rig.begun.recv_timeout(SOON).unwrap();
        assert_eq!(host, "zk");
        let found = SocketAddr::from(([10, 0, 0, 1], port + 10_000));
        result.send(Ok(vec![found])).unwrap();
    }
    let mut answers = [rig.answer(), rig.answer()].map(|(id, answer)| (id, answer.unwrap()[0]));
    answers.sort();
    let ports = answers.map(|(id, address)| (id, address.port()));
    assert_eq!(ports, [(1, 12_181), (2, 12_182)]);
}

#[test]
fn who_looks_up_can_be_replaced() {
    let rig = Rig::new();
    let _wanted = rig.ask("zk", 1, 1);
    rig.begun().1.send(Ok(vec![address(1)])).unwrap();
    assert_eq!(rig.answer(), (1, Ok(Arc::from([address(1)]))));
    let other = |_: &str, _: u16| Ok(vec![address(2)]);
    rig.resolver.resolve_by(Arc::new(other));
    let _wanted = rig.ask("zk", 1, 2);
    assert_eq!(rig.answer(), (2, Ok(Arc::from([address(2)]))));
}

/// Nobody who asked for the name later had an answer: it was taken for being looked up.
#[test]
fn a_panic_ends_one_look_up_only() {
    let rig = Rig::new();
    let panics = |host: &str, _: u16| -> io::Result<Vec<SocketAddr>> { panic!("{host}") };
    rig.resolver.resolve_by(Arc::new(panics));
    for id in 1..3 {
        let _wanted = rig.ask("zk", 1, id);
        assert_eq!(rig.answer(), (id, Err(io::ErrorKind::NotFound)));
    }
    let good = |_: &str, _: u16| Ok(vec![address(1)]);
    rig.resolver.resolve_by(Arc::new(good));
    let _wanted = rig.ask("zk", 1, 3);
    assert_eq!(rig.answer(), (3, Ok(Arc::from([address(1)]))));
}

/// More dead names than threads: others had to wait until the system gave these up.
#[test]
fn dead_names_are_made_up_for() {
    let rig = Rig::with_patience(Duration::ZERO);
    let dead: Vec<_> = (0..10)
        .map(|id| (rig.ask(&format!("dead{id}"), 1, id), rig.begun()))
        .collect();
    let _wanted = rig.ask("zk", 1, 10);
    let (host, result) = rig.begun();
    assert_eq!(host, "zk");
    result.send(Ok(vec![address(1)])).unwrap();
    assert_eq!(rig.answer().0, 10);
    drop(dead);
}

/// What has to wait behind dead names is begun when somebody asks for it again.
#[test]
fn asking_again_makes_up_for_dead_names() {
    let rig = Rig::with_patience(Duration::from_millis(1));
    let _dead: Vec<_> = (0..4)
        .map(|id| rig.ask(&format!("dead{id}"), 1, id))
        .collect();
    let begun: Vec<_> = (0..4).map(|_| rig.begun().1).collect();
    let first = rig.ask("zk", 1, 10);
    let (host, result) = loop {
        // As a client does whose attempt has taken too long.
        let _again = rig.ask("zk", 1, 11);
        if let Ok((host, _, result)) = rig.begun.try_recv() {
            break (host, result);
        }
        std::thread::yield_now();
    };
    assert_eq!(host, "zk");
    result.send(Ok(vec![address(1)])).unwrap();
    assert_eq!(rig.answer().0, 10);
    drop((first, begun));
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
    assert_eq!(rig.answer(), (0, Ok(Arc::from([address(1)]))));
    rig.begun().1.send(Ok(vec![address(2)])).unwrap();
    for id in 1..=50 {
        assert_eq!(rig.answer(), (id, Ok(Arc::from([address(2)]))));
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
