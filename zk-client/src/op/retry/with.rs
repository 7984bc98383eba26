//! Retrying code of the caller's.

use std::fmt;
use std::future::Future;

use zk_session::{Backoff, BackoffPolicy, Outcome, Rng};

use crate::op::retry::usable;
use crate::op::sealed::Start;
use crate::op::steps::within;
use crate::op::{Kind, Launch, Op, Started};
use crate::{Client, Error};

/// [`Client::retry_with`]: a function that is called until it succeeds.
pub struct RetryWith<F> {
    f: Option<Box<F>>,
    policy: BackoffPolicy,
    within_session: bool,
}

impl<F> fmt::Debug for RetryWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryWith")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<'a, F, R, T> Op<'a, RetryWith<F>>
where
    F: FnMut(Client) -> R + Send + 'static,
    R: Future<Output = Result<T, Error>> + Send + 'static,
    T: Send + 'static,
{
    pub(crate) fn retry_with(client: &'a Client, policy: BackoffPolicy, f: F) -> Self {
        let retry = RetryWith {
            f: Some(Box::new(f)),
            policy: usable(policy),
            within_session: false,
        };
        Op::new(client, retry).until(None)
    }

    /// Ends with the session: an expired one is an error (kazoo: `ignore_expire=False`).
    pub fn within_session(self) -> Self {
        self.refine(|retry| retry.within_session = true)
    }
}

impl<F, R, T> Start for RetryWith<F>
where
    F: FnMut(Client) -> R + Send + 'static,
    R: Future<Output = Result<T, Error>> + Send + 'static,
    T: Send + 'static,
{
    type Reply = T;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<T>, Error> {
        let f = self.f.take().ok_or(Error::Taken)?;
        let (client, policy) = (launch.client.clone(), self.policy.clone());
        let repeat = repeat(client.clone(), policy, self.within_session, f);
        let Some(end) = launch.deadline else {
            return Ok(Started::Steps(Box::pin(repeat)));
        };
        let limit = client.sleep(end.saturating_duration_since(launch.now));
        Ok(Started::Steps(Box::pin(within(repeat, limit))))
    }
}

impl<F, R, T> Kind for RetryWith<F>
where
    F: FnMut(Client) -> R + Send + 'static,
    R: Future<Output = Result<T, Error>> + Send + 'static,
    T: Send + 'static,
{
    type Output = T;
}

async fn repeat<F, R, T>(
    client: Client,
    policy: BackoffPolicy,
    within_session: bool,
    mut f: F,
) -> Result<T, Error>
where
    F: FnMut(Client) -> R,
    R: Future<Output = Result<T, Error>>,
{
    let begun = client.now();
    let mut rng = Rng::new(client.random_seed());
    let mut backoff = Backoff::new(policy);
    let mut doubt = false;
    loop {
        let error = match f(client.clone()).await {
            Err(error) => error,
            value => return value,
        };
        let expired = matches!(error, Error::SessionExpired { .. });
        let again = error.is_retryable() || (expired && !within_session);
        if !again {
            return Err(error);
        }
        doubt |= error.outcome() == Some(Outcome::Unknown);
        let elapsed = client.now().saturating_duration_since(begun);
        let Some(wait) = backoff.after_failure(&mut rng, elapsed, std::time::Duration::MAX) else {
            let own = error.outcome().unwrap_or(Outcome::Unknown);
            return Err(Error::RetryFailed {
                attempts: backoff.failures(),
                outcome: if doubt { Outcome::Unknown } else { own },
                last: Box::new(error),
            });
        };
        if client.sleep(wait).await.is_err() {
            return Err(Error::Closed { sent: doubt });
        }
    }
}
