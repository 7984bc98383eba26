//! [`Mine`]: an ephemeral node that goes when its owner does.

use std::time::Duration;

use zk_client::{BackoffPolicy, Client, Error, Outcome, SessionId, SyncKeepAlive};

/// The pause between two attempts to delete a node.
const PAUSE: Duration = Duration::from_millis(100);

/// The pauses between looks after a connection was lost with the create, which may turn up behind
/// the first of them. They are those of protected creates, whose page (`op/protected.rs` of
/// `zk-client`) has the reasons.
pub(crate) const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];

/// An ephemeral node of one session, of which nobody else deletes or makes one of the same path
/// without being told from it. Dropping this deletes it: at once, past all bounds, and in that
/// session only.
///
/// It is made before the create is sent, so that a create that was given up leaves nothing either.
pub(crate) struct Mine {
    client: Client,
    path: String,
    session: SessionId,
    /// The data by which it is told from others' of the same path; `None` if its path is unique.
    mark: Option<String>,
    /// Connections lost before the create.
    losses: u64,
    /// It is known to exist; or is to be left alone.
    known: Known,
    /// Keeps the session's deadline in the future, for those who are asked whether they hold it.
    keep_alive: Option<SyncKeepAlive>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Known {
    Maybe,
    Made,
    Gone,
}

impl Mine {
    /// A node whose name nobody else uses.
    pub(crate) fn unique(client: &Client, path: String, session: SessionId) -> Self {
        Self {
            client: client.clone(),
            path,
            session,
            mark: None,
            losses: client.stats().session.losses,
            known: Known::Maybe,
            keep_alive: None,
        }
    }

    /// From now on [`is_live`](Self::is_live) can tell.
    pub(crate) fn keep_alive(&mut self) {
        self.keep_alive = Some(self.client.keep_alive_by_sync());
    }

    /// A node that others may have in its place, told by its data.
    pub(crate) fn marked(client: &Client, path: String, session: SessionId, mark: String) -> Self {
        let mut mine = Self::unique(client, path, session);
        mine.mark = Some(mark);
        mine
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// The last part of its path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Makes it. Its path has to be unique.
    pub(crate) async fn create(&mut self, data: &str) -> Result<(), Error> {
        let client = self.client.clone();
        loop {
            let create = client.create(&self.path, data).ephemeral();
            match create.in_session(self.session).await {
                // It exists only if an attempt before was carried out.
                Ok(_) | Err(Error::NodeExists) => {
                    self.known = Known::Made;
                    return Ok(());
                }
                Err(error) => pause(&client, error).await?,
            }
        }
    }

    /// Deletes it, and another node with it if one is given that there is. That the session has
    /// ended is fine.
    pub(crate) async fn delete_with(&mut self, mut other: Option<String>) -> Result<(), Error> {
        let client = self.client.clone();
        loop {
            let transaction = client.transaction().delete(&self.path);
            let transaction = match &other {
                Some(other) => transaction.delete(other),
                None => transaction,
            };
            match transaction.commit().in_session(self.session).await {
                Ok(_) | Err(Error::SessionExpired { .. }) => break,
                Err(Error::Transaction(error)) => match (error.index(), error.cause()) {
                    (0, Error::NoNode) => break,
                    (1, Error::NoNode) => other = None,
                    (_, error) => return Err(error.clone()),
                },
                Err(error) => pause(&client, error).await?,
            }
        }
        self.known = Known::Gone;
        Ok(())
    }

    /// Is it there, and not another one in its place?
    pub(crate) async fn is_there(&self) -> Result<bool, Error> {
        self.look().await
    }

    /// The same, for whoever does not want to wait for it here.
    pub(crate) fn look(&self) -> impl Future<Output = Result<bool, Error>> + Send + use<> {
        let (client, path) = (self.client.clone(), self.path.clone());
        let (mark, session) = (self.mark.clone(), self.session);
        async move {
            let get = client.get(&path).synced();
            let (data, stat) = match client.retry(&BackoffPolicy::new(), get).await {
                Err(Error::NoNode) => return Ok(false),
                found => found?,
            };
            let marked = mark.is_none_or(|mark| data == *mark.as_bytes());
            Ok(marked && stat.ephemeral_owner == session)
        }
    }

    /// Deletes it, which is not to be done to another one in its place.
    ///
    /// # Errors
    /// [`Error::NotHeld`] if it was gone before.
    pub(crate) async fn delete(&mut self) -> Result<(), Error> {
        let client = self.client.clone();
        let mut doubt = false;
        loop {
            if doubt && !self.is_there().await? {
                break;
            }
            match client
                .delete(&self.path)
                .urgent()
                .in_session(self.session)
                .await
            {
                Ok(()) => break,
                Err(Error::NoNode | Error::SessionExpired { .. }) if doubt => break,
                Err(Error::NoNode | Error::SessionExpired { .. }) => {
                    self.known = Known::Gone;
                    return Err(Error::NotHeld);
                }
                Err(error) => {
                    doubt |= error.outcome() == Some(Outcome::Unknown);
                    pause(&client, error).await?;
                }
            }
        }
        self.known = Known::Gone;
        Ok(())
    }

    /// It exists.
    pub(crate) fn made(&mut self) {
        self.known = Known::Made;
    }

    /// It does not exist, and no create of it is under way.
    pub(crate) fn gone(&mut self) {
        self.known = Known::Gone;
    }

    /// Is the client's session still the one whose node this is?
    pub(crate) fn is_of_session(&self) -> bool {
        let session = self.client.client_id();
        session.is_some_and(|(id, _)| id == self.session)
    }

    /// The same, and cannot servers have dropped the session?
    pub(crate) fn is_live(&self) -> bool {
        let client = &self.client;
        self.is_of_session() && client.deadline().is_some_and(|end| client.now() < end)
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        let remains = Remains {
            client: self.client.clone(),
            path: std::mem::take(&mut self.path),
            session: self.session,
            mark: self.mark.take(),
            losses: self.losses,
            made: self.known == Known::Made,
        };
        match self.known {
            Known::Gone => {}
            Known::Maybe if remains.mark.is_some() => remains.look_in_background(),
            Known::Maybe | Known::Made => remains.delete(),
        }
    }
}

/// After an error that may pass: what is sent next waits for the connection; only a server that
/// has refused needs a pause. Gives back any other error.
pub(crate) async fn pause(client: &Client, error: Error) -> Result<(), Error> {
    if matches!(error, Error::ConnectionLoss { .. } | Error::Timeout { .. }) {
        return Ok(());
    }
    if error.is_retryable() {
        return client.sleep(PAUSE).await;
    }
    Err(error)
}

/// What is to be deleted.
struct Remains {
    client: Client,
    path: String,
    session: SessionId,
    mark: Option<String>,
    losses: u64,
    made: bool,
}

impl Remains {
    /// Puts the delete into the session's queue, behind the create.
    fn delete(self) {
        let delete = self.client.delete(&self.path).urgent();
        let result = delete.in_session(self.session).send();
        result.on_complete(move |result| match result {
            Ok(()) | Err(Error::NoNode) if self.made || !self.is_doubtful() => {}
            Err(Error::SessionExpired { .. } | Error::Closed { .. }) => {}
            Ok(()) | Err(_) => self.look_in_background(),
        });
    }

    fn look_in_background(self) {
        let client = self.client.clone();
        client.spawn(self.look());
    }

    /// Was a connection lost since the create was sent? A server may read what an earlier
    /// connection has left behind after it has answered on a new one.
    fn is_doubtful(&self) -> bool {
        self.client.stats().session.losses != self.losses
    }

    /// Looks for the node and deletes it, until it is gone or the session is.
    async fn look(self) {
        let mut pauses = PAUSES.iter();
        loop {
            match self.find_and_delete().await {
                Ok(true) => continue,
                Ok(false) if self.made || !self.is_doubtful() => return,
                Ok(false) => {
                    let Some(pause) = pauses.next() else {
                        return;
                    };
                    if self.client.sleep(*pause).await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(Error::SessionExpired { .. } | Error::Closed { .. }) => return,
                Err(Error::Timeout { .. }) => {}
                Err(error) if error.is_retryable() => {}
                Err(error) => {
                    let path = self.path.as_str();
                    tracing::warn!(path, %error, "an abandoned node could not be deleted");
                    return;
                }
            }
            if self.client.sleep(PAUSE).await.is_err() {
                return;
            }
        }
    }

    /// Was it there?
    async fn find_and_delete(&self) -> Result<bool, Error> {
        let get = self.client.get(&self.path);
        let get = if self.is_doubtful() {
            get.linearizable()
        } else {
            get.synced()
        };
        let found = match get.await {
            Err(Error::NoNode) => return Ok(false),
            found => found?,
        };
        let (data, stat) = found;
        let mark = self.mark.as_ref();
        if stat.ephemeral_owner != self.session || mark.is_some_and(|mark| data != *mark.as_bytes())
        {
            return Ok(false);
        }
        let delete = self.client.delete(&self.path).urgent();
        match delete.in_session(self.session).await {
            Ok(()) | Err(Error::NoNode) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
