//! Downloads ZooKeeper's jars from the system's Debian mirror.
//!
//! The jars come out of Debian's packages, found through a private view of apt: one suite, its own
//! lists, nothing installed, the system's apt untouched. The mirror is the one that the system's own
//! sources name, and the signatures are checked with the system's keyring.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, iter};

use crate::dist::{Dist, Version};
use crate::error::Error;
use crate::home::{home, lock, make_dir};
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

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

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
    let install = [
        "-qy",
        "install",
        "--no-install-recommends",
        "default-jre-headless",
    ];
    let installed = run(Command::new("apt-get").args(["-q", "update"])).and_then(|_| {
        run(Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(install))
    });
    installed.map_err(|error| Error::NoJava {
        why: error.to_string(),
    })?;
    find_java().ok_or_else(|| Error::NoJava {
        why: "it installed no `java`".to_owned(),
    })
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
        release = release.or_else(|| release_of(&deb));
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

/// A private view of one suite of one mirror.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn new(dir: &Path, mirror: &str, suite: &str) -> Result<Self, Error> {
        let (sources, status) = (dir.join("sources.list"), dir.join("status"));
        let signed = if Path::new(KEYRING).exists() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new() // then whatever keys the system trusts
        };
        write(
            &sources,
            format!("deb {signed}{mirror} {suite} main\n").as_bytes(),
        )?;
        write(&status, b"")?;
        let options = [
            format!("Dir::Etc::SourceList={}", sources.display()),
            "Dir::Etc::SourceParts=-".to_owned(),
            "Dir::Etc::Preferences=-".to_owned(),
            "Dir::Etc::PreferencesParts=-".to_owned(),
            format!("Dir::State::Lists={}", dir.join("lists").display()),
            format!("Dir::State::Status={}", status.display()),
            format!("Dir::Cache={}", dir.join("cache").display()),
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        Ok(Self {
            options: options.into(),
        })
    }

    fn run(&self, program: &str, arguments: &[&str], dir: &Path) -> Result<String, Error> {
        let options = self
            .options
            .iter()
            .flat_map(|option| ["-o", option.as_str()]);
        let all = iter::once("-q")
            .chain(options)
            .chain(arguments.iter().copied());
        run(Command::new(program).args(all).current_dir(dir))
    }
}

/// The first Debian mirror of the system's apt sources.
fn mirror() -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(list(Path::new("/etc/apt/sources.list.d")).unwrap_or_default());
    files
        .iter()
        .find_map(|file| mirror_in(&fs::read_to_string(file).ok()?))
}

/// The first Debian mirror in the text of a sources file, in either of apt's two formats.
fn mirror_in(text: &str) -> Option<String> {
    let words = text.lines().filter_map(|line| {
        let line = line.trim();
        let rest = line
            .strip_prefix("URIs:")
            .or_else(|| line.strip_prefix("deb "))?;
        Some(rest.split_whitespace())
    });
    words
        .flatten()
        .find(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
}

/// ZooKeeper's release out of the name of its package: `libzookeeper-java_3.9.3-1_all.deb`.
fn release_of(deb: &Path) -> Option<String> {
    let name = deb.file_name()?.to_str()?;
    let version = name.strip_prefix(PACKAGE)?.strip_prefix('_')?;
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

/// The entries of a directory, sorted.
fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let doing = format!("list {}", dir.display());
    let mut paths = fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(Error::io(doing))?;
    paths.sort();
    Ok(paths)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(Error::io(format!("write {}", path.display())))
}

fn remove(dir: &Path) -> Result<(), Error> {
    if !dir.exists() {
        return Ok(());
    }
    fs::remove_dir_all(dir).map_err(Error::io(format!("remove {}", dir.display())))
}

/// Runs a command to its end and returns what it printed.
fn run(command: &mut Command) -> Result<String, Error> {
    command.stdin(Stdio::null()).env("LC_ALL", "C");
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(Error::io(format!("run {name}: is it installed?")))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy());
    let command = iter::once(name.as_str().into())
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ");
    let complaint = String::from_utf8_lossy(&output.stderr);
    let output = if complaint.trim().is_empty() {
        printed
    } else {
        complaint.into_owned()
    };
    Err(Error::Command {
        command,
        output: crate::log::last_lines(&output, 15),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_found_in_both_formats() {
        let new = "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\n";
        assert_eq!(
            mirror_in(new).as_deref(),
            Some("http://mirror.example/debian")
        );
        let old = "# deb http://no.example/debian x main\n\
                   deb http://security.example/debian-security x main\n\
                   deb [signed-by=/x.gpg] https://mirror.example/debian/ x main\n";
        assert_eq!(
            mirror_in(old).as_deref(),
            Some("https://mirror.example/debian/")
        );
        assert_eq!(mirror_in("deb http://other.example/ubuntu x main\n"), None);
    }

    #[test]
    fn the_release_is_in_the_name() {
        let release = |name| release_of(Path::new(name));
        let name = "/x/libzookeeper-java_3.8.0-11+deb12u2_all.deb";
        assert_eq!(release(name).as_deref(), Some("3.8.0"));
        assert_eq!(release("/x/libzookeeper-java-doc_3.8.0-11_all.deb"), None);
        assert_eq!(release("/x/libguava-java_31.1-1_all.deb"), None);
    }
}
