//! Holds the crates without I/O to that.
//!
//! Clippy refuses what a crate's `clippy.toml` forbids. That only helps while the file is there and
//! says enough, so each one is tried on a small crate in which the forbidden calls stand. What no
//! list of methods can name is searched for in the text.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::files::{code, is_test, read, tracked};
use crate::process::{SHORT, cargo, watch};
use crate::report::Done;
use crate::workspace::Workspace;

/// Crates that are functions of their arguments.
const PURE: [&str; 5] = [
    "zk-proto",
    "zk-session",
    "zk-recipes",
    "zk-sasl",
    "zk-server",
];

/// What is not, in these crates: Kerberos by the system's library, the server's TCP port, and its
/// program.
const IMPURE: [&str; 5] = [
    "zk-sasl/src/gssapi.rs",
    "zk-sasl/src/gssapi",
    "zk-server/src/tcp.rs",
    "zk-server/src/tcp",
    "zk-server/src/bin",
];

/// Crates that have a `clippy.toml` against what belongs to the handlers.
const SEALED: [&str; 7] = [
    "zk-proto",
    "zk-session",
    "zk-client",
    "zk-recipes",
    "zk-sasl",
    "zk-server",
    "zk-sim",
];

/// Calls that each of the sealed crates must be refused.
const PLANTED: [&str; 6] = [
    "std::time::Instant::now()",
    "std::time::SystemTime::now()",
    "std::thread::spawn(|| {})",
    "std::thread::sleep(std::time::Duration::ZERO)",
    "std::env::var(\"ZK\")",
    "std::net::TcpStream::connect(\"127.0.0.1:1\")",
];

/// What pure code does not name outside its tests.
const FORBIDDEN: [&str; 9] = [
    "std::net::Tcp",
    "std::net::Udp",
    "std::thread",
    "std::env",
    "std::fs",
    "std::process",
    "Instant::now",
    "SystemTime::now",
    "thread_local!",
];

pub(crate) fn pure(workspace: &Workspace) -> Result<Done, Error> {
    let mut broken = 0;
    for name in SEALED {
        let seal = workspace.root.join(name).join("clippy.toml");
        let refused = if seal.exists() {
            refused(workspace, name, &seal)?
        } else {
            0
        };
        if refused != PLANTED.len() {
            println!(
                "{name}/clippy.toml refuses {refused} of {} calls",
                PLANTED.len()
            );
            broken += 1;
        }
        let root = read(&workspace.root.join(name).join("src/lib.rs"))?.unwrap_or_default();
        if !root.contains("#![warn(clippy::disallowed_methods") {
            println!("{name}/src/lib.rs does not turn clippy::disallowed_methods on");
            broken += 1;
        }
    }
    for path in tracked(&workspace.root)? {
        let of_pure = PURE
            .iter()
            .any(|name| path.starts_with(Path::new(name).join("src")));
        let excepted = IMPURE.iter().any(|impure| path.starts_with(impure));
        if !of_pure || excepted || is_test(&path) {
            continue;
        }
        let text = read(&workspace.root.join(&path))?.unwrap_or_default();
        for (number, line) in code(&text).lines().enumerate() {
            let comment = line.trim_start().starts_with("//");
            if !comment && FORBIDDEN.iter().any(|word| line.contains(word)) {
                println!("{}:{}: {}", path.display(), number + 1, line.trim());
                broken += 1;
            }
        }
    }
    if broken > 0 {
        return Err(Error::Rule(broken));
    }
    Ok(Done::Passed(format!(
        "{} calls refused in {} crates",
        PLANTED.len(),
        SEALED.len()
    )))
}

/// How many of the planted calls are refused under a `clippy.toml`.
fn refused(workspace: &Workspace, name: &str, seal: &Path) -> Result<usize, Error> {
    let dir = workspace.target.join("xtask/planted").join(name);
    let manifest = "[package]\nname = \"planted\"\nedition = \"2024\"\n\n[workspace]\n";
    let mut source = String::from("#![warn(clippy::disallowed_methods)]\npub fn planted() {\n");
    for call in PLANTED {
        source.push_str(&format!("    let _ = {call};\n"));
    }
    source.push_str("}\n");
    let doing = || Error::io(format!("write below {}", dir.display()));
    fs::create_dir_all(dir.join("src")).map_err(doing())?;
    fs::write(dir.join("Cargo.toml"), manifest).map_err(doing())?;
    fs::write(dir.join("src/lib.rs"), source).map_err(doing())?;
    fs::copy(seal, dir.join("clippy.toml")).map_err(doing())?;

    let mut clippy = cargo(&["clippy", "--offline", "--message-format", "json"]);
    clippy.current_dir(&dir);
    clippy.env("CARGO_TARGET_DIR", dir.join("target"));
    // Of an unchanged crate cargo repeats what clippy said: nothing is lost the second time.
    let mut refused = 0;
    watch(&mut clippy, SHORT, |line| {
        refused += usize::from(line.contains("\"code\":\"clippy::disallowed_methods\""));
    })?;
    Ok(refused)
}
