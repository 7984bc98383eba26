//! Mixed fleets: programs with kazoo and programs with `zk` at the same recipes, some of which are
//! killed while they hold something. On `zk-server` and on a real server.
//!
//! A [`Member`] is a process: `fleet.py`, or this very program again (`worker`). It is told what to
//! do by lines. A module of tests for each kind of recipe: each states what must never be seen, and
//! looks for it.

mod barriers;
mod counters;
mod leases;
pub(crate) mod locks;
mod parties;
mod queues;
pub(crate) mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use zk::threads::ThreadsHandler;
use zk::{Client, Error};
use zk_testkit::Peers;

/// How long anything may take that has to happen. Reached only by a test that fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The session timeout of all: how long it takes until others hear of a killed one.
pub(crate) const SESSION: Duration = Duration::from_secs(2);

/// The tick of the servers, of which a session timeout is at least two.
pub(crate) const TICK: Duration = Duration::from_millis(500);

/// Where a fleet meets.
pub(super) struct Fleet<'a> {
    peers: &'a Peers,
    hosts: String,
}

impl<'a> Fleet<'a> {
    pub(super) fn new(peers: &'a Peers, hosts: String) -> Self {
        Self { peers, hosts }
    }

    /// A process with kazoo.
    pub(super) fn python(&self) -> Member {
        let mut python = self.peers.kazoo(include_str!("fleet.py"));
        python.args([&self.hosts, &SESSION.as_secs().to_string()]);
        Member::start(python)
    }

    /// A process with `zk`.
    pub(super) fn rust(&self) -> Member {
        Member::start(worker::command(&self.hosts))
    }

    /// A client in this process.
    pub(super) fn client(&self) -> Client {
        connect(&self.hosts)
    }
}

pub(crate) fn connect(hosts: &str) -> Client {
    let mut builder = Client::builder(hosts);
    builder.session_timeout(SESSION);
    let connect = builder.connect(Arc::new(ThreadsHandler::new()));
    connect.limit(LIMIT).wait().unwrap()
}

/// What a member says to a line: a value in the manner of its language, or an error.
pub(crate) type Answer = Result<String, String>;

/// A process that does what it is told, several things at once.
pub(crate) struct Member {
    child: Child,
    stdin: ChildStdin,
    next: u64,
    heard: Arc<Heard>,
}

/// Something that a member was told to do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Task(u64);

#[derive(Default)]
struct Heard {
    said: Mutex<Said>,
    news: Condvar,
}

#[derive(Default)]
struct Said {
    ready: bool,
    over: bool,
    answers: BTreeMap<u64, Answer>,
    told: Vec<String>,
    /// Lines that mean nothing here: what a program says of its own accord.
    other: Vec<String>,
}

impl Said {
    fn line(&mut self, line: String) {
        let mut words = line.splitn(3, ' ');
        let number = words.next().and_then(|number| number.parse().ok());
        let rest = |text: Option<&str>| text.unwrap_or_default().to_owned();
        match (number, words.next(), words.next()) {
            (Some(0), Some("ready"), _) => self.ready = true,
            (Some(0), Some("tell"), text) => self.told.push(rest(text)),
            (Some(number), Some("ok"), value) => {
                self.answers.insert(number, Ok(rest(value)));
            }
            (Some(number), Some("error"), error) => {
                self.answers.insert(number, Err(rest(error)));
            }
            _ => self.other.push(line),
        }
    }
}

impl Member {
    pub(crate) fn start(mut program: Command) -> Self {
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let heard = Arc::<Heard>::default();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        listen(out, &heard, |said, line| said.line(line), true);
        listen(err, &heard, |said, line| said.other.push(line), false);
        let member = Self {
            stdin: child.stdin.take().unwrap(),
            child,
            next: 1,
            heard,
        };
        member.wait("to be ready", |said| said.ready.then_some(()));
        member
    }

    /// Tells it to do something, and does not wait.
    pub(crate) fn begin(&mut self, line: &str) -> Task {
        let number = self.next;
        self.next += 1;
        writeln!(self.stdin, "{number} {}", line.replace('\n', "\x1f")).unwrap();
        Task(number)
    }

    /// Waits for the answer.
    #[track_caller]
    pub(crate) fn answer(&self, task: Task) -> Answer {
        self.wait("to answer", |said| said.answers.get(&task.0).cloned())
    }

    /// Is it done?
    pub(crate) fn has_answered(&self, task: Task) -> bool {
        self.heard
            .said
            .lock()
            .unwrap()
            .answers
            .contains_key(&task.0)
    }

    /// Has something done that has to succeed.
    #[track_caller]
    pub(crate) fn run(&mut self, line: &str) -> String {
        let task = self.begin(line);
        self.end(task)
    }

    /// Waits for something that has to succeed.
    #[track_caller]
    pub(crate) fn end(&self, task: Task) -> String {
        match self.answer(task) {
            Ok(value) => value,
            Err(error) => panic!("{error}\n{}", self.said()),
        }
    }

    /// All that it has told so far.
    pub(crate) fn told(&self) -> Vec<String> {
        self.heard.said.lock().unwrap().told.clone()
    }

    /// Waits until it has told so many things.
    #[track_caller]
    pub(crate) fn wait_until_told(&self, count: usize) {
        self.wait("to tell", |said| (said.told.len() >= count).then_some(()));
    }

    /// Kills it: it gets no chance to say goodbye. Gives what it had told.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.wait("to end", |said| said.over.then_some(()));
        self.told()
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, mut look: impl FnMut(&Said) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        let mut said = self.heard.said.lock().unwrap();
        loop {
            if let Some(found) = look(&said) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || said.over {
                drop(said);
                panic!("waited in vain for it {what}: {}", self.said());
            }
            said = self.heard.news.wait_timeout(said, left).unwrap().0;
        }
    }

    fn said(&self) -> String {
        self.heard.said.lock().unwrap().other.join("\n")
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Member({})", self.child.id())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(
    from: impl std::io::Read + Send + 'static,
    heard: &Arc<Heard>,
    hear: fn(&mut Said, String),
    to_the_end: bool,
) {
    let heard = Arc::clone(heard);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            hear(&mut heard.said.lock().unwrap(), line);
            heard.news.notify_all();
        }
        if to_the_end {
            heard.said.lock().unwrap().over = true;
            heard.news.notify_all();
        }
    });
}

/// Whether a result is not there after a while in which it well could be.
pub(crate) fn stays_open(mut is_there: impl FnMut() -> bool) -> bool {
    zk_testkit::eventually(Duration::from_millis(300), || is_there().then_some(())).is_none()
}

/// Waits until a client of this process sees so many children.
#[track_caller]
pub(crate) fn wait_for_children(client: &Client, path: &str, count: usize) {
    let count_now = || match client.get_children(path).synced().wait() {
        Ok(names) => names.iter().count(),
        Err(Error::NoNode) => 0,
        Err(error) => panic!("{error}"),
    };
    let found = zk_testkit::eventually(LIMIT, || (count_now() == count).then_some(()));
    assert!(
        found.is_some(),
        "{path} has {} children, not {count}",
        count_now()
    );
}

/// Each of these on our server and on a real one.
macro_rules! fleets {
    ($($test:ident)*) => {
        mod on_zk_server {
            $(#[test]
            #[ignore = "needs programs of others: cargo xtask test"]
            fn $test() {
                let peers = zk_testkit::peers().unwrap();
                let server = zk_server::Server::builder().quiet();
                let server = server.tick($crate::peers::fleet::TICK).start().unwrap();
                super::$test(&$crate::peers::fleet::Fleet::new(&peers, server.hosts()));
            })*
        }
        mod on_a_real_server {
            $(#[test]
            #[ignore = "needs programs of others: cargo xtask test"]
            fn $test() {
                let peers = zk_testkit::peers().unwrap();
                let options = zk_testkit::Options::new().tick($crate::peers::fleet::TICK);
                let server = zk_testkit::Cluster::start(zk_testkit::Version::V3_9, &options);
                let server = server.unwrap();
                let hosts = server.connect_string();
                super::$test(&$crate::peers::fleet::Fleet::new(&peers, hosts));
            })*
        }
    };
}

use fleets;
