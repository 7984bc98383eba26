//! Runs other programs: shown before they start, stopped when they take too long.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::error::Error;

/// The limit of a step that compiles.
pub(crate) const SHORT: Duration = Duration::from_secs(10 * 60);

/// The limit of a step that runs all tests.
pub(crate) const LONG: Duration = Duration::from_secs(30 * 60);

/// The cargo that runs this program, without the variables by which it tells this program apart.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).env("CARGO_TERM_COLOR", "never");
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program that prints for itself.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<(), Error> {
    let status = watch(command, limit, |line| println!("{line}"))?;
    succeeded(command, status)
}

/// Runs a program and takes its output, which is not shown.
pub(crate) fn capture(command: &mut Command, limit: Duration) -> Result<String, Error> {
    let mut output = String::new();
    let status = watch(command, limit, |line| {
        output.push_str(line);
        output.push('\n');
    })?;
    succeeded(command, status).map(|()| output)
}

/// Runs a program and hands over its output, line by line. Its standard error is this program's.
pub(crate) fn watch(
    command: &mut Command,
    limit: Duration,
    mut on_line: impl FnMut(&str),
) -> Result<ExitStatus, Error> {
    let name = name(command);
    eprintln!("$ {name}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::io(format!("run `{name}`")))?;
    let (done, watched) = mpsc::channel::<()>();
    let pid = child.id();
    let watchdog = thread::spawn(move || {
        let late = watched.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        if late {
            kill_tree(pid);
        }
        late
    });
    let reading = format!("read from `{name}`");
    for line in child.stdout.take().into_iter().flat_map(lines) {
        on_line(&line.map_err(Error::io(reading.as_str()))?);
    }
    let status = child
        .wait()
        .map_err(Error::io(format!("wait for `{name}`")))?;
    drop(done);
    if watchdog.join().unwrap_or(false) {
        return Err(Error::Limit {
            program: name,
            limit,
        });
    }
    Ok(status)
}

/// An error unless the program ended well.
pub(crate) fn succeeded(command: &Command, status: ExitStatus) -> Result<(), Error> {
    if status.success() {
        return Ok(());
    }
    Err(Error::Program {
        program: name(command),
        status,
    })
}

/// Lines that need not be UTF-8.
fn lines(from: impl io::Read) -> impl Iterator<Item = io::Result<String>> {
    let bytes = BufReader::new(from).split(b'\n');
    bytes.map(|line| Ok(String::from_utf8_lossy(&line?).into_owned()))
}

/// A command as one would type it.
fn name(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command.get_args().map(|word| word.to_string_lossy());
    let mut text = program;
    for argument in arguments {
        text.push(' ');
        text.push_str(&argument);
    }
    text
}

/// Kills a process and all that descend from it, so that a test that hangs leaves nothing behind.
fn kill_tree(root: u32) {
    let parents = parents();
    let mut doomed = vec![root];
    let mut next = 0;
    while let Some(&parent) = doomed.get(next) {
        let children = parents.iter().filter(|(_, of)| **of == parent);
        doomed.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    doomed.sort_unstable();
    for pid in doomed {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::KILL); // it may have ended meanwhile
        }
    }
}

/// The parent of every process, where the system tells.
fn parents() -> HashMap<u32, u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // `pid (name) state parent ..`, where the name may hold anything.
            let (_, rest) = stat.rsplit_once(')')?;
            Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn output_and_status_come_back() {
        let mut echo = Command::new("sh");
        echo.args(["-c", "echo one; echo two"]);
        assert_eq!(capture(&mut echo, SHORT).unwrap(), "one\ntwo\n");
        let failed = run(Command::new("sh").args(["-c", "exit 3"]), SHORT);
        assert!(matches!(failed, Err(Error::Program { .. })), "{failed:?}");
    }

    #[test]
    fn what_takes_too_long_is_stopped_with_its_children() {
        let mut slow = Command::new("sh");
        slow.args(["-c", "sleep 600 & echo started; wait"]);
        let mut started = false;
        let stopped = watch(&mut slow, Duration::from_millis(300), |_| started = true);
        assert!(matches!(stopped, Err(Error::Limit { .. })), "{stopped:?}");
        assert!(started);
        // Reading ended, so the `sleep`, which had the same output, is gone as well.
    }

    #[test]
    fn this_process_has_a_parent() {
        assert!(parents().contains_key(&process::id()));
    }
}
