//! Why a command, or a step of it, failed.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::details::Detail;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {doing}")]
    Io { doing: String, source: io::Error },
    #[error("`{program}` failed, {status}")]
    Program { program: String, status: ExitStatus },
    #[error("`{program}` was stopped after {limit:?}")]
    Limit { program: String, limit: Duration },
    #[error("`{program}` printed what cannot be read: {what}")]
    Unreadable { program: String, what: String },
    #[error("a rule is broken in {0} place(s), see above")]
    Rule(usize),
    #[error("warnings in {0}, see above")]
    Lints(String),
    #[error("{0}")]
    Tests(String),
    #[error("{target}: {count} finding(s), see {}", log.display())]
    Findings {
        target: String,
        count: usize,
        log: PathBuf,
    },
    /// With what is told of it at the end.
    #[error("{}", chain(error))]
    Detailed {
        error: Box<Self>,
        details: Vec<Detail>,
    },
    #[error("ZK_VERSIONS names {0:?}, which is none of 3.8 and 3.9")]
    Version(String),
    #[error("`cargo xtask {0}` is no command, see `cargo xtask help`")]
    Usage(String),
}

impl Error {
    /// Hands up what is to be told of it at the end of all output.
    pub(crate) fn with(self, details: impl IntoIterator<Item = Detail>) -> Self {
        Self::Detailed {
            error: Box::new(self),
            details: details.into_iter().collect(),
        }
    }

    /// What was handed up.
    pub(crate) fn details(&self) -> &[Detail] {
        if let Self::Detailed { details, .. } = self {
            details
        } else {
            &[]
        }
    }

    /// Says what was being done when the system refused.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
