//! Runs other programs: shown before they start, stopped when they take too long.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::details::Detail;
use crate::error::Error;

/// The limit of a step that compiles.
pub(crate) const SHORT: Duration = Duration::from_secs(10 * 60);

/// The limit of a step that runs all tests.
pub(crate) const LONG: Duration = Duration::from_secs(30 * 60);

/// The limit of a command that runs several steps with [`LONG`] limits.
pub(crate) const LONGER: Duration = Duration::from_secs(100 * 60);

/// How long a program's standard error may stay silent and open after its end.
const REST: Duration = Duration::from_secs(5);

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

/// Runs a program that prints for itself. If it fails, the error has what it printed.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<(), Error> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = observe(command, limit, |line| match line {
        Line::Out(line) => {
            println!("{line}");
            out.push(line.to_owned());
        }
        Line::Err(line) => err.push(line.to_owned()),
    });
    let ended = ended.and_then(|status| succeeded(command, status));
    ended.map_err(|error| {
        let said = if err.iter().any(|line| line.starts_with("error")) {
            err
        } else {
            [out, err].concat()
        };
        error.with([Detail::new(format!("`{}`", name(command)), &said)])
    })
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

/// A line that a program printed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line<'a> {
    Out(&'a str),
    /// On its standard error. It has been shown.
    Err(&'a str),
}

/// Runs a program and hands over its output, line by line. Its standard error is this program's.
pub(crate) fn watch(
    command: &mut Command,
    limit: Duration,
    mut on_line: impl FnMut(&str),
) -> Result<ExitStatus, Error> {
    attend(command, limit, |line| {
        if let Line::Out(line) = line {
            on_line(line);
        }
    })
}

/// Runs a program and hands over all that it prints, line by line.
pub(crate) fn observe(
    command: &mut Command,
    limit: Duration,
    on_line: impl FnMut(Line<'_>),
) -> Result<ExitStatus, Error> {
    attend(command.stderr(Stdio::piped()), limit, on_line)
}

fn attend(
    command: &mut Command,
    limit: Duration,
    mut on_line: impl FnMut(Line<'_>),
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
    let (tell, heard) = mpsc::channel::<io::Result<Heard>>();
    if let Some(out) = child.stdout.take() {
        listen(out, tell.clone(), Heard::Out, Some(Heard::OutEnded));
    }
    if let Some(err) = child.stderr.take() {
        listen(err, tell.clone(), Heard::Err, None);
    }
    drop(tell);
    let mut on_heard = |heard: Heard| match heard {
        Heard::Out(line) => on_line(Line::Out(&line)),
        Heard::Err(line) => {
            eprintln!("{line}");
            on_line(Line::Err(&line));
        }
        Heard::OutEnded => {}
    };
    while let Ok(line) = heard.recv() {
        let line = line.map_err(Error::io(format!("read from `{name}`")))?;
        if matches!(line, Heard::OutEnded) {
            break;
        }
        on_heard(line);
    }
    let status = child
        .wait()
        .map_err(Error::io(format!("wait for `{name}`")))?;
    drop(done);
    // The rest, unless what it has left behind keeps its standard error.
    while let Ok(Ok(line)) = heard.recv_timeout(REST) {
        on_heard(line);
    }
    if watchdog.join().unwrap_or(false) {
        return Err(Error::Limit {
            program: name,
            limit,
        });
    }
    Ok(status)
}

/// What is heard of a program.
#[derive(Debug)]
enum Heard {
    Out(String),
    Err(String),
    OutEnded,
}

/// Reads lines until there are none.
fn listen(
    from: impl io::Read + Send + 'static,
    tell: Sender<io::Result<Heard>>,
    heard: fn(String) -> Heard,
    last: Option<Heard>,
) {
    thread::spawn(move || {
        for line in lines(from) {
            // Nobody listens any more where something else went wrong.
            let _ = tell.send(line.map(heard));
        }
        let _ = last.map(|last| tell.send(Ok(last)));
    });
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
    let mut doomed = vec![root];
    let mut next = 0;
    // Each is stopped before its children are looked for: it shall have no more of them.
    while let Some(&parent) = doomed.get(next) {
        signal(parent, Signal::STOP);
        let parents = parents();
        let children = parents.iter().filter(|(_, of)| **of == parent);
        doomed.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    for pid in doomed {
        signal(pid, Signal::KILL);
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process(pid, signal); // it may have ended meanwhile
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
        let failed = capture(Command::new("sh").args(["-c", "exit 3"]), SHORT);
        assert!(matches!(failed, Err(Error::Program { .. })), "{failed:?}");
    }

    #[test]
    fn what_a_program_said_comes_with_its_failure() {
        let mut loud = Command::new("sh");
        loud.args(["-c", "echo out; echo 'error: why' >&2; exit 1"]);
        let failed = run(&mut loud, SHORT).unwrap_err();
        let text = format!("{:?}", failed.details());
        assert!(
            text.contains("error: why") && !text.contains("out\""),
            "{text}"
        );
        let mut differs = Command::new("sh");
        differs.args(["-c", "echo a difference; exit 1"]);
        let failed = run(&mut differs, SHORT).unwrap_err();
        assert!(format!("{:?}", failed.details()).contains("a difference"));
    }

    #[test]
    fn both_outputs_are_heard_to_their_ends() {
        let mut both = Command::new("sh");
        both.args(["-c", "echo out; exec >&-; echo err >&2"]);
        let mut heard = Vec::new();
        let status = observe(&mut both, SHORT, |line| heard.push(format!("{line:?}")));
        assert!(status.unwrap().success());
        heard.sort(); // which of the two is read first is nobody's business
        assert_eq!(heard, ["Err(\"err\")", "Out(\"out\")"]);
    }

    #[test]
    fn what_takes_too_long_is_stopped_with_its_children() {
        let mut started = false;
        // On a machine that is busy a shell may not even have started by then.
        for limit in [300, 3_000, 30_000].map(Duration::from_millis) {
            let mut slow = Command::new("sh");
            slow.args(["-c", "sleep 600 & echo started; wait"]);
            let stopped = watch(&mut slow, limit, |_| started = true);
            assert!(matches!(stopped, Err(Error::Limit { .. })), "{stopped:?}");
            if started {
                break;
            }
        }
        assert!(started);
        // Reading ended, so the `sleep`, which had the same output, is gone as well.
    }

    #[test]
    fn this_process_has_a_parent() {
        assert!(parents().contains_key(&process::id()));
    }
}
