//! The harness's place on disk: downloads, run directories, claims on ports.
//!
//! ```text
//! $ZK_TESTKIT_HOME, or $HOME/.cache/zk-testkit
//!   dist/3.9/{lib/*.jar,version}   one download a version, shared by all
//!   run/PID-N/                     one cluster's data; its `lock` is held while the owner lives
//!   ports/15000                    locked while some test process uses that port
//! ```
//!
//! Locks are `flock`s on open files, so the system drops them with the process that held them, and
//! what a killed test left behind can be told from what is in use.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, process};

use rustix::fs::{FlockOperation, flock};

use crate::error::Error;

/// Where everything goes.
pub(crate) fn home() -> Result<PathBuf, Error> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = set("ZK_TESTKIT_HOME")
        .or_else(|| Some(set("HOME")?.join(".cache/zk-testkit")))
        .ok_or(Error::NoHome)?;
    // The servers run in directories of their own, so a relative path would not do.
    std::path::absolute(&home).map_err(Error::io(format!("resolve {}", home.display())))
}

/// Makes a directory and its parents.
pub(crate) fn make_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::io(format!("make the directory {}", path.display())))
}

/// The entries of a directory, sorted.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
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

/// Writes a whole file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(Error::io(format!("write {}", path.display())))
}

/// Removes a directory with all that is in it, if it is there.
pub(crate) fn remove(dir: &Path) -> Result<(), Error> {
    if !dir.exists() {
        return Ok(());
    }
    fs::remove_dir_all(dir).map_err(Error::io(format!("remove {}", dir.display())))
}

/// Opens a lock file, which is made when missing.
fn open(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    options
        .open(path)
        .map_err(Error::io(format!("open {}", path.display())))
}

/// Waits for the lock on a file. Dropping the file releases it.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let file = open(path)?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|errno| Error::io(format!("lock {}", path.display()))(errno.into()))?;
    Ok(file)
}

/// Takes the lock on a file if nobody has it.
pub(crate) fn try_lock(path: &Path) -> Result<Option<File>, Error> {
    let file = open(path)?;
    Ok(flock(&file, FlockOperation::NonBlockingLockExclusive)
        .is_ok()
        .then_some(file))
}

/// A cluster's own directory, removed when dropped.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Makes an empty directory that no other cluster has, and removes those whose owner died.
    pub(crate) fn create() -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);

        let runs = home()?.join("run");
        make_dir(&runs)?;
        // Held until the new directory's own lock is: no other process may take it for a dead one's.
        let _guard = lock(&runs.join(".lock"))?;
        sweep(&runs);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = runs.join(format!("{}-{number}", process::id()));
        make_dir(&path)?;
        let lock = lock(&path.join("lock"))?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // What cannot be removed now goes with a later sweep.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the run directories that nobody holds.
fn sweep(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && matches!(try_lock(&path.join("lock")), Ok(Some(_))) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}
