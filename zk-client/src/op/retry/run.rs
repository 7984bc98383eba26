//! The attempts of a call, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_session::{Backoff, Outcome, Rng};

use crate::core::SessionNumber;
use crate::op::retry::{Attempts, Doubt, Plan, Resolved, Resolver, Rule};
use crate::op::sealed::Start;
use crate::op::{Kind, Launch, Op, Started};
use crate::{Client, Error};

/// The attempts of one call, in progress.
pub(super) struct Run {
    client: Client,
    plan: Plan,
    begun: Instant,
    deadline: Option<Instant>,
    /// The only session in which attempts may be made and judged, if it matters.
    within: Option<SessionNumber>,
    backoff: Option<(Backoff, Rng)>,
    attempts: u32,
    /// May an attempt have succeeded?
    doubt: bool,
    /// Was there ever an attempt that may have succeeded?
    lost: bool,
}

impl Run {
    pub(super) fn new(
        client: Client,
        plan: Plan,
        (begun, deadline): (Instant, Option<Instant>),
        within: Option<SessionNumber>,
    ) -> Self {
        Self {
            client,
            plan,
            begun,
            deadline,
            within,
            backoff: None,
            attempts: 0,
            doubt: false,
            lost: false,
        }
    }

    /// The attempts, as the rest of the call.
    pub(super) fn started<K: Kind + 'static>(
        self,
        attempts: Attempts<K>,
        first: Result<Started<K::Output>, Error>,
    ) -> Started<K::Output> {
        let cleanup = attempts.cleanup.as_ref();
        let claim = cleanup.map(|(cleanup, _)| Arc::clone(cleanup));
        let steps = Box::pin(self.drive(attempts, first));
        match claim {
            Some(claim) => Started::Claimable(steps, claim),
            None => Started::Steps(steps),
        }
    }

    async fn drive<K: Kind>(
        mut self,
        mut attempts: Attempts<K>,
        first: Result<Started<K::Output>, Error>,
    ) -> Result<K::Output, Error> {
        let result = self.repeat(&mut attempts, first).await;
        let Some((cleanup, paths)) = &attempts.cleanup else {
            return result;
        };
        match &result {
            // The node of a lost attempt may still turn up beside that of a later one.
            Ok(value) => cleanup.made(self.lost.then(|| paths(value))),
            // All was done, and the caller is told so.
            Err(Error::ResultLost) => cleanup.disarm(),
            Err(error) if !self.lost && error.outcome() == Some(Outcome::NotApplied) => {
                cleanup.disarm();
            }
            Err(_) => cleanup.run(),
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
                Rule::Write | Rule::Delete(_) | Rule::Look(..) | Rule::Refuse(_) => {
                    self.doubt |= unknown;
                    self.lost |= unknown;
                }
            }
            // It may be the work of an attempt that was taken for lost.
            let late = matches!(error, Error::NodeExists | Error::Transaction(_));
            let late = late && self.lost && matches!(attempts.rule, Rule::Look(..));
            self.doubt |= late;
            if !late && !self.repeats(&error, attempts.session_bound) {
                return Err(self.given_up(error));
            }
            self.check_session()?;
            let error = match (&mut attempts.rule, self.doubt) {
                (Rule::Refuse(why), true) => return Err(unknown_because(*why, error)),
                (Rule::Look(resolver, why), true) => {
                    match self.look(resolver, *why, error).await? {
                        Looked::Applied(value) => {
                            self.check_session()?;
                            self.doubt = false;
                            return Ok(value);
                        }
                        Looked::NotApplied(error) => {
                            // Seen from another session it proves nothing.
                            self.check_session()?;
                            self.doubt = false;
                            if late {
                                return Err(error);
                            }
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
            let limit = self.plan.attempt_deadline(self.client.now(), self.deadline);
            let attempt = Within(&mut attempts.kind, self.within);
            result = Op::new(&self.client, attempt).until(limit).await;
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
                Err(Error::Timeout { .. }) => return Err(self.given_up(last)),
                Err(error) if error.outcome() == Some(Outcome::Applied) => return Err(error),
                Err(error) => return Err(unknown_because(Doubt::LookFailed, error)),
            }
        }
    }

    /// Can the call, or the look at it, succeed when it is made again?
    fn repeats(&self, error: &Error, session_bound: bool) -> bool {
        let expired = matches!(error, Error::SessionExpired { .. });
        let late = matches!(error, Error::Timeout { .. });
        let go_on = !session_bound && !self.plan.within_session;
        late || (expired && go_on) || error.is_retryable()
    }

    /// What depends on the session ends with it.
    fn check_session(&self) -> Result<(), Error> {
        let now = || self.client.core().session_number();
        if self.within.is_some_and(|within| within != now()) {
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
        let (span, attempts) = (self.client.core().span(), self.attempts);
        tracing::debug!(parent: span, attempts, ?wait, %error, "trying again");
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

/// One more attempt, in this session and in no other.
struct Within<'a, K>(&'a mut K, Option<SessionNumber>);

impl<K: Kind> Start for Within<'_, K> {
    type Reply = K::Output;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<K::Output>, Error> {
        launch.within = self.1;
        self.0.start(launch)
    }
}

impl<K: Kind> Kind for Within<'_, K> {
    type Output = K::Output;
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
fn unsent(mut error: Error) -> Error {
    if let Error::ConnectionLoss { sent }
    | Error::Timeout { sent }
    | Error::SessionExpired { sent } = &mut error
    {
        *sent = false;
    }
    error
}

async fn finish<T>(started: Result<Started<T>, Error>) -> Result<T, Error> {
    match started? {
        Started::Sent(result) => result.await,
        Started::Steps(steps) => steps.await,
        Started::Claimable(steps, claim) => {
            let result = steps.await;
            claim.claim();
            result
        }
    }
}
