//! What the shells of the Java and the C client are asked, and what they have to say.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use zk_testkit::Peers;

use super::{LIMIT, output};

/// Every line is carried out before the next is read.
const JAVA: &str = "\
create /java one
get /java
set /java two
get -s /java
create -e /java/ephemeral
create -s /java/s- x
create -c /java/container
ls /java
ls -R /java
getAllChildrenNumber /java
getEphemerals /java
addauth digest bob:secret
whoami
setAcl /java auth::cdrwa
getAcl /java
addWatch /java
set /java three
removewatches /java
get -w /java
set /java four
setquota -n 10 /java
listquota /java
sync /java
create /java one
get /java/none
deleteall /java
ls /
quit
";

/// What the Java shell prints, in this order, but for errors and what it has made.
const JAVA_SAYS: [&str; 16] = [
    "one\n",
    "two\n",
    "dataVersion = 1\n",
    "[container, ephemeral, s-0000000001]\n",
    "/java\n/java/container\n/java/ephemeral\n/java/s-0000000001\n",
    "3\n",
    "[/java/ephemeral]\n",
    "digest: bob\n",
    "'digest,'bob:",
    ": cdrwa\n",
    "type:NodeDataChanged path:/java",
    "type:PersistentWatchRemoved path:/java",
    "type:NodeDataChanged path:/java",
    "Output quota for /java count=10,bytes=-1",
    "Sync is OK\n",
    "[zookeeper]\n",
];

/// The rest, in its order.
const JAVA_SAYS_ELSEWHERE: [&str; 6] = [
    "Created /java\n",
    "Created /java/ephemeral\n",
    "Created /java/s-0000000001\n",
    "Created /java/container\n",
    "Node already exists: /java\n",
    "Node does not exist: /java/none",
];

pub(super) fn java(peers: &Peers, hosts: &str) {
    let said = output(peers.java_shell(hosts), JAVA);
    in_order(&said.out, &JAVA_SAYS);
    in_order(&said.err, &JAVA_SAYS_ELSEWHERE);
    eprintln!("with zkCli.sh of {}", peers.shells_release());
}

fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else {
            panic!("no {part:?} in what is left of it: {rest}\n\nof {text}");
        };
        rest = behind;
    }
}

/// What the C shell is asked, and what it must have printed before the next question: it answers
/// some of them later.
const C: [(&str, &str); 14] = [
    ("", "Got a new session id"),
    ("create /c", "[/c]: rc = 0"),
    ("set /c two", "version=1"),
    ("get /c", "value_len = 3\ntwo\n"),
    ("create +e /c/e", "name = /c/e\n"),
    ("create +s /c/s-", "name = /c/s-0000000001\n"),
    ("create2 /c/y", "czxid="),
    ("ls /c", "s-0000000001\n"),
    ("wexists /c", ""), // prints nothing
    (
        "set /c three",
        "Watcher CHANGED_EVENT state = CONNECTED_STATE for path /c\n",
    ),
    ("get /none", "/none: rc = -101"),
    ("delete /c", "/c: rc = -111"),
    ("sync /c", "[/c]: rc = 0"),
    ("delete /c/y", "/c/y: rc = 0"),
];

pub(super) fn c(peers: &Peers, hosts: &str) {
    let mut dialogue = Dialogue::start(peers.c_shell(hosts));
    for (ask, says) in C {
        if !ask.is_empty() {
            dialogue.say(ask);
        }
        dialogue.expect(says);
    }
    dialogue.say("quit");
    assert!(dialogue.child.wait().unwrap().success());
    eprintln!("with cli_mt of {}", peers.shells_release());
}

/// A program that is spoken with, a line at a time.
struct Dialogue {
    child: Child,
    stdin: ChildStdin,
    heard: Receiver<Vec<u8>>,
    /// Said, and not asked for yet.
    said: String,
}

impl Dialogue {
    fn start(mut program: Command) -> Self {
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let (tell, heard) = mpsc::channel();
        listen(child.stdout.take().unwrap(), tell.clone());
        listen(child.stderr.take().unwrap(), tell);
        Self {
            child,
            stdin,
            heard,
            said: String::new(),
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// Waits until it has said `text`, and forgets all before.
    fn expect(&mut self, text: &str) {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.said.find(text) {
                self.said.drain(..at + text.len());
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left) {
                Ok(bytes) => self.said.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("no {text:?} in {}", self.said),
            }
        }
    }
}

/// Passes on what a program says, until it has ended.
fn listen(mut from: impl Read + Send + 'static, tell: Sender<Vec<u8>>) {
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            if tell.send(bytes[..length].to_vec()).is_err() {
                return;
            }
        }
    });
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
