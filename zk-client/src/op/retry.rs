//! Calls that are made again until they succeed, as far as that is safe.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use zk_proto::SessionId;
use zk_session::{Backoff, BackoffPolicy, Outcome, Rng};

use crate::op::protected::Cleanup;
use crate::op::sealed::Start;
use crate::op::{Kind, Launch, Op, Started};
use crate::{Client, Error, WhenFull};

mod rules;
mod with;

pub use rules::Retryable;
pub use with::RetryWith;

/// What became of an operation whose answer was lost, as far as a look can tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth possibility")]
pub enum Resolved<T> {
    /// It was carried out, and this is its result.
    Applied(T),
    /// It was not carried out, and can be tried again.
    NotApplied,
    /// It cannot be told.
    Unknown,
}

/// What keeps an operation whose answer was lost from being repeated.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Doubt {
    /// A write with a version: a repetition would fail on its own success.
    #[error("a write with a version may fail on its own success; look, or give resolve(..)")]
    Versioned,
    /// A create whose node exists now: made by it or by somebody else.
    #[error("the node exists now, made by this call or by somebody else; look at it")]
    Exists,
    /// A sequential create: a repetition would make a second node.
    #[error("a sequential create may have made a node; use protected()")]
    Sequential,
    /// A transaction without a protected create.
    #[error("a transaction shows no trace of its own; add a protected create, or give resolve(..)")]
    Transaction,
    /// An operation that must not happen twice.
    #[error("it must not be done twice")]
    NotRepeatable,
    /// A repetition failed for good; the attempt before it may have succeeded.
    #[error("an attempt before may have succeeded")]
    RepetitionFailed,
    /// The look at what became of it failed.
    #[error("looking what became of it failed, too")]
    LookFailed,
    /// The function given to `resolve` could not tell.
    #[error("resolve(..) could not tell either")]
    Unresolved,
}

type Future1<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Looks what became of an attempt.
pub(crate) type Resolver<T> =
    Box<dyn FnMut(Client, Option<Instant>) -> Future1<Result<Resolved<T>, Error>> + Send>;

/// What to do after an attempt whose outcome is unknown.
pub(crate) enum Rule<T> {
    /// A read: doing it twice is as good as once, and fails without a trace.
    Read,
    /// A write that is as good when done twice.
    Write,
    /// A delete: if the node is gone the next time, that is this.
    Delete(T),
    /// Looks; or else says why that is not known.
    Look(Resolver<T>, Doubt),
    Refuse(Doubt),
}

/// A call that is made until it succeeds, and everything it needs, its own.
#[expect(unnameable_types, reason = "only this crate uses it")]
pub struct Attempts<K: Kind> {
    kind: K,
    rule: Rule<K::Output>,
    /// It makes something that goes with the session.
    session_bound: bool,
    cleanup: Option<Cleanup>,
}

/// When to try again.
#[derive(Clone, Debug)]
struct Plan {
    /// `None`: not at all, but look what became of it.
    policy: Option<BackoffPolicy>,
    within_session: bool,
    attempt_limit: Option<Duration>,
}

/// [`Client::retry`]: another call, made until it succeeds.
pub struct Retry<K: Retryable> {
    kind: Option<K>,
    attempts: Option<Box<Attempts<K::Owned>>>,
    resolver: Option<Resolver<K::Output>>,
    plan: Plan,
}

impl<K: Retryable> fmt::Debug for Retry<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl<'a, K: Retryable> Op<'a, Retry<K>> {
    pub(crate) fn retry(policy: BackoffPolicy, op: Op<'a, K>) -> Self {
        let (client, kind, attempt_limit) = op.into_parts();
        let retry = Retry {
            kind: Some(kind),
            attempts: None,
            resolver: None,
            plan: Plan {
                policy: Some(usable(policy)),
                within_session: false,
                attempt_limit,
            },
        };
        Op::new(client, retry).until(None)
    }

    /// Ends with the session: an expired one is an error, also for calls that do not depend on it
    /// (kazoo: `ignore_expire=False`).
    pub fn within_session(self) -> Self {
        self.refine(|retry| retry.plan.within_session = true)
    }

    /// Asks `f` what became of the call whenever its answer was lost, instead of deciding by the
    /// kind of call. It looks, most often behind a `sync`, and says whether it was carried out.
    ///
    /// An error of `f` that [may pass](Error::is_retryable) makes it be asked again, as the policy
    /// says; any other ends in [`Error::Unknown`].
    ///
    /// ```no_run
    /// # use zk_client::{BackoffPolicy, Client, Error, op::Resolved};
    /// # async fn f(client: Client) -> Result<(), Error> {
    /// let policy = BackoffPolicy::new().max_tries(10);
    /// let mine = "written by job 17, run 3";
    /// let set = client.set("/state", mine).version(4);
    /// client
    ///     .retry(&policy, set)
    ///     .resolve(move |client| async move {
    ///         let (data, stat) = client.get("/state").synced().await?;
    ///         Ok(if data == *mine.as_bytes() {
    ///             Resolved::Applied(stat)
    ///         } else if stat.version == 4 {
    ///             Resolved::NotApplied
    ///         } else {
    ///             Resolved::Unknown
    ///         })
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn resolve<F, R>(self, mut f: F) -> Self
    where
        F: FnMut(Client) -> R + Send + 'static,
        R: Future<Output = Result<Resolved<K::Output>, Error>> + Send + 'static,
    {
        self.refine(|retry| retry.resolver = Some(Box::new(move |client, _| Box::pin(f(client)))))
    }
}

impl<K: Retryable> Start for Retry<K> {
    type Reply = K::Output;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<K::Output>, Error> {
        let client = launch.client.clone();
        let mut attempts = match (self.attempts.take(), self.kind.take()) {
            (Some(attempts), _) => attempts,
            (None, Some(kind)) => Box::new(kind.attempts(&client)?),
            (None, None) => return Err(Error::Taken),
        };
        if let Some(resolver) = self.resolver.take() {
            attempts.rule = Rule::Look(resolver, Doubt::Unresolved);
        }
        let (begun, deadline) = (launch.now, launch.deadline);
        launch.deadline = self.plan.attempt_deadline(begun, deadline);
        let first = attempts.kind.start(launch);
        launch.deadline = deadline;
        if matches!(first, Err(Error::Full { .. })) && client.when_full() == WhenFull::Wait {
            self.attempts = Some(attempts);
            return first;
        }
        let run = Run::new(client, self.plan.clone(), (begun, deadline));
        Ok(Started::Steps(Box::pin(run.drive(*attempts, first))))
    }
}

impl<K: Retryable> Kind for Retry<K> {
    type Output = K::Output;
}

/// A call by itself that is known again: one attempt, and a look if its reply is lost.
pub(super) fn look_if_lost<K: Retryable>(
    kind: K,
    launch: &mut Launch<'_>,
) -> Result<Started<K::Output>, Error> {
    let client = launch.client.clone();
    let mut attempts = kind.attempts(&client)?;
    let first = attempts.kind.start(launch);
    if let Err(error) = first {
        if let Some(cleanup) = &mut attempts.cleanup {
            cleanup.disarm();
        }
        return Err(error);
    }
    let plan = Plan {
        policy: None,
        within_session: false,
        attempt_limit: None,
    };
    let run = Run::new(client, plan, (launch.now, launch.deadline));
    Ok(Started::Steps(Box::pin(run.drive(attempts, first))))
}

/// The policy with numbers that can be used: kazoo's limits of jitter, and its 0 for no limit.
fn usable(mut policy: BackoffPolicy) -> BackoffPolicy {
    policy.jitter = policy.jitter.clamp(0.0, 1.0);
    if policy.jitter.is_nan() {
        policy.jitter = 0.0;
    }
    policy.factor = policy.factor.max(1.0);
    policy.max_tries = policy.max_tries.filter(|tries| *tries > 0);
    policy
}

impl Plan {
    fn attempt_deadline(&self, now: Instant, deadline: Option<Instant>) -> Option<Instant> {
        let own = self.attempt_limit.and_then(|limit| now.checked_add(limit));
        own.into_iter().chain(deadline).min()
    }
}

/// The attempts of one call, in progress.
struct Run {
    client: Client,
    plan: Plan,
    begun: Instant,
    deadline: Option<Instant>,
    /// The session in which the first attempt was made, if there was one.
    session: Option<SessionId>,
    backoff: Option<(Backoff, Rng)>,
    attempts: u32,
    /// May an attempt have succeeded?
    doubt: bool,
}

impl Run {
    fn new(client: Client, plan: Plan, (begun, deadline): (Instant, Option<Instant>)) -> Self {
        let session = client.client_id().map(|(id, _)| id);
        Self {
            client,
            plan,
            begun,
            deadline,
            session,
            backoff: None,
            attempts: 0,
            doubt: false,
        }
    }

    async fn drive<K: Kind>(
        mut self,
        mut attempts: Attempts<K>,
        first: Result<Started<K::Output>, Error>,
    ) -> Result<K::Output, Error> {
        let result = self.repeat(&mut attempts, first).await;
        let known = match &result {
            Ok(_) => true,
            Err(error) => !self.doubt && error.outcome() == Some(Outcome::NotApplied),
        };
        if let Some(cleanup) = attempts.cleanup.as_mut().filter(|_| known) {
            cleanup.disarm();
        }
        result
    }

    async fn repeat<K: Kind>(
        &mut self,
        attempts: &mut Attempts<K>,
        first: Result<Started<K::Output>, Error>,
    ) -> Result<K::Output, Error> {
        let mut result = finish(first).await;
        loop {
            self.attempts = self.attempts.saturating_add(1);
            let error = match result {
                Err(error) => error,
                value => return value,
            };
            let unknown = error.outcome() == Some(Outcome::Unknown);
            match &mut attempts.rule {
                Rule::Delete(_) if self.doubt && error == Error::NoNode => {
                    let rule = std::mem::replace(&mut attempts.rule, Rule::Read);
                    if let Rule::Delete(done) = rule {
                        return Ok(done);
                    }
                }
                Rule::Read => {}
                _ => self.doubt |= unknown,
            }
            if !self.repeats(&error, attempts.session_bound) {
                return Err(self.given_up(error));
            }
            self.check_session(attempts.session_bound)?;
            let error = match (&mut attempts.rule, self.doubt) {
                (Rule::Refuse(why), true) => return Err(unknown_because(*why, error)),
                (Rule::Look(resolver, why), true) => {
                    match self.look(resolver, *why, error).await? {
                        Looked::Applied(value) => {
                            self.doubt = false;
                            return Ok(value);
                        }
                        Looked::NotApplied(error) => {
                            // Seen from another session it proves nothing.
                            self.check_session(attempts.session_bound)?;
                            self.doubt = false;
                            error
                        }
                    }
                }
                _ => error,
            };
            if self.plan.policy.is_none() {
                return Err(error);
            }
            self.pause(error).await?;
            self.check_session(attempts.session_bound)?;
            let limit = self.plan.attempt_deadline(self.client.now(), self.deadline);
            if self.session.is_none() {
                self.session = self.client.client_id().map(|(id, _)| id);
            }
            result = Op::new(&self.client, &mut attempts.kind).until(limit).await;
        }
    }

    /// Finds out what became of the attempts.
    async fn look<T>(
        &mut self,
        resolver: &mut Resolver<T>,
        why: Doubt,
        last: Error,
    ) -> Result<Looked<T>, Error> {
        loop {
            match resolver(self.client.clone(), self.deadline).await {
                Ok(Resolved::Applied(value)) => return Ok(Looked::Applied(value)),
                Ok(Resolved::NotApplied) => return Ok(Looked::NotApplied(unsent(last))),
                Ok(Resolved::Unknown) => return Err(unknown_because(why, last)),
                Err(error) if self.repeats(&error, false) && !self.is_late(Duration::ZERO) => {
                    self.pause(last.clone()).await?;
                }
                Err(Error::Timeout { .. }) => return Err(last),
                Err(error) if error.outcome() == Some(Outcome::Applied) => return Err(error),
                Err(error) => return Err(unknown_because(Doubt::LookFailed, error)),
            }
        }
    }

    /// Can the call, or the look at it, succeed when it is made again?
    fn repeats(&self, error: &Error, session_bound: bool) -> bool {
        match error {
            Error::SessionExpired { .. } => !session_bound && !self.plan.within_session,
            Error::Timeout { .. } => true,
            error => error.is_retryable(),
        }
    }

    /// What depends on the session ends with it.
    fn check_session(&self, bound: bool) -> Result<(), Error> {
        let now = self.client.client_id().map(|(id, _)| id);
        if bound && self.session.is_some() && now != self.session {
            return Err(Error::SessionExpired { sent: self.doubt });
        }
        Ok(())
    }

    /// An error that ends it, together with what is not known of earlier attempts.
    fn given_up(&self, error: Error) -> Error {
        match error.outcome() {
            Some(Outcome::NotApplied) if self.doubt => {
                unknown_because(Doubt::RepetitionFailed, error)
            }
            _ => error,
        }
    }

    fn is_late(&self, wait: Duration) -> bool {
        self.deadline.is_some_and(|end| {
            self.client
                .now()
                .checked_add(wait)
                .is_none_or(|then| then >= end)
        })
    }

    /// Waits until the next attempt, or says that there is to be none.
    async fn pause(&mut self, error: Error) -> Result<(), Error> {
        let (client, plan) = (&self.client, &self.plan);
        let (backoff, rng) = self.backoff.get_or_insert_with(|| {
            let policy = plan.policy.clone().unwrap_or_default();
            (Backoff::new(policy), Rng::new(client.random_seed()))
        });
        let elapsed = client.now().saturating_duration_since(self.begun);
        let wait = backoff.after_failure(rng, elapsed, Duration::MAX);
        let Some(wait) = wait.filter(|wait| !self.is_late(*wait)) else {
            if self.plan.policy.is_none() {
                return Err(error);
            }
            return Err(self.exhausted(error));
        };
        tracing::debug!(attempts = self.attempts, ?wait, %error, "trying again");
        let slept = self.client.sleep(wait).await;
        slept.map_err(|_| Error::Closed { sent: self.doubt })
    }

    fn exhausted(&self, error: Error) -> Error {
        let own = error.outcome().unwrap_or(Outcome::Unknown);
        Error::RetryFailed {
            attempts: self.attempts,
            outcome: if self.doubt { Outcome::Unknown } else { own },
            last: Box::new(error),
        }
    }
}

enum Looked<T> {
    Applied(T),
    NotApplied(Error),
}

fn unknown_because(why: Doubt, last: Error) -> Error {
    Error::Unknown {
        why,
        last: Box::new(last),
    }
}

/// The same failure of a call that is known by now not to have been carried out.
fn unsent(error: Error) -> Error {
    match error {
        Error::ConnectionLoss { .. } => Error::ConnectionLoss { sent: false },
        Error::Timeout { .. } => Error::Timeout { sent: false },
        Error::SessionExpired { .. } => Error::SessionExpired { sent: false },
        error => error,
    }
}

async fn finish<T>(started: Result<Started<T>, Error>) -> Result<T, Error> {
    match started? {
        Started::Sent(result) => result.await,
        Started::Steps(steps) => steps.await,
    }
}
