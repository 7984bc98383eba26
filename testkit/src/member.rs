//! One server of a cluster: its files, its port and, while it runs, its process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, io};

use crate::dist::Dist;
use crate::error::Error;
use crate::four_letter::{Mode, PATIENCE, four_letter, four_letter_within, release_from_srvr};
use crate::log::tail;
use crate::ports::Port;
use crate::process::Process;
use crate::wait::eventually;

/// How many lines of the log an error carries.
const EXCERPT: usize = 25;

/// How long a server that is being started is first waited for to answer.
const SOON: Duration = Duration::from_millis(500);

fn silent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

#[derive(Debug)]
pub(crate) struct Member {
    index: usize,
    dir: PathBuf,
    client: Port,
    java: PathBuf,
    arguments: Vec<String>,
    process: Mutex<Option<Process>>,
    /// Nobody need wait for an answer.
    paused: AtomicBool,
}

impl Member {
    /// A member that does not run yet.
    pub(crate) fn new(
        index: usize,
        dir: PathBuf,
        client: Port,
        dist: &Dist,
        arguments: Vec<String>,
    ) -> Self {
        let java = dist.java().to_owned();
        Self {
            index,
            dir,
            client,
            java,
            arguments,
            process: Mutex::new(None),
            paused: AtomicBool::new(false),
        }
    }

    /// Starts the JVM unless it runs.
    pub(crate) fn launch(&self) -> Result<(), Error> {
        let mut process = self.process();
        if process.as_ref().is_some_and(|process| !process.has_ended()) {
            return Ok(());
        }
        *process = None; // reap it, so that the ports are free
        self.paused.store(false, Ordering::SeqCst);
        let spawned = Process::spawn(&self.java, &self.arguments, &self.dir, &self.log_path());
        *process = Some(spawned.map_err(Error::io(format!("run {}", self.java.display())))?);
        Ok(())
    }

    /// Waits until the member serves as part of a quorum, and checks what it is.
    pub(crate) fn wait(&self, limit: Duration, release: &str) -> Result<Mode, Error> {
        // A word that comes while a server starts may stay without an answer: it is asked again soon,
        // on a machine that is busy less and less soon.
        let mut patience = SOON;
        let served = eventually(limit, || {
            if !self.is_running() {
                let (member, log) = (self.index, self.log_tail(EXCERPT));
                return Some(Err(Error::Ended { member, log }));
            }
            let asked = four_letter_within(patience, self.address(), "srvr");
            if asked.as_ref().is_err_and(silent) {
                patience = PATIENCE.min(2 * patience);
            }
            let answer = asked.ok()?;
            // A member that serves reads only is still waiting for the others.
            let mode = Mode::from_srvr(&answer).filter(|mode| *mode != Mode::ReadOnly)?;
            Some(Ok((
                mode,
                release_from_srvr(&answer).unwrap_or_default().to_owned(),
            )))
        });
        match served {
            Some(Ok((mode, found))) if found == release => Ok(mode),
            Some(Ok((_, found))) => Err(Error::WrongVersion {
                member: self.index,
                wanted: release.to_owned(),
                found,
            }),
            Some(Err(error)) => Err(error),
            None => {
                let (member, log) = (self.index, self.log_tail(EXCERPT));
                Err(Error::NotServing { member, limit, log })
            }
        }
    }

    /// Whether it ended because somebody else had one of its ports.
    pub(crate) fn lost_a_port(&self) -> bool {
        fs::read_to_string(self.log_path()).is_ok_and(|log| {
            log.contains("Address already in use") || log.contains("java.net.BindException")
        })
    }

    pub(crate) fn kill(&self) {
        *self.process() = None;
    }

    pub(crate) fn pause(&self) {
        if let Some(process) = &*self.process() {
            process.pause();
            self.paused.store(true, Ordering::SeqCst);
        }
    }

    pub(crate) fn resume(&self) {
        if let Some(process) = &*self.process() {
            process.resume();
            self.paused.store(false, Ordering::SeqCst);
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process()
            .as_ref()
            .is_some_and(|process| !process.has_ended())
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process()
            .as_ref()
            .filter(|process| !process.has_ended())
            .map(Process::pid)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.client.address()
    }

    pub(crate) fn srvr(&self) -> io::Result<String> {
        if self.paused.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        four_letter(self.address(), "srvr")
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn log_tail(&self, lines: usize) -> String {
        tail(&self.log_path(), lines)
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// A panic elsewhere must not keep a server from being killed.
    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
