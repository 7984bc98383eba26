//! Calls that are made again until they succeed, as far as that is safe.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_session::BackoffPolicy;

use crate::core::SessionNumber;
use crate::op::protected::Unclaimed;
use crate::op::sealed::Start;
use crate::op::{Kind, Launch, Op, Started};
use crate::{Client, Error, WhenFull};

mod rules;
mod run;
mod with;

use run::Run;

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

type Looking<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Looks what became of an attempt.
pub(crate) type Resolver<T> =
    Box<dyn FnMut(Client, Option<Instant>) -> Looking<Result<Resolved<T>, Error>> + Send>;

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

/// How a result names the nodes of its protected creates, in the order of their marks.
type PathsOf<T> = Box<dyn Fn(&T) -> Vec<String> + Send>;

/// A call that is made until it succeeds, and everything it needs, its own.
#[expect(unnameable_types, reason = "only this crate uses it")]
pub struct Attempts<K: Kind> {
    kind: K,
    rule: Rule<K::Output>,
    /// It makes something that goes with the session.
    session_bound: bool,
    /// What is to be done when it is given up, and how its result names its nodes.
    cleanup: Option<(Arc<Unclaimed>, PathsOf<K::Output>)>,
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
    /// Where it was begun, if it must not go on in another session.
    within: Option<SessionNumber>,
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
            within: None,
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
        if attempts.session_bound || self.plan.within_session {
            let begun_in = self
                .within
                .get_or_insert_with(|| client.core().session_number());
            launch.within = Some(*begun_in);
        }
        let (begun, deadline) = (launch.now, launch.deadline);
        launch.deadline = self.plan.attempt_deadline(begun, deadline);
        let first = attempts.kind.start(launch);
        launch.deadline = deadline;
        if matches!(first, Err(Error::Full { .. })) && client.when_full() == WhenFull::Wait {
            self.attempts = Some(attempts);
            return first;
        }
        let run = Run::new(client, self.plan.clone(), (begun, deadline), self.within);
        Ok(run.started(*attempts, first))
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
    if attempts.session_bound {
        launch.within = Some(client.core().session_number());
    }
    let first = attempts.kind.start(launch);
    if let Err(error) = first {
        if let Some((cleanup, _)) = &attempts.cleanup {
            cleanup.disarm();
        }
        return Err(error);
    }
    let plan = Plan {
        policy: None,
        within_session: false,
        attempt_limit: None,
    };
    let limits = (launch.now, launch.deadline);
    let run = Run::new(client, plan, limits, launch.within);
    Ok(run.started(attempts, first))
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
