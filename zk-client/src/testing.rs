//! Help for tests against real servers, as kazoo's test harness has it: losing connections and
//! sessions at will.
//!
//! ```no_run
//! # fn f(client: zk_client::Client) -> Result<(), zk_client::Error> {
//! use zk_client::testing::{expire_session, lose_connection};
//!
//! client.create("/worker", "").ephemeral().wait()?;
//! lose_connection(&client).wait()?;   // the node is still there
//! expire_session(&client).wait()?;    // now it is gone, and the client has a new session
//! # Ok(()) }
//! ```

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::op::sealed::Start;
use crate::op::steps::within;
use crate::op::{Kind, Launch, Op, Started, Steps};
use crate::{Client, Error, State, StateStream};

/// How long it may take unless told otherwise, in which servers are given a session timeout.
const LIMIT: Duration = Duration::from_secs(15);

/// Ends the client's session at the server: a second client takes the session over and closes it.
/// Done when the first has noticed, and is connected with a new session.
///
/// [`timeout`](Op::timeout) limits it; default 15 s and the session timeout.
///
/// # Errors
/// [`Error::Timeout`] at the limit; [`Error::CloseUnconfirmed`] if the second client was not
/// answered; what ends the client itself, such as [`Error::Closed`].
pub fn expire_session(client: &Client) -> Op<'_, ExpireSession> {
    Op::new(client, ExpireSession).until(None)
}

/// Breaks the client's connection. Done when it has noticed, and is connected again.
///
/// [`timeout`](Op::timeout) limits it; default 15 s and the session timeout.
///
/// # Errors
/// [`Error::Timeout`] at the limit; what ends the client itself, such as [`Error::Closed`].
pub fn lose_connection(client: &Client) -> Op<'_, LoseConnection> {
    Op::new(client, LoseConnection).until(None)
}

/// [`expire_session`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ExpireSession;

/// [`lose_connection`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LoseConnection;

impl Start for ExpireSession {
    type Reply = ();

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<()>, Error> {
        let steps = expire(launch.client.clone());
        Ok(Started::Steps(limited(launch, steps)))
    }
}

impl Kind for ExpireSession {
    type Output = ();
}

impl Start for LoseConnection {
    type Reply = ();

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<()>, Error> {
        let steps = lose(launch.client.clone());
        Ok(Started::Steps(limited(launch, steps)))
    }
}

impl Kind for LoseConnection {
    type Output = ();
}

fn limited(
    launch: &Launch<'_>,
    steps: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> Steps<()> {
    let client = launch.client;
    let limit = match launch.deadline {
        Some(end) => end.saturating_duration_since(launch.now),
        None => LIMIT + client.config().session_timeout(),
    };
    Box::pin(within(steps, client.sleep(limit)))
}

async fn expire(client: Client) -> Result<(), Error> {
    client.until_connected().await?;
    let mut changes = client.state_changes();
    let known = client.client_id().zip(client.server());
    let Some(((id, password), server)) = known.filter(|_| client.connected()) else {
        return Err(Error::ConnectionLoss { sent: false });
    };
    let mut config = client.config().to_builder();
    config.servers(vec![server]).resume(id, password);
    let second = Client::start(Arc::clone(client.handler()), config.build()?)?;
    second.until_connected().await?;
    second.close().await?;
    // It would notice by itself, but not at once.
    client.reconnect();
    until(&mut changes, |state| state == State::Lost).await?;
    until(&mut changes, State::is_connected).await
}

async fn lose(client: Client) -> Result<(), Error> {
    let mut changes = loop {
        client.until_connected().await?;
        let changes = client.state_changes();
        // A connection that is lost by itself before anybody looks cannot be broken.
        if client.connected() {
            break changes;
        }
    };
    client.reconnect();
    until(&mut changes, |state| {
        matches!(state, State::Suspended { .. })
    })
    .await?;
    until(&mut changes, State::is_connected).await
}

/// Waits for a state, however short it lasts.
async fn until(changes: &mut StateStream, wanted: impl Fn(State) -> bool) -> Result<(), Error> {
    while let Some(change) = changes.next().await {
        if wanted(change.to) {
            return Ok(());
        }
    }
    Err(Error::Closed { sent: false })
}
