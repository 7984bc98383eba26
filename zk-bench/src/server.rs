//! A server in a process of its own, whose CPU time is not this one's.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use crate::error::Error;

/// The argument by which this program is the server.
pub(crate) const SERVE: &str = "--serve";

/// Serves until nobody wants it any more: until the standard input ends.
pub(crate) fn serve() -> Result<(), Error> {
    let server = zk_server::Server::builder().quiet().start();
    let server = server.map_err(|error| Error::Server(error.to_string()))?;
    println!("{}", server.hosts());
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The other process. It ends with this value.
pub(crate) struct Child {
    process: std::process::Child,
    hosts: String,
}

impl Child {
    pub(crate) fn start() -> Result<Self, Error> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut hosts = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut hosts)?;
        }
        let hosts = hosts.trim().to_owned();
        Ok(Self { process, hosts })
    }

    pub(crate) fn hosts(&self) -> &str {
        &self.hosts
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It may have ended by itself.
        let _ = self.process.wait();
    }
}
