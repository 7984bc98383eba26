//! This program once more, as a server in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::error::Error;

/// This program with these arguments.
pub(crate) fn own(arguments: &[&str]) -> Result<Command, Error> {
    let program = std::env::current_exe().map_err(Error::io("find this program"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// A server that runs until this is dropped.
pub(crate) struct Served {
    what: &'static str,
    child: Child,
    address: String,
}

impl Served {
    /// Starts `what`, a command of this program that prints its address first.
    pub(crate) fn start(what: &'static str) -> Result<Self, Error> {
        Self::with(what, &[])
    }

    /// The same, with more arguments. Not to be restarted.
    pub(crate) fn with(what: &'static str, more: &[&str]) -> Result<Self, Error> {
        let (child, address) = launch(what, "0", more)?;
        Ok(Self {
            what,
            child,
            address,
        })
    }

    /// HOST:PORT.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Kills it, and starts another in its place.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        self.end();
        let port = self.address.rsplit(':').next().unwrap_or("0").to_owned();
        (self.child, self.address) = launch(self.what, &port, &[])?;
        Ok(())
    }

    fn end(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end();
    }
}

fn launch(what: &str, port: &str, more: &[&str]) -> Result<(Child, String), Error> {
    let mut child = own(&[what, port])?
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::io("start a server"))?;
    let mut address = String::new();
    if let Some(said) = child.stdout.take() {
        BufReader::new(said)
            .read_line(&mut address)
            .map_err(Error::io("hear from the server"))?;
    }
    Ok((child, address.trim().to_owned()))
}
