//! Why nothing was measured.

use std::io;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Client(#[from] zk_client::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the server did not start: {0}")]
    Server(String),
    #[error("the server said something unexpected")]
    Answer,
}
