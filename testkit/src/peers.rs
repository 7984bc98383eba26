//! Clients that other people wrote, to be tried on servers: kazoo, and the shells of the Java and the
//! C client.
//!
//! kazoo comes from the Python package index, the shells from Debian's packages. Nothing is installed
//! but a missing Python, as root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::{Apt, mirror, run};
use crate::dist::{Dist, Version};
use crate::error::Error;
use crate::fetch::{fetch, install};
use crate::home::{home, list, lock, make_dir, remove, write};

/// The kazoo that is run.
pub const KAZOO: &str = "2.11.0";

/// Whose shells are run: the packages of one Debian, so that programs and libraries fit together.
const SHELLS: Version = Version::V3_8;

const PACKAGES: [&str; 3] = ["zookeeper", "zookeeper-bin", "libzookeeper-mt2"];

/// Other people's clients on this machine; made by [`peers`].
#[derive(Clone, Debug)]
pub struct Peers {
    dir: PathBuf,
    dist: Dist,
}

/// Makes sure that the clients are on this machine.
///
/// The first call of any process downloads about a megabyte; others wait for it.
///
/// # Errors
///
/// As [`fetch`]: [`Error::Command`] with what apt or pip said, foremost.
pub fn peers() -> Result<Peers, Error> {
    let dist = fetch(SHELLS)?;
    let dists = home()?.join("dist");
    let dir = dists.join("peers");
    if !dir.join("complete").exists() {
        let _guard = lock(&dists.join("peers.lock"))?;
        if !dir.join("complete").exists() {
            download(&dists, &dir, &dist)?;
        }
    }
    Ok(Peers { dir, dist })
}

impl Peers {
    /// A Python program that can import kazoo. The program is the text `script`.
    pub fn kazoo(&self, script: &str) -> Command {
        let mut python = Command::new("python3");
        python
            .args(["-c", script])
            .env("PYTHONPATH", self.dir.join("kazoo"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        python
    }

    /// `zkCli.sh`, the shell of the Java client.
    pub fn java_shell(&self, hosts: &str) -> Command {
        let mut shell = Command::new("bash");
        shell
            .arg(self.dir.join("shells/usr/share/zookeeper/bin/zkCli.sh"))
            .args(["-server", hosts]);
        shell
    }

    /// `cli_mt`, the shell of the C client.
    pub fn c_shell(&self, hosts: &str) -> Command {
        let mut shell = Command::new(self.dir.join("shells/usr/lib/zookeeper/bin/cli_mt"));
        shell
            .arg(hosts)
            .env("LD_LIBRARY_PATH", self.dir.join("lib"));
        shell
    }

    /// The release of the two shells, such as `3.8.0`.
    pub fn shells_release(&self) -> &str {
        self.dist.release()
    }
}

/// Downloads everything into a directory of its own, which gets its name once it is complete.
fn download(dists: &Path, dir: &Path, dist: &Dist) -> Result<(), Error> {
    let mirror = mirror().ok_or_else(|| Error::NoMirror {
        dir: dir.to_owned(),
    })?;
    let work = dists.join("peers.part");
    remove(&work)?; // what a killed download left
    let [apt_dir, debs, shells, wheels, kazoo, lib] =
        ["apt", "debs", "shells", "wheels", "kazoo", "lib"].map(|name| work.join(name));
    for dir in [
        &apt_dir.join("lists/partial"),
        &apt_dir.join("cache/partial"),
        &debs,
        &shells,
        &wheels,
        &kazoo,
        &lib,
    ] {
        make_dir(dir)?;
    }
    eprintln!("testkit: fetching kazoo {KAZOO}, zkCli.sh and cli_mt");
    need_python()?;
    let wanted = format!("kazoo=={KAZOO}");
    let wheels = wheels.display().to_string();
    let pip = [
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "-d",
        &wheels,
        &wanted,
    ];
    run(Command::new("python3").args(pip))?;
    for wheel in list(Path::new(&wheels))? {
        let unpack = ["-m", "zipfile", "-e"];
        run(Command::new("python3").args(unpack).arg(&wheel).arg(&kazoo))?;
    }

    let apt = Apt::new(&apt_dir, &mirror, SHELLS.suite())?;
    apt.run("apt-get", &["update"], &work)?;
    let packages = ["download"].into_iter().chain(PACKAGES);
    apt.run("apt-get", &packages.collect::<Vec<_>>(), &debs)?;
    for deb in list(&debs)? {
        run(Command::new("dpkg").arg("-x").arg(&deb).arg(&shells))?;
    }
    take_libraries(&shells.join("usr/lib"), &lib)?;
    // The script's own environment names paths of an installed package.
    let bin = shells.join("usr/share/zookeeper/bin");
    let environment = bin.join("zkEnv.sh");
    fs::remove_file(&environment)
        .map_err(Error::io(format!("remove {}", environment.display())))?;
    write(&environment, environment_for(dist).as_bytes())?;
    write(&work.join("complete"), b"")?;
    for dir in [&apt_dir, &debs, Path::new(&wheels)] {
        remove(dir)?;
    }
    remove(dir)?;
    fs::rename(&work, dir).map_err(Error::io(format!("rename {}", work.display())))
}

fn environment_for(dist: &Dist) -> String {
    format!(
        "JAVA='{}'\nCLASSPATH='{}/*'\nZOO_LOG_DIR=/nonexistent\nJVMFLAGS='-Xmx128m \
         -XX:+UseSerialGC -XX:TieredStopAtLevel=1'\n",
        dist.java().display(),
        dist.lib().display()
    )
}

/// The C client's library lies in a directory named for the machine.
fn take_libraries(from: &Path, to: &Path) -> Result<(), Error> {
    for dir in list(from)?.into_iter().filter(|path| path.is_dir()) {
        for path in list(&dir)? {
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(name) = name.filter(|name| name.starts_with("libzookeeper")) {
                fs::copy(&path, to.join(name)).map_err(Error::io(format!("copy {name}")))?;
            }
        }
    }
    Ok(())
}

fn need_python() -> Result<(), Error> {
    if run(Command::new("python3").args(["-m", "pip", "--version"])).is_ok() {
        return Ok(());
    }
    eprintln!("testkit: installing python3-pip");
    install(&["python3", "python3-pip"])
}
