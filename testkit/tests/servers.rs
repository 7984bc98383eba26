//! Real servers: they start, pause, die and come back. Left out unless `ZK_REAL=1` is set, as they
//! need Java and, the first time, the network.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use zk_testkit::{Cluster, Mode, Options, Sasl, Version, eventually, fetch, four_letter};

const LIMIT: Duration = Duration::from_secs(120);

/// Whether real servers are wanted; says so when not.
fn real() -> bool {
    let wanted = env::var_os("ZK_REAL").is_some_and(|value| value == "1");
    if !wanted {
        eprintln!("testkit: left out, as ZK_REAL=1 is not set");
    }
    wanted
}

fn quick() -> Options {
    Options::new().tick(Duration::from_millis(200))
}

/// For several servers: on a machine that is busy they lose each other, and never come together, if
/// they are soon out of patience.
fn patient() -> Options {
    let tick = Duration::from_millis(500);
    Options::new().tick(tick).sync_limit(tick * 20)
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    assert!(
        eventually(LIMIT, || condition().then_some(())).is_some(),
        "waited for {what}"
    );
}

/// The jars that a JVM has opened.
fn open_jars(pid: u32) -> Vec<PathBuf> {
    let files = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let paths = files.filter_map(|file| fs::read_link(file.path()).ok());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "jar"))
        .collect()
}

#[test]
fn every_version_runs_standalone() {
    if !real() {
        return;
    }
    for version in Version::ALL {
        let cluster = Cluster::start(version, &quick()).unwrap();
        assert_eq!(cluster.len(), 1);
        assert_eq!(cluster.mode(0), Some(Mode::Standalone));
        assert_eq!(cluster.leader(), None);
        let release = fetch(version).unwrap().release().to_owned();
        assert!(release.starts_with(&format!("{version}.")), "{release}");
        assert_eq!(cluster.release(0), Some(release));
        assert_eq!(cluster.connect_string(), cluster.address(0).to_string());
        assert_eq!(four_letter(cluster.address(0), "ruok").unwrap(), "imok");
        assert!(
            cluster
                .four_letter(0, "conf")
                .unwrap()
                .contains("tickTime=200")
        );
        assert!(!cluster.log_tail(0, 3).is_empty());
        let jars = open_jars(cluster.pid(0).unwrap());
        assert!(jars.iter().any(|jar| jar.ends_with("zookeeper.jar")));
        // In particular none of those that the system may have of another version.
        assert!(
            jars.iter().all(|jar| jar.starts_with(cluster.dist().lib())),
            "{jars:?}"
        );
    }
}

#[test]
fn a_server_pauses_dies_and_comes_back() {
    if !real() {
        return;
    }
    let cluster = Cluster::start(Version::V3_9, &quick()).unwrap();
    let address = cluster.address(0);
    let pid = cluster.pid(0);

    cluster.pause(0);
    assert!(cluster.four_letter(0, "ruok").is_err());
    assert!(cluster.is_running(0));
    cluster.resume(0);
    wait_for("an answer", || {
        cluster
            .four_letter(0, "ruok")
            .is_ok_and(|word| word == "imok")
    });
    assert_eq!(cluster.pid(0), pid);

    cluster.pause(0);
    cluster.kill(0);
    assert!(!cluster.is_running(0));
    assert_eq!((cluster.pid(0), cluster.mode(0)), (None, None));
    cluster.kill(0);

    cluster.restart(0).unwrap();
    assert_eq!(cluster.address(0), address);
    assert_ne!(cluster.pid(0), pid);
    assert_eq!(cluster.mode(0), Some(Mode::Standalone));
}

#[test]
fn dropping_a_cluster_leaves_nothing() {
    if !real() {
        return;
    }
    let cluster = Cluster::start(Version::V3_8, &quick()).unwrap();
    let dir = cluster.dir(0).to_owned();
    let process = format!("/proc/{}", cluster.pid(0).unwrap());
    assert!(dir.join("zoo.cfg").exists());
    assert!(fs::exists(&process).unwrap());
    drop(cluster);
    assert!(!dir.exists());
    assert!(!Path::new(&process).exists());
}

#[test]
fn a_server_that_cannot_start_says_why() {
    if !real() {
        return;
    }
    let options = quick()
        .conf("authProvider.x509=no.such.Provider")
        .conf("tickTime=nonsense");
    let error = Cluster::start(Version::V3_9, &options).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("member 0 ended"), "{message}");
    assert!(message.contains("nonsense"), "{message}");
}

#[test]
fn an_ensemble_outlives_its_leader() {
    if !real() {
        return;
    }
    for version in Version::ALL {
        let options = patient().ensemble(3).observers(1);
        let cluster = Cluster::start(version, &options).unwrap();
        assert_eq!(cluster.connect_string().split(',').count(), 4);
        assert_eq!(cluster.mode(3), Some(Mode::Observer));
        let leader = cluster.leader().unwrap();
        assert_eq!(cluster.followers().len(), 2);

        cluster.kill(leader);
        wait_for("another leader", || {
            cluster.leader().is_some_and(|new| new != leader)
        });
        cluster.restart(leader).unwrap();
        wait_for("it to follow", || {
            cluster.mode(leader) == Some(Mode::Follower)
        });

        let mut paused = leader;
        wait_for("the leader", || {
            cluster.leader().map(|now| paused = now).is_some()
        });
        cluster.pause(paused);
        wait_for("a third leader", || {
            cluster.leader().is_some_and(|new| new != paused)
        });
        cluster.resume(paused);
        wait_for("a follower", || {
            cluster.mode(paused) == Some(Mode::Follower)
        });
    }
}

#[test]
fn a_member_without_quorum_serves_reads() {
    if !real() {
        return;
    }
    let options = patient()
        .ensemble(3)
        .read_only(true)
        .sasl_digest(Sasl::Offered);
    let cluster = Cluster::start(Version::V3_9, &options).unwrap();
    cluster.kill(0);
    cluster.kill(1);
    wait_for("read-only mode", || cluster.mode(2) == Some(Mode::ReadOnly));
    assert_eq!(cluster.four_letter(2, "isro").unwrap(), "ro");
    cluster.start_without_waiting(0).unwrap();
    cluster.wait(0).unwrap();
    cluster.wait(2).unwrap();
}

/// A session with a timeout of a second, in so far as it takes one to be expired.
fn open_session(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut request = vec![0; 4 + 45]; // no zxid, no session, no password yet, not read-only
    request[..4].copy_from_slice(&45_u32.to_be_bytes());
    request[16..20].copy_from_slice(&1000_u32.to_be_bytes());
    request[28..32].copy_from_slice(&16_u32.to_be_bytes());
    stream.write_all(&request)?;
    read_frame(&mut stream)?;
    Ok(stream)
}

/// Sends a ping and waits for its answer; false when the connection is gone.
fn ping(stream: &mut TcpStream) -> bool {
    let frame = [8_i32, -2, 11].map(i32::to_be_bytes).concat();
    stream
        .write_all(&frame)
        .and_then(|()| read_frame(stream))
        .is_ok()
}

fn read_frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

/// One of the figures that the word `mntr` tells.
fn figure(cluster: &Cluster, member: usize, name: &str) -> Option<f64> {
    let answer = cluster.four_letter(member, "mntr").ok()?;
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'))?;
    line.parse().ok()
}

/// The follower answers a session that the leader has already expired: the one thing that no test
/// with pauses and kills can bring about.
#[test]
fn an_isolated_follower_serves_on_for_a_while() {
    if !real() {
        return;
    }
    for version in Version::ALL {
        let options = Options::new()
            .ensemble(3)
            .tick(Duration::from_millis(500))
            .sync_limit(Duration::from_secs(12))
            .proxied_quorum(true);
        let cluster = Cluster::start(version, &options).unwrap();
        let follower = cluster.followers()[0];
        let leader = cluster.leader().unwrap();
        let sessions = || figure(&cluster, leader, "zk_global_sessions");
        wait_for("two followers in step", || {
            figure(&cluster, leader, "zk_synced_followers") == Some(2.0)
        });
        let mut open = None;
        wait_for("a session", || {
            // One that has ended meanwhile is opened again.
            if !open.as_mut().is_some_and(ping) {
                open = open_session(cluster.address(follower)).ok();
            }
            open.is_some() && sessions() == Some(1.0)
        });
        let mut session = open.unwrap();

        cluster.isolate(follower);
        let since = Instant::now();
        let expired = eventually(LIMIT, || {
            assert!(ping(&mut session), "the follower gave up before the leader");
            (sessions()? == 0.0).then(|| since.elapsed())
        });
        assert!(ping(&mut session));
        assert_eq!(cluster.mode(follower), Some(Mode::Follower));
        wait_for("the end of the follower's patience", || {
            cluster.mode(follower).is_none()
        });
        let patience = since.elapsed();
        eprintln!("testkit: {version} expired after {expired:?}, served for {patience:?}");
        assert!(!ping(&mut session));
        assert_eq!(cluster.leader(), Some(leader));

        cluster.heal(follower);
        cluster.wait(follower).unwrap();
        assert_eq!(cluster.mode(follower), Some(Mode::Follower));
    }
}
