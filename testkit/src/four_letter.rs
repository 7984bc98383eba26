//! Four-letter words: what a server says about itself, outside any session.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may take to accept, and then to answer: longer than a machine may be busy with
/// other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a member is at the moment, as the word `srvr` tells it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Mode {
    /// The only server of its kind.
    Standalone,
    /// The voting member that orders the writes.
    Leader,
    /// A voting member that follows the leader.
    Follower,
    /// A member without a vote.
    Observer,
    /// A member without a quorum that serves reads, see [`Options::read_only`](crate::Options::read_only).
    ReadOnly,
}

impl Mode {
    /// Reads the mode out of the answer to `srvr`.
    pub(crate) fn from_srvr(answer: &str) -> Option<Self> {
        match field(answer, "Mode: ")? {
            "standalone" => Some(Self::Standalone),
            "leader" => Some(Self::Leader),
            "follower" => Some(Self::Follower),
            "observer" => Some(Self::Observer),
            "read-only" => Some(Self::ReadOnly),
            _ => None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standalone => "standalone",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::ReadOnly => "read-only",
        })
    }
}

/// Reads the release, such as `3.9.3`, out of the answer to `srvr`.
pub(crate) fn release_from_srvr(answer: &str) -> Option<&str> {
    let version = field(answer, "Zookeeper version: ")?;
    version.split(['-', ',', ' ']).next()
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

/// Sends a word such as `srvr`, `mntr`, `isro` or `cons` to a server and returns its whole answer.
///
/// # Errors
///
/// What the socket says; [`io::ErrorKind::WouldBlock`] or [`io::ErrorKind::TimedOut`] when the
/// server does not accept or does not go on answering for 20 seconds, as one that is paused.
pub fn four_letter(address: SocketAddr, word: &str) -> io::Result<String> {
    four_letter_within(PATIENCE, address, word)
}

/// Like [`four_letter`], with a limit on each wait.
pub(crate) fn four_letter_within(
    limit: Duration,
    address: SocketAddr,
    word: &str,
) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srvr_is_understood() {
        let answer = "Zookeeper version: 3.8.0-5a02a05, built on 2022-02-25 08:49 UTC\n\
                      Latency min/avg/max: 0/0.0/0\nMode: read-only\nNode count: 5\n";
        assert_eq!(Mode::from_srvr(answer), Some(Mode::ReadOnly));
        assert_eq!(release_from_srvr(answer), Some("3.8.0"));
        let looking = "This ZooKeeper instance is not currently serving requests\n";
        assert_eq!(Mode::from_srvr(looking), None);
        assert_eq!(release_from_srvr(looking), None);
    }
}
