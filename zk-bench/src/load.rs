//! What is measured.

use std::collections::VecDeque;
use std::fmt;

use zk_client::{AsyncResult, Client, Error, Payload, Stat};

/// Operations in flight, where they are pipelined.
pub(crate) const WINDOW: usize = 1000;

/// The node that is read, and what it holds.
pub(crate) const PATH: &str = "/zk-bench";
const DATA: [u8; 100] = [7; 100];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Load {
    /// One get after the other.
    Serial,
    /// A window of gets.
    Pipelined,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial => f.write_str("get, one after the other"),
            Self::Pipelined => write!(f, "get, {WINDOW} in flight"),
        }
    }
}

impl Load {
    pub(crate) const ALL: [Self; 2] = [Self::Pipelined, Self::Serial];

    /// How many operations are measured where so many pipelined ones are.
    pub(crate) fn count(self, operations: usize) -> usize {
        match self {
            Self::Serial => operations / 10,
            Self::Pipelined => operations,
        }
    }

    /// Carries it out, awaiting.
    pub(crate) async fn run(self, client: Client, count: usize) -> Result<(), Error> {
        match self {
            Self::Serial => {
                for _ in 0..count {
                    client.get(PATH).await?;
                }
            }
            Self::Pipelined => {
                let mut window = Window::default();
                while let Some(oldest) = window.next(&client, count) {
                    oldest.await?;
                }
            }
        }
        Ok(())
    }

    /// Carries it out, waiting.
    pub(crate) fn wait(self, client: &Client, count: usize) -> Result<(), Error> {
        match self {
            Self::Serial => {
                for _ in 0..count {
                    client.get(PATH).wait()?;
                }
            }
            Self::Pipelined => {
                let mut window = Window::default();
                while let Some(oldest) = window.next(client, count) {
                    oldest.wait()?;
                }
            }
        }
        Ok(())
    }
}

/// What is in flight.
#[derive(Default)]
struct Window {
    sent: usize,
    results: VecDeque<AsyncResult<(Payload, Stat)>>,
}

impl Window {
    /// Fills it; then gives the oldest, until all of `count` were given.
    fn next(&mut self, client: &Client, count: usize) -> Option<AsyncResult<(Payload, Stat)>> {
        while self.results.len() < WINDOW && self.sent < count {
            self.results.push_back(client.get(PATH).send());
            self.sent += 1;
        }
        self.results.pop_front()
    }
}

/// Makes the node that is read.
pub(crate) fn prepare(hosts: &str) -> Result<(), Error> {
    let client = zk_handler_threads::connect(hosts).wait()?;
    client.ensure_path(PATH).wait()?;
    client.set(PATH, &DATA).wait()?;
    client.close().wait()
}
