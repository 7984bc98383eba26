//! Names of servers, on every handler: looked up before each attempt, wherever that takes them, and
//! off the loop. The look-ups are the tests' own; no name server is asked.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zk::{BackoffPolicy, Builder, Client, FourLetterWord, Handler, LinkError, ServerAddr};
use zk_server::Server;

use crate::support::{LIMIT, log, next, quick, session_of, wait_until};

/// Short, as a silent address, or a resolver that hangs, takes an attempt's time.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How many names hang: more than are looked up at the same time.
const DEAD: usize = 6;

/// Names that the test writes, and reads who was asked for.
#[derive(Default)]
struct Book {
    names: Mutex<BTreeMap<String, Vec<SocketAddr>>>,
    asked: Mutex<Vec<(String, u16)>>,
    /// Whoever asks for a name that begins with `dead` waits for the other end to be dropped.
    dead: Mutex<Option<Receiver<()>>>,
}

impl Book {
    fn write(&self, name: &str, addresses: &[SocketAddr]) {
        let mut names = self.names.lock().unwrap();
        names.insert(name.to_owned(), addresses.to_vec());
    }

    fn look_up(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let asked = (name.to_owned(), port);
        self.asked.lock().unwrap().push(asked);
        if name.starts_with("dead") {
            if let Some(dead) = &*self.dead.lock().unwrap() {
                // Until the other end is dropped.
                let _ = dead.recv();
            }
        }
        let found = self.names.lock().unwrap().get(name).cloned();
        found.ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn times(&self, name: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(other, _)| other == name).count()
    }
}

/// Makes a handler that looks names up in the book.
type Make = fn(Arc<Book>) -> Arc<dyn Handler>;

macro_rules! on_each_handler {
    ($($test:ident)*) => {
        mod on_threads {
            use super::*;

            fn make(book: Arc<Book>) -> Arc<dyn Handler> {
                let handler = zk::threads::ThreadsHandler::new();
                Arc::new(handler.resolve_by(move |name: &str, port| book.look_up(name, port)))
            }

            $(#[test] fn $test() { super::$test(make); })*
        }

        mod on_tokio {
            use super::*;

            fn make(book: Arc<Book>) -> Arc<dyn Handler> {
                let handler = zk_handler_tokio::TokioHandler::new(crate::on_tokio::runtime());
                Arc::new(handler.resolve_by(move |name: &str, port| book.look_up(name, port)))
            }

            $(#[test] fn $test() { super::$test(make); })*
        }

        mod on_smol {
            use super::*;

            fn make(book: Arc<Book>) -> Arc<dyn Handler> {
                let handler = zk_handler_smol::SmolHandler::new();
                Arc::new(handler.resolve_by(move |name: &str, port| book.look_up(name, port)))
            }

            $(#[test] fn $test() { super::$test(make); })*
        }
    };
}

on_each_handler! {
    a_name_that_appears_is_found
    a_name_that_hangs_is_in_nobodys_way
    addresses_may_be_of_both_kinds
    all_addresses_of_a_name_are_tried
    attempts_take_turns_to_begin
    ports_may_come_with_the_addresses
    servers_may_move_under_their_name
}

fn server() -> Server {
    log::start();
    Server::builder().quiet().start().unwrap()
}

/// Refuses connections at once.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn builder(hosts: &str) -> Builder {
    let mut builder = Client::builder(hosts);
    let policy = BackoffPolicy::new().max_delay(Duration::from_millis(50));
    builder.session_timeout(TIMEOUT).connection_retry(policy);
    builder
}

fn connect(hosts: &str, handler: &Arc<dyn Handler>) -> Client {
    let connect = builder(hosts).connect(Arc::clone(handler));
    connect.limit(LIMIT).wait().unwrap()
}

fn all_addresses_of_a_name_are_tried(make: Make) {
    let (server, book) = (server(), Arc::<Book>::default());
    book.write("zk", &[nobody(), nobody(), server.local_addr(), nobody()]);
    let client = connect("zk:1", &make(Arc::clone(&book)));
    assert_eq!(client.server(), Some(ServerAddr::new("zk", 1)));
    // In one attempt.
    assert_eq!((book.times("zk"), client.stats().session.attempts), (1, 1));
    client.close().wait().unwrap();
}

/// A silent address uses up its attempt; the next begins with another.
fn attempts_take_turns_to_begin(make: Make) {
    let (server, book) = (server(), Arc::<Book>::default());
    // Taken up by the system, and by nobody behind it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    book.write("zk", &[silent.local_addr().unwrap(), server.local_addr()]);
    let client = connect("zk", &make(Arc::clone(&book)));
    assert_eq!((book.times("zk"), client.stats().session.attempts), (2, 2));
    assert_eq!(
        client.last_error(),
        Some((ServerAddr::new("zk", 2181), LinkError::ConnectTimeout))
    );
    client.close().wait().unwrap();
}

fn addresses_may_be_of_both_kinds(make: Make) {
    let (server, book) = (server(), Arc::<Book>::default());
    let handler = make(Arc::clone(&book));
    // Nobody listens there, or there is no such thing as IPv6 here.
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, nobody().port()));
    book.write("zk", &[v6, server.local_addr()]);
    connect("zk", &handler).close().wait().unwrap();

    let builder = Server::builder().quiet();
    let Ok(server) = builder.addr((Ipv6Addr::LOCALHOST, 0).into()).start() else {
        eprintln!("addresses_may_be_of_both_kinds: left out, there is no IPv6 on this machine");
        return;
    };
    book.write("six", &[server.local_addr()]);
    connect("six", &handler).close().wait().unwrap();
    let literal = format!("[::1]:{}", server.local_addr().port());
    let client = connect(&literal, &handler);
    assert_eq!(client.server().unwrap().host(), "::1");
    assert_eq!(book.times("::1"), 0, "an address is not looked up");
    client.close().wait().unwrap();
}

fn a_name_that_appears_is_found(make: Make) {
    let (server, book) = (server(), Arc::<Book>::default());
    let client = builder("zk").start(make(Arc::clone(&book))).unwrap();
    let waiting = client.exists("/").send();
    wait_until("some attempts", || client.stats().session.attempts >= 3);
    let not_found = LinkError::Io(ErrorKind::NotFound);
    assert_eq!(
        client.last_error(),
        Some((ServerAddr::new("zk", 2181), not_found))
    );
    assert!(book.times("zk") >= 2, "asked once for each attempt");
    book.write("zk", &[server.local_addr()]);
    assert!(waiting.wait().unwrap().is_some());
    client.close().wait().unwrap();
}

fn ports_may_come_with_the_addresses(make: Make) {
    let (server, book) = (server(), Arc::<Book>::default());
    book.write("_zookeeper._tcp.example", &[server.local_addr()]);
    let client = connect("_zookeeper._tcp.example", &make(Arc::clone(&book)));
    let asked = book.asked.lock().unwrap().clone();
    assert_eq!(asked, [("_zookeeper._tcp.example".to_owned(), 2181)]);
    let answer = client.command("ruok").wait().unwrap();
    assert_eq!(answer, "imok", "words are for the same address");
    client.close().wait().unwrap();
}

fn servers_may_move_under_their_name(make: Make) {
    let (first, book) = (server(), Arc::<Book>::default());
    book.write("zk", &[first.local_addr()]);
    let client = connect("zk", &make(Arc::clone(&book)));
    let before = session_of(&client);
    let mut changes = client.state_changes();
    let second = server();
    book.write("zk", &[second.local_addr()]);
    drop(first);
    while !next(&mut changes).to.is_connected() {}
    assert_ne!(session_of(&client), before, "the other knows nothing of it");
    assert_eq!(second.sessions(), [session_of(&client)]);
    client.close().wait().unwrap();
}

fn a_name_that_hangs_is_in_nobodys_way(make: Make) {
    let (server, book) = (server(), Arc::<Book>::default());
    let (alive, dead): (Sender<()>, _) = mpsc::channel();
    *book.dead.lock().unwrap() = Some(dead);
    book.write("zk", &[server.local_addr()]);
    let handler = make(Arc::clone(&book));
    let names: Vec<_> = (0..DEAD).map(|n| format!("dead{n}")).collect();
    let hung = builder(&names.join(",")).start(Arc::clone(&handler));
    let hung = hung.unwrap();
    wait_until("all dead names to be asked for", || {
        names.iter().all(|name| book.times(name) > 0)
    });
    // Others come through.
    let client = connect("zk", &handler);
    client.exists("/").wait().unwrap();
    client.close().wait().unwrap();
    // The loop goes on serving the one that hangs.
    let start = Instant::now();
    hung.sleep(Duration::from_millis(1)).wait().unwrap();
    let limit = Duration::from_millis(10);
    let server = ServerAddr::new("dead0", 2181);
    let word = FourLetterWord::new(*b"ruok", server, None).unwrap();
    let word = handler.four_letter(word, limit).wait();
    assert!(word.is_err(), "{word:?}");
    // And closing it waits for no name.
    let _ = hung.close().timeout(LIMIT).wait();
    quick(start);
    drop(alive);
}
