//! Credentials, the ensemble's configuration, and the end of a client.

use std::borrow::Cow;
use std::sync::Arc;

use zk_proto::{Chroot, ClientInfo, Payload, Reply, Request, Stat};
use zk_session::Session;

use crate::async_result::Slot;
use crate::core::Ticket;
use crate::op::sealed::Start;
use crate::op::write::empty;
use crate::op::{Kind, Launch, Op, Started};
use crate::{AsyncResult, Client, Error};

/// [`Client::add_auth`].
pub struct AddAuth<'a> {
    scheme: &'a str,
    credential: &'a [u8],
}

impl<'a> AddAuth<'a> {
    pub(crate) fn new(scheme: &'a str, credential: &'a [u8]) -> Self {
        Self { scheme, credential }
    }
}

impl std::fmt::Debug for AddAuth<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddAuth")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

impl Start for AddAuth<'_> {
    type Reply = ();

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<()>, Error> {
        let body = Request::Auth {
            scheme: Cow::Borrowed(self.scheme),
            data: Some(Cow::Borrowed(self.credential)),
        };
        let keep = launch.client.credentials();
        let credential = (self.scheme.to_owned(), self.credential.to_vec());
        launch.request(&body, move |reply| {
            empty(reply)?;
            keep.add(credential.clone());
            Ok(())
        })
    }
}

impl Kind for AddAuth<'_> {
    type Output = ();
}

/// [`Client::reconfig`]. Gives the new configuration.
#[derive(Debug)]
pub struct Reconfig<'a> {
    joining: Option<&'a str>,
    leaving: Option<&'a str>,
    new_members: Option<&'a str>,
    from_config: i64,
}

impl Reconfig<'_> {
    pub(crate) fn new() -> Self {
        Self {
            joining: None,
            leaving: None,
            new_members: None,
            from_config: -1,
        }
    }
}

impl<'a> Op<'a, Reconfig<'a>> {
    /// Adds or changes these members: `server.5=h5:2888:3888;2181`, separated by commas.
    pub fn joining(self, members: &'a str) -> Self {
        self.refine(|reconfig| reconfig.joining = Some(members))
    }

    /// Removes the members with these numbers, separated by commas.
    pub fn leaving(self, numbers: &'a str) -> Self {
        self.refine(|reconfig| reconfig.leaving = Some(numbers))
    }

    /// Replaces all members by these. Not together with [`joining`](Self::joining) and
    /// [`leaving`](Self::leaving).
    pub fn new_members(self, members: &'a str) -> Self {
        self.refine(|reconfig| reconfig.new_members = Some(members))
    }

    /// Only if the present configuration has this version (its line `version=`, which is
    /// hexadecimal), else [`Error::BadVersion`]. Default any.
    pub fn from_config(self, version: i64) -> Self {
        self.refine(|reconfig| reconfig.from_config = version)
    }
}

impl Start for Reconfig<'_> {
    type Reply = (Payload, Stat);

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<Self::Reply>, Error> {
        let body = Request::Reconfig {
            joining: self.joining.map(Cow::Borrowed),
            leaving: self.leaving.map(Cow::Borrowed),
            new_members: self.new_members.map(Cow::Borrowed),
            from_config: self.from_config,
        };
        launch.request_below(&body, &Chroot::ROOT, false, |reply| {
            let Reply::Data { data, stat } = reply else {
                return Err(Error::UnexpectedReply);
            };
            Ok((data, stat))
        })
    }
}

impl Kind for Reconfig<'_> {
    type Output = (Payload, Stat);
}

/// [`Client::who_am_i`]. Gives the identities that the server knows this session by.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WhoAmI;

impl Start for WhoAmI {
    type Reply = Vec<ClientInfo>;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<Self::Reply>, Error> {
        launch.request(&Request::WhoAmI, |reply| {
            let Reply::Clients(clients) = reply else {
                return Err(Error::UnexpectedReply);
            };
            Ok(clients)
        })
    }
}

impl Kind for WhoAmI {
    type Output = Vec<ClientInfo>;
}

/// [`Client::close`] and [`Client::detach`]. [`timeout`](Op::timeout) is the limit of the whole.
#[derive(Debug)]
pub struct Close {
    how: fn(&mut Session, std::time::Instant, std::time::Duration),
}

impl Close {
    pub(crate) fn session() -> Self {
        Self {
            how: Session::close,
        }
    }

    pub(crate) fn connection() -> Self {
        Self {
            how: Session::detach,
        }
    }
}

impl Start for Close {
    type Reply = ();

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<()>, Error> {
        let now = launch.now;
        let limit = match launch.deadline {
            Some(deadline) => deadline.saturating_duration_since(now),
            None => launch.client.close_limit(),
        };
        let how = self.how;
        let result = launch
            .client
            .core()
            .result(Arc::new(Slot::new(())), |inner, slot| {
                inner.close(Some(slot), how, (now, limit));
                Ticket::NONE
            });
        Ok(Started::Sent(result))
    }
}

impl Kind for Close {
    type Output = ();
}

/// [`Client::restart`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Restart;

impl Start for Restart {
    type Reply = ();

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<()>, Error> {
        Ok(Started::Steps(Box::pin(restart(launch.client.clone()))))
    }
}

impl Kind for Restart {
    type Output = ();
}

/// Closes, waits until the driver has gone, and starts over.
async fn restart(client: Client) -> Result<(), Error> {
    match client.close().await {
        // The new session does not depend on what became of the old one.
        Ok(()) | Err(Error::CloseUnconfirmed) => {}
        Err(error) => return Err(error),
    }
    let gone: AsyncResult<()> = client
        .core()
        .result(Arc::new(Slot::new(())), |inner, slot| {
            inner.until_dismissed(slot);
            Ticket::NONE
        });
    gone.await?;
    client.renew()
}
