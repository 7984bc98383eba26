//! A child process that cannot outlive the test process.
//!
//! The child is started by a shell which first leaves a watchdog behind and then becomes the child,
//! so the process id stays the same. The watchdog reads a pipe whose only writer is this process:
//! when this process ends, however it ends, the pipe does, and the watchdog kills the group that
//! consists of it and the child. A group's number is not given to others while it has a member, so
//! neither side can hit a stranger.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

/// Run by `sh -c` with the program and its arguments: descriptor 3 is the pipe.
const WATCHDOG: &str = r#"
    exec 3<&0 </dev/null
    (trap "" HUP INT TERM; read -r _ <&3; kill -KILL 0) &
    exec "$@" 3<&-
"#;

/// A running child with its watchdog. Dropping it kills both and waits.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child, // its standard input is the pipe that the watchdog reads
    pid: Pid,
}

impl Process {
    /// Starts a program in `dir`; what it prints goes to the end of `log`.
    pub(crate) fn spawn(
        program: &Path,
        arguments: &[String],
        dir: &Path,
        log: &Path,
    ) -> io::Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let child = Command::new("sh")
            .args(["-c", WATCHDOG, "sh"])
            .arg(program)
            .args(arguments)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()?;
        let pid = Pid::from_child(&child);
        Ok(Self { child, pid })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the child ended by itself. It is not reaped, so its number stays its own.
    pub(crate) fn has_ended(&self) -> bool {
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.pid), how), Ok(None))
    }

    /// Stops the child where it is and returns once all its threads stand still; its sockets stay
    /// open and silent.
    pub(crate) fn pause(&self) {
        let how = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let _ = kill_process(self.pid, Signal::STOP);
        while matches!(waitid(WaitId::Pid(self.pid), how), Err(Errno::INTR)) {}
    }

    /// Lets a paused child go on.
    pub(crate) fn resume(&self) {
        let _ = kill_process(self.pid, Signal::CONT);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The child has not been reaped, so the group still is this one; no such process is fine.
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::eventually;
    use crate::home::RunDir;

    const LIMIT: Duration = Duration::from_secs(20);

    fn state(pid: u32) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    fn sleeper(dir: &RunDir) -> Process {
        let arguments = ["1000".to_owned()];
        Process::spawn(
            Path::new("sleep"),
            &arguments,
            dir.path(),
            &dir.path().join("log"),
        )
        .unwrap()
    }

    #[test]
    fn pause_resume_and_kill() {
        let dir = RunDir::create().unwrap();
        let process = sleeper(&dir);
        let pid = process.pid();
        process.pause();
        assert_eq!(state(pid), Some('T'));
        process.pause();
        assert!(!process.has_ended());
        process.resume();
        assert!(eventually(LIMIT, || (state(pid)? == 'S').then_some(())).is_some());
        process.pause();
        drop(process);
        assert_eq!(state(pid), None);
    }

    #[test]
    fn an_end_is_noticed() {
        let dir = RunDir::create().unwrap();
        let log = dir.path().join("log");
        let process = Process::spawn(Path::new("echo"), &["x".into()], dir.path(), &log).unwrap();
        assert!(eventually(LIMIT, || process.has_ended().then_some(())).is_some());
        assert_eq!(fs::read_to_string(log).unwrap(), "x\n");
    }

    /// Not a test by itself: what `dies_with_its_owner` runs in a process of its own.
    #[test]
    fn owner() {
        let Some(file) = env::var_os("TESTKIT_OWNER_FILE").map(PathBuf::from) else {
            return;
        };
        let dir = RunDir::create().unwrap();
        let process = sleeper(&dir);
        let written = file.with_extension("part");
        fs::write(
            &written,
            format!("{}\n{}", process.pid(), dir.path().display()),
        )
        .unwrap();
        fs::rename(written, file).unwrap();
        loop {
            std::thread::park();
        }
    }

    #[test]
    fn dies_with_its_owner() {
        let dir = RunDir::create().unwrap();
        let file = dir.path().join("pid");
        let mut owner = Command::new(env::current_exe().unwrap())
            .args(["--exact", "process::tests::owner", "--nocapture"])
            .env("TESTKIT_OWNER_FILE", &file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let text = eventually(LIMIT, || fs::read_to_string(&file).ok()).unwrap();
        let (pid, left) = text.split_once('\n').unwrap();
        let pid = pid.parse().unwrap();
        assert!(state(pid).is_some());
        owner.kill().unwrap(); // SIGKILL: no destructor runs there
        owner.wait().unwrap();
        // Its new parent may take its time to reap it; dead is enough.
        let gone = || matches!(state(pid), None | Some('Z')).then_some(());
        assert!(eventually(LIMIT, gone).is_some());
        // The next cluster, here or in any other process, removes what it left.
        drop(RunDir::create().unwrap());
        assert!(!Path::new(left).exists());
    }
}
