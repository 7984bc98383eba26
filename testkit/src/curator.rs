//! Curator, the recipes of the Java client, to be tried on servers beside ours.
//!
//! It comes from Debian's packages, unpacked and not installed. A program that uses it is one file of source,
//! which Java compiles as it starts: that takes a JDK, which is installed as root where it is missing.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::{Apt, mirror, run};
use crate::dist::{Dist, Version};
use crate::error::Error;
use crate::fetch::{fetch, install, release_of};
use crate::home::{home, list, lock, make_dir, remove, write};
use crate::jar::hide_manifest;

/// Whose Curator is run: that of the Debian which has the jars that it needs.
const WITH: Version = Version::V3_8;

const PACKAGES: [&str; 3] = [
    "libcurator-client-java",
    "libcurator-framework-java",
    "libcurator-recipes-java",
];

const JARS: [&str; 3] = ["curator-client", "curator-framework", "curator-recipes"];

/// Curator on this machine; made by [`curator`].
#[derive(Clone, Debug)]
pub struct Curator {
    lib: PathBuf,
    release: String,
    java: PathBuf,
    dist: Dist,
}

/// Makes sure that Curator is on this machine, with a JDK.
///
/// The first call of any process downloads less than a megabyte, and perhaps a JDK; others wait for it.
///
/// # Errors
///
/// As [`fetch`]; [`Error::NoJava`] if there is no JDK.
pub fn curator() -> Result<Curator, Error> {
    let dist = fetch(WITH)?;
    let dists = home()?.join("dist");
    let java = compiling_java(&dists)?;
    let dir = dists.join("curator");
    let mark = dir.join("version");
    if !mark.exists() {
        let _guard = lock(&dists.join("curator.lock"))?;
        if !mark.exists() {
            download(&dists, &dir)?;
        }
    }
    let release = fs::read_to_string(&mark)
        .map_err(Error::io(format!("read {}", mark.display())))?
        .trim()
        .to_owned();
    Ok(Curator {
        lib: dir.join("lib"),
        release,
        java,
        dist,
    })
}

impl Curator {
    /// A program that can use Curator, out of one file of source.
    pub fn program(&self, source: &Path) -> Command {
        let mut java = Command::new(&self.java);
        let path = format!("{}/*:{}/*", self.dist.lib().display(), self.lib.display());
        java.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .args(["-cp", &path])
            .arg(source);
        java
    }

    /// Its release, such as `5.4.0`.
    pub fn release(&self) -> &str {
        &self.release
    }
}

/// A Java that compiles, installed as root if there is none.
fn compiling_java(dists: &Path) -> Result<PathBuf, Error> {
    if let Some(java) = beside_javac() {
        return Ok(java);
    }
    let _guard = lock(&dists.join("java.lock"))?;
    if let Some(java) = beside_javac() {
        return Ok(java); // another process installed it meanwhile
    }
    let no_java = |why: String| Error::NoJava { why };
    if !rustix::process::geteuid().is_root() {
        return Err(no_java("a JDK is needed, and that needs root".to_owned()));
    }
    eprintln!("testkit: installing default-jdk-headless");
    install(&["default-jdk-headless"]).map_err(|error| no_java(error.to_string()))?;
    beside_javac().ok_or_else(|| no_java("it installed no `javac`".to_owned()))
}

/// The `java` of the JDK whose `javac` is found: the first on the path may be of a runtime.
fn beside_javac() -> Option<PathBuf> {
    let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = home.into_iter().chain(env::split_paths(&path));
    dirs.filter_map(|dir| dir.join("javac").canonicalize().ok())
        .map(|javac| javac.with_file_name("java"))
        .find(|java| java.is_file())
}

/// Downloads it into a directory of its own, which gets its name once it is complete.
fn download(dists: &Path, dir: &Path) -> Result<(), Error> {
    let mirror = mirror().ok_or_else(|| Error::NoMirror {
        dir: dir.to_owned(),
    })?;
    let work = dists.join("curator.part");
    remove(&work)?; // what a killed download left
    let [apt_dir, debs, root, lib] = ["apt", "debs", "root", "lib"].map(|name| work.join(name));
    for dir in [
        &apt_dir.join("lists/partial"),
        &apt_dir.join("cache/partial"),
        &debs,
        &root,
        &lib,
    ] {
        make_dir(dir)?;
    }
    eprintln!("testkit: fetching Curator");
    let apt = Apt::new(&apt_dir, &mirror, WITH.suite())?;
    apt.run("apt-get", &["update"], &work)?;
    let packages = ["download"].into_iter().chain(PACKAGES);
    apt.run("apt-get", &packages.collect::<Vec<_>>(), &debs)?;
    let mut release = None;
    for deb in list(&debs)? {
        run(Command::new("dpkg").arg("-x").arg(&deb).arg(&root))?;
        release = release.or_else(|| release_of(PACKAGES[2], &deb));
    }
    for jar in JARS {
        let name = format!("{jar}.jar");
        let mut bytes = fs::read(root.join("usr/share/java").join(&name))
            .map_err(|_| Error::MissingJar { jar })?;
        hide_manifest(&mut bytes);
        write(&lib.join(name), &bytes)?;
    }
    let release = release.ok_or(Error::MissingJar { jar: JARS[2] })?;
    write(&work.join("version"), format!("{release}\n").as_bytes())?;
    for dir in [&apt_dir, &debs, &root, &dir.to_owned()] {
        remove(dir)?;
    }
    fs::rename(&work, dir).map_err(Error::io(format!("rename {}", work.display())))
}
