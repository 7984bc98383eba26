//! What can go wrong, each with what to do about it.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

/// Why a server could not be fetched or started.
///
/// The message says what to do; a log excerpt of the server, where there is one, ends it. `Debug`
/// prints the same message with its cause, as that is what a test that unwraps the error shows.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither `ZK_TESTKIT_HOME` nor `HOME` is set.
    #[error("no place for downloads and data: set ZK_TESTKIT_HOME to a directory, or HOME")]
    NoHome,

    /// There is no `java`, and it could not be installed.
    #[error(
        "no `java` on the PATH or in JAVA_HOME, and installing it failed ({why}): install a Java \
         runtime of version 11 or later (Debian: apt-get install default-jre-headless)"
    )]
    NoJava {
        /// Why it could not be installed.
        why: String,
    },

    /// There is no Kerberos server, and it could not be installed or started.
    #[error(
        "no Kerberos server ({why}): install one (Debian: apt-get install krb5-kdc krb5-admin-server \
         krb5-user)"
    )]
    NoKerberos {
        /// Why there is none.
        why: String,
    },

    /// The system's apt sources name no Debian mirror to download from.
    #[error(
        "no Debian mirror in /etc/apt to fetch ZooKeeper from: set ZK_TESTKIT_MIRROR to the URI of one, or put \
         ZooKeeper's jars into {0}/lib and its version, such as 3.9.3, into {0}/version", dir.display()
    )]
    NoMirror {
        /// Where the jars would go.
        dir: PathBuf,
    },

    /// A command that fetches or installs failed.
    #[error("`{command}` failed; check the network and the apt sources, then try again: {output}")]
    Command {
        /// The command, as one would type it.
        command: String,
        /// The end of what it printed.
        output: String,
    },

    /// The packages did not contain a jar that the server needs.
    #[error("the downloaded packages lack {jar}.jar: the distribution changed its layout")]
    MissingJar {
        /// The jar's name without `.jar`.
        jar: &'static str,
    },

    /// A file, directory or socket of the harness's own.
    #[error("cannot {doing}")]
    Io {
        /// What was tried, with the path.
        doing: String,
        /// What the system said.
        source: io::Error,
    },

    /// The options contradict one another.
    #[error("these options cannot be: {0}")]
    Options(&'static str),

    /// No free port was found on loopback.
    #[error("no free port on 127.0.0.1: too many servers are running")]
    NoPorts,

    /// A server ended instead of serving.
    #[error("member {member} ended; its log says\n{log}")]
    Ended {
        /// The member, from 0.
        member: usize,
        /// The last lines of its log.
        log: String,
    },

    /// A server did not serve in time.
    #[error("member {member} does not serve after {limit:?}; its log says\n{log}")]
    NotServing {
        /// The member, from 0.
        member: usize,
        /// How long it was waited for.
        limit: Duration,
        /// The last lines of its log.
        log: String,
    },

    /// A server is of another version than the one asked for.
    #[error(
        "member {member} runs ZooKeeper {found} where {wanted} was asked for: jars of two versions \
         are mixed; empty the dist directory of the testkit and try again"
    )]
    WrongVersion {
        /// The member, from 0.
        member: usize,
        /// The release that was fetched.
        wanted: String,
        /// The release that answers.
        found: String,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        self.source().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

impl Error {
    /// For `map_err`: wraps an [`io::Error`] with what was tried.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_message_and_its_cause() {
        let error = Error::io("open x")(io::Error::other("no such luck"));
        assert_eq!(format!("{error}"), "cannot open x");
        assert_eq!(format!("{error:?}"), "cannot open x: no such luck");
    }
}
