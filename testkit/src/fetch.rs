//! Downloads ZooKeeper's jars from the system's Debian mirror.
//!
//! The jars come out of Debian's packages, without installing these: of each release line the one
//! that a suite of Debian has.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::{Apt, mirror, run};
use crate::dist::{Dist, Version};
use crate::error::Error;
use crate::home::{home, list, lock, make_dir, remove, write};
use crate::jar::hide_manifest;

const PACKAGE: &str = "libzookeeper-java";

/// Packages needed at run time besides the direct dependencies of [`PACKAGE`].
const EXTRA: [&str; 1] = ["libjctools-java"];

/// Jars without which the server does not start, so that a changed package is noticed here.
const REQUIRED: [&str; 5] = [
    "zookeeper",
    "zookeeper-jute",
    "slf4j-api",
    "slf4j-simple",
    "metrics-core",
];

/// Jars taken when they are there. Of the logging back ends only the one that prints to stderr.
const WANTED: [&str; 9] = [
    "commons-cli",
    "commons-io",
    "findbugs-annotations",
    "guava",
    "jackson-annotations",
    "jackson-core",
    "jackson-databind",
    "jctools-core",
    "snappy-java",
];

/// Makes sure that a version is on this machine, with a Java to run it, and returns it.
///
/// The first call of any process downloads some 15 MB; others wait for it, later ones return at once.
/// As root on Debian a missing Java is installed.
///
/// # Errors
///
/// [`Error::NoHome`], [`Error::NoJava`], [`Error::NoMirror`], [`Error::MissingJar`],
/// [`Error::Command`] with what apt said, or [`Error::Io`].
pub fn fetch(version: Version) -> Result<Dist, Error> {
    let dists = home()?.join("dist");
    make_dir(&dists)?;
    let java = java(&dists)?;
    let dir = dists.join(version.to_string());
    if !dir.join("version").exists() {
        let _guard = lock(&dists.join(format!("{version}.lock")))?;
        if !dir.join("version").exists() {
            download(version, &dists, &dir)?;
        }
    }
    let mark = dir.join("version");
    let release = fs::read_to_string(&mark)
        .map_err(Error::io(format!("read {}", mark.display())))?
        .trim()
        .to_owned();
    Ok(Dist {
        version,
        release,
        lib: dir.join("lib"),
        java,
    })
}

/// Finds Java, or installs it as root.
fn java(dists: &Path) -> Result<PathBuf, Error> {
    if let Some(java) = find_java() {
        return Ok(java);
    }
    let _guard = lock(&dists.join("java.lock"))?;
    if let Some(java) = find_java() {
        return Ok(java); // another process installed it meanwhile
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NoJava {
            why: "that needs root".to_owned(),
        });
    }
    eprintln!("testkit: installing default-jre-headless");
    install(&["default-jre-headless"]).map_err(|error| Error::NoJava {
        why: error.to_string(),
    })?;
    find_java().ok_or_else(|| Error::NoJava {
        why: "it installed no `java`".to_owned(),
    })
}

/// Installs packages of the system's own Debian, which needs root.
pub(crate) fn install(packages: &[&str]) -> Result<(), Error> {
    run(Command::new("apt-get").args(["-q", "update"]))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-qy", "install", "--no-install-recommends"])
        .args(packages))?;
    Ok(())
}

fn find_java() -> Option<PathBuf> {
    let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = home.into_iter().chain(env::split_paths(&path));
    dirs.map(|dir| dir.join("java")).find(|java| java.is_file())
}

/// Downloads a version into a directory of its own, which gets its name once it is complete.
fn download(version: Version, dists: &Path, dir: &Path) -> Result<(), Error> {
    let mirror = mirror().ok_or_else(|| Error::NoMirror {
        dir: dir.to_owned(),
    })?;
    let work = dists.join(format!("{version}.part"));
    remove(&work)?; // what a killed download left
    let (apt_dir, debs, root, lib) = (
        work.join("apt"),
        work.join("debs"),
        work.join("root"),
        work.join("lib"),
    );
    for dir in [
        &apt_dir.join("lists/partial"),
        &apt_dir.join("cache/partial"),
        &debs,
        &root,
        &lib,
    ] {
        make_dir(dir)?;
    }
    let apt = Apt::new(&apt_dir, &mirror, version.suite())?;
    eprintln!("testkit: fetching ZooKeeper {version}");
    apt.run("apt-get", &["update"], &work)?;
    let depends = apt.run("apt-cache", &["depends", PACKAGE], &work)?;
    let mut packages = vec!["download", PACKAGE];
    packages.extend(EXTRA);
    packages.extend(
        depends
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .filter(|name| name.starts_with("lib")),
    );
    apt.run("apt-get", &packages, &debs)?;

    let mut release = None;
    for deb in list(&debs)? {
        run(Command::new("dpkg").arg("-x").arg(&deb).arg(&root))?;
        release = release.or_else(|| release_of(PACKAGE, &deb));
    }
    take_jars(&root, &lib)?;
    let release = release.ok_or(Error::MissingJar { jar: "zookeeper" })?;
    write(&work.join("version"), format!("{release}\n").as_bytes())?;
    for dir in [&apt_dir, &debs, &root, &dir.to_owned()] {
        remove(dir)?;
    }
    fs::rename(&work, dir).map_err(Error::io(format!("rename {}", work.display())))?;
    eprintln!("testkit: have ZooKeeper {release}");
    Ok(())
}

/// The release out of the file name of a package: `libzookeeper-java_3.9.3-1_all.deb`.
pub(crate) fn release_of(package: &str, deb: &Path) -> Option<String> {
    let name = deb.file_name()?.to_str()?;
    let version = name.strip_prefix(package)?.strip_prefix('_')?;
    Some(version.split(['-', '+', '_']).next()?.to_owned())
}

/// Copies the jars that the server needs out of the unpacked packages, without their manifests.
fn take_jars(root: &Path, lib: &Path) -> Result<(), Error> {
    let all = list(&root.join("usr/share/java"))?;
    for path in &all {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let Some(stem) = name.strip_suffix(".jar") else {
            continue;
        };
        let wanted =
            REQUIRED.contains(&stem) || WANTED.contains(&stem) || stem.starts_with("netty-");
        // Links may dangle, into packages that were not fetched, and must not lead to the system's.
        let inside = path.canonicalize().is_ok_and(|real| real.starts_with(root));
        if wanted && inside {
            let mut jar = fs::read(path).map_err(Error::io(format!("read {name}")))?;
            hide_manifest(&mut jar);
            write(&lib.join(name), &jar)?;
        }
    }
    let missing = REQUIRED
        .iter()
        .find(|stem| !lib.join(format!("{stem}.jar")).exists());
    missing.map_or(Ok(()), |jar| Err(Error::MissingJar { jar }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_in_the_name() {
        let release = |name| release_of(PACKAGE, Path::new(name));
        let name = "/x/libzookeeper-java_3.8.0-11+deb12u2_all.deb";
        assert_eq!(release(name).as_deref(), Some("3.8.0"));
        assert_eq!(release("/x/libzookeeper-java-doc_3.8.0-11_all.deb"), None);
        assert_eq!(release("/x/libguava-java_31.1-1_all.deb"), None);
    }
}
