//! Calls made of other calls: transactions, retries, whole trees; and the questions of operators.

use std::future::Future;

use zk_proto::Chroot;
use zk_session::BackoffPolicy;

use crate::op::{Command, GetServerVersion, Op, Retry, RetryWith, Retryable, Transaction, Walk};
use crate::{Client, Error};

/// Several at once, and again and again.
impl Client {
    /// Writes that happen all or not at all.
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction::new(self)
    }

    /// Makes a call until it succeeds, as far as that is safe (kazoo: `KazooRetry`). Attempts are
    /// repeated that failed for what may pass: a lost connection, an overloaded or read-only
    /// server, an attempt's own [`timeout`](Op::timeout). An expired session, too, but not for what
    /// depends on it: that is made in the session in which it was begun, or not at all. Where an
    /// answer was lost:
    ///
    /// | call | is |
    /// |---|---|
    /// | reads, watches, `sync`, `ensure_path` | repeated |
    /// | `set`, `set_acls` without version | repeated |
    /// | `delete` without version | repeated; when the node is gone by then, that is success |
    /// | recursive `delete` | repeated |
    /// | [protected](Op::protected) `create`, transactions with one | looked up after a `sync`; repeated if it is not there |
    /// | ephemeral `create` | looked up after a `sync`: a new node of this session is its own |
    /// | other `create` | looked up after a `sync`; repeated if it is not there, else [`Error::Unknown`] |
    /// | sequential `create`, writes with a version, transactions | [`Error::Unknown`], unless [`resolve`](Op::resolve) is given |
    ///
    /// [`timeout`](Op::timeout) of `op` limits each attempt, that of the result limits all of them
    /// together: no attempt starts after it.
    ///
    /// # Errors
    /// [`Error::RetryFailed`] with the last error when the policy or the limit allows no more
    /// attempts; [`Error::Unknown`]; [`Error::SessionExpired`] for what depends on the session;
    /// any other error of the call at once.
    ///
    /// ```no_run
    /// # use zk_client::BackoffPolicy;
    /// # fn f(client: zk_client::Client) -> Result<(), zk_client::Error> {
    /// let policy = BackoffPolicy::new().max_tries(5);
    /// client.retry(&policy, client.set("/a", "b")).wait()?;
    /// # Ok(()) }
    /// ```
    pub fn retry<'a, K: Retryable>(
        &self,
        policy: &BackoffPolicy,
        op: Op<'a, K>,
    ) -> Op<'a, Retry<K>> {
        Op::retry(policy.clone(), op)
    }

    /// As [`retry`](Self::retry), with the client's own policy
    /// ([`Builder::command_retry`](crate::Builder::command_retry); kazoo: `client.retry`).
    pub fn retry_default<'a, K: Retryable>(&self, op: Op<'a, K>) -> Op<'a, Retry<K>> {
        Op::retry(self.command_retry().clone(), op)
    }

    /// Calls `f` until it succeeds (kazoo: `client.retry(func)`): again after errors that
    /// [may pass](Error::is_retryable), [`Error::TryAgain`] among them, and after an expired
    /// session. What `f` does may then have been done more than once.
    ///
    /// # Errors
    /// [`Error::RetryFailed`] with the last error when the policy allows no more attempts; any
    /// other error of `f` at once; [`Error::Timeout`] at the limit of the call, if it has one.
    ///
    /// ```no_run
    /// # use zk_client::BackoffPolicy;
    /// # async fn f(client: zk_client::Client) -> Result<(), zk_client::Error> {
    /// let policy = BackoffPolicy::new().max_tries(5);
    /// let sum = client.retry_with(&policy, |client| async move {
    ///     let (a, _) = client.get("/a").await?;
    ///     let (b, _) = client.get("/b").await?;
    ///     Ok(a.len() + b.len())
    /// });
    /// println!("{}", sum.await?);
    /// # Ok(()) }
    /// ```
    pub fn retry_with<F, R, T>(&self, policy: &BackoffPolicy, f: F) -> Op<'_, RetryWith<F>>
    where
        F: FnMut(Self) -> R + Send + 'static,
        R: Future<Output = Result<T, Error>> + Send + 'static,
        T: Send + 'static,
    {
        Op::retry_with(self, policy.clone(), f)
    }

    /// Goes through the node and all nodes below it, parents before their children, listing many
    /// at a time.
    pub fn walk(&self, path: &str) -> Walk {
        Walk::new(self, path)
    }
}

/// Questions of operators.
impl Client {
    /// Sends a four-letter word such as `ruok` to the connected server, on a connection of its
    /// own, by TLS if the client's are, and gives the whole answer. [`timeout`](Op::timeout) limits
    /// it; default 10 s.
    ///
    /// # Errors
    /// [`Error::ConnectionLoss`] while not connected; [`Error::NotWhitelisted`];
    /// [`Error::NotAWord`]; [`Error::Command`].
    pub fn command(&self, word: impl AsRef<[u8]>) -> Op<'_, Command> {
        Op::new(self, Command::new(word.as_ref()))
    }

    /// The version of the connected server: what it says to `srvr`, or else to `envi` (kazoo asks
    /// only `envi`, which servers since 3.5.3 do not answer by default).
    ///
    /// # Errors
    /// [`Error::NoVersion`] if no version is in four answers, or those of
    /// [`command`](Self::command).
    pub fn server_version(&self) -> Op<'_, GetServerVersion> {
        Op::new(self, GetServerVersion::default())
    }
}

impl Client {
    /// A view with this root path.
    pub(crate) fn below(&self, chroot: &Chroot) -> Self {
        Self {
            chroot: chroot.clone(),
            ..self.clone()
        }
    }

    /// The seed of a generator for one procedure.
    pub(crate) fn random_seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.core().enter(|inner| inner.session.random(&mut seed));
        seed
    }
}
