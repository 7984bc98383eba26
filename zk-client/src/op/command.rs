//! Four-letter words.

use std::fmt;
use std::time::{Duration, Instant};

use zk_session::FourLetterWord;

use crate::op::sealed::Start;
use crate::op::{Kind, Launch, Started};
use crate::{AsyncResult, Client, Error};

/// How long an answer may take unless told otherwise.
const LIMIT: Duration = Duration::from_secs(10);

/// How often a server is asked for its version, as in kazoo: once, and three times more.
const VERSION_TRIES: u32 = 4;

/// The pause between two of these.
const PAUSE: Duration = Duration::from_millis(100);

/// [`Client::command`]: gives the answer.
#[derive(Clone, Debug)]
pub struct Command(Result<[u8; 4], String>);

impl Command {
    pub(crate) fn new(word: &[u8]) -> Self {
        Self(match <[u8; 4]>::try_from(word) {
            Ok(word) if word.iter().all(u8::is_ascii_alphabetic) => Ok(word),
            _ => Err(String::from_utf8_lossy(word).into_owned()),
        })
    }
}

impl Start for Command {
    type Reply = String;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<String>, Error> {
        let word = self.0.clone().map_err(Error::NotAWord)?;
        let answer = ask(launch.client, word, launch.deadline)?;
        Ok(Started::Steps(Box::pin(async move {
            checked(word, answer.await?)
        })))
    }
}

impl Kind for Command {
    type Output = String;
}

fn ask(
    client: &Client,
    word: [u8; 4],
    deadline: Option<Instant>,
) -> Result<AsyncResult<String>, Error> {
    let server = client.server().filter(|_| client.connected());
    let server = server.ok_or(Error::ConnectionLoss { sent: false })?;
    let limit = match deadline {
        Some(end) => end.saturating_duration_since(client.now()),
        None => LIMIT,
    };
    let layer = client.config().security_layer();
    let word =
        FourLetterWord::new(word, server, layer.map(AsRef::as_ref)).map_err(Error::Command)?;
    Ok(client.handler().four_letter(word, limit))
}

/// An answer, or what servers say instead of one.
fn checked(word: [u8; 4], answer: String) -> Result<String, Error> {
    if answer
        .trim_end()
        .ends_with("is not executed because it is not in the whitelist.")
    {
        return Err(Error::NotWhitelisted(
            String::from_utf8_lossy(&word).into_owned(),
        ));
    }
    Ok(answer)
}

/// The version of a server, such as 3.9.2. Ordered by its numbers.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerVersion {
    numbers: Vec<u32>,
    text: String,
}

impl ServerVersion {
    /// Its numbers, two at least (kazoo: what `server_version` gives).
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// Is it this version, or a later one?
    pub fn is_at_least(&self, numbers: &[u32]) -> bool {
        for (at, wanted) in numbers.iter().enumerate() {
            let own = self.numbers.get(at).copied().unwrap_or(0);
            if own != *wanted {
                return own > *wanted;
            }
        }
        true
    }

    /// All that the server says, revision included: `3.8.0-5a02a05e...`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The version in the answer to `srvr` or `envi`.
    fn find(answer: &str) -> Option<Self> {
        answer.lines().find_map(|line| {
            let text = line
                .strip_prefix("Zookeeper version:")
                .or_else(|| line.strip_prefix("zookeeper.version="))?;
            let text = text.split(',').next().unwrap_or_default().trim();
            let digits = text
                .split(|c: char| c != '.' && !c.is_ascii_digit())
                .next()?;
            let numbers: Option<Vec<u32>> = digits.split('.').map(|n| n.parse().ok()).collect();
            numbers
                .filter(|numbers| numbers.len() >= 2)
                .map(|numbers| Self {
                    numbers,
                    text: text.to_owned(),
                })
        })
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, number) in self.numbers.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            write!(f, "{dot}{number}")?;
        }
        Ok(())
    }
}

/// [`Client::server_version`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct GetServerVersion;

impl Start for GetServerVersion {
    type Reply = ServerVersion;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<ServerVersion>, Error> {
        let client = launch.client.clone();
        if !client.connected() {
            return Err(Error::ConnectionLoss { sent: false });
        }
        let steps = server_version(client, launch.deadline);
        Ok(Started::Steps(Box::pin(steps)))
    }
}

impl Kind for GetServerVersion {
    type Output = ServerVersion;
}

async fn server_version(client: Client, deadline: Option<Instant>) -> Result<ServerVersion, Error> {
    let mut result = Err(Error::NoVersion(String::new()));
    for attempt in 0..VERSION_TRIES {
        if attempt > 0 {
            client.sleep(PAUSE).await?;
        }
        for word in [*b"srvr", *b"envi"] {
            let answer = ask(&client, word, deadline)?.await;
            let answer = answer.and_then(|answer| checked(word, answer));
            match answer {
                Ok(answer) => match ServerVersion::find(&answer) {
                    Some(version) => return Ok(version),
                    None => result = Err(Error::NoVersion(answer)),
                },
                // The other word may be allowed; what this one says counts less.
                Err(Error::NotWhitelisted(_)) if result != Err(Error::NoVersion(String::new())) => {
                }
                Err(error) => result = Err(error),
            }
        }
    }
    result
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_answers() {
        let numbers = |answer| ServerVersion::find(answer).map(|version| version.numbers);
        let srvr = "Zookeeper version: 3.8.0-5a02a05e, built on 2022-02-25 08:49 UTC\nLatency: 0";
        assert_eq!(numbers(srvr), Some(vec![3, 8, 0]));
        let envi = "Environment:\nzookeeper.version=3.10.1-SNAPSHOT-x, built on 01/01/2030\nhost=a";
        assert_eq!(numbers(envi), Some(vec![3, 10, 1]));
        assert_eq!(numbers("zookeeper.version=1.2"), Some(vec![1, 2]));
        for bad in [
            "",
            "zookeeper.version=",
            "zookeeper.version=1",
            "version 3.4",
            "zookeeper.version=a.b",
        ] {
            assert_eq!(numbers(bad), None, "{bad}");
        }
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let version =
            |text: &str| ServerVersion::find(&format!("zookeeper.version={text}")).unwrap();
        assert!(version("3.10.0") > version("3.9.4"));
        assert!(version("3.9.4").is_at_least(&[3, 9]));
        assert!(!version("3.5.9").is_at_least(&[3, 6, 0]));
        assert_eq!(version("3.8.0-abc").to_string(), "3.8.0");
    }
}
