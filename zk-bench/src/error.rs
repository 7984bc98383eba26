//! What can go wrong.

use std::io;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {doing}: {cause}")]
    Io {
        doing: &'static str,
        #[source]
        cause: io::Error,
    },
    #[error(transparent)]
    Client(#[from] zk_client::Error),
    #[error("{what} should be {expected}, and was {found}")]
    Wrong {
        what: &'static str,
        expected: usize,
        found: usize,
    },
    #[error(
        "{0} requests were answered with an error: is the server set up? (zk-bench setup HOST:PORT)"
    )]
    Refused(u64),
    #[error("the server has closed the connection")]
    Hung,
    #[error("{program} failed: {why}")]
    Program { program: String, why: String },
}

impl Error {
    /// For `map_err`.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { doing, cause }
    }
}

/// Is it as expected?
pub(crate) fn check(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Wrong {
        what,
        expected,
        found,
    })
}
