//! Writes, `sync`, and what is made of several of them.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::time::Duration;

use zk_proto::{
    ANY_VERSION, Acl, CreateMode, Data, ModeError, Reply, Request, Stat, Ttl, ZnodePath,
    validate_acl,
};

use crate::op::sealed::Start;
use crate::op::{Kind, Launch, Op, Started, retry, steps};
use crate::{Client, Error};

/// [`Client::create`]. Gives the path of the node that was made, with its number if sequential;
/// with [`with_stat`](Op::with_stat) also its stat.
#[derive(Debug)]
pub struct Create<'a, T = String> {
    pub(super) path: Cow<'a, str>,
    pub(super) data: Data<'a>,
    pub(super) acl: Cow<'a, [Acl]>,
    lifetime: Lifetime,
    pub(super) sequential: bool,
    pub(super) parents: bool,
    pub(super) protected: bool,
    /// Its name has the id already.
    pub(super) named: bool,
    gives: PhantomData<fn() -> T>,
}

/// How long a node lives.
#[derive(Clone, Copy, Debug)]
enum Lifetime {
    Persistent,
    Ephemeral,
    Container,
    Ttl(Duration),
}

/// What [`Create`] can give: the path, or the path and the stat.
pub trait CreateReply: private::FromReply + Send + Sized + 'static {}

mod private {
    use super::{Error, Reply, Stat};

    #[expect(unnameable_types, reason = "only this crate implements it")]
    pub trait FromReply: Sized {
        const WITH_STAT: bool;

        fn from_reply(reply: Reply) -> Result<Self, Error>;

        /// What it gives if its node was found.
        fn from_found(path: String, stat: Stat) -> Self;

        /// The path of the node.
        fn path(&self) -> &str;
    }
}

impl CreateReply for String {}

impl private::FromReply for String {
    const WITH_STAT: bool = false;

    fn from_reply(reply: Reply) -> Result<Self, Error> {
        let (Reply::Path(path) | Reply::Created { path, .. }) = reply else {
            return Err(Error::UnexpectedReply);
        };
        Ok(path)
    }

    fn from_found(path: Self, _: Stat) -> Self {
        path
    }

    fn path(&self) -> &str {
        self
    }
}

impl CreateReply for (String, Stat) {}

impl private::FromReply for (String, Stat) {
    const WITH_STAT: bool = true;

    fn from_reply(reply: Reply) -> Result<Self, Error> {
        let Reply::Created { path, stat } = reply else {
            return Err(Error::UnexpectedReply);
        };
        Ok((path, stat))
    }

    fn from_found(path: String, stat: Stat) -> Self {
        (path, stat)
    }

    fn path(&self) -> &str {
        &self.0
    }
}

impl<'a, T: CreateReply> Create<'a, T> {
    pub(crate) fn new(path: &'a str, data: Data<'a>) -> Self {
        Self {
            path: Cow::Borrowed(path),
            data,
            acl: Cow::Borrowed(&[]),
            lifetime: Lifetime::Persistent,
            sequential: false,
            parents: false,
            protected: false,
            named: false,
            gives: PhantomData,
        }
    }

    fn duplicate(&self) -> Self {
        Self {
            path: self.path.clone(),
            data: self.data.clone(),
            acl: self.acl.clone(),
            gives: PhantomData,
            ..*self
        }
    }

    pub(super) fn into_owned(self) -> Create<'static, T> {
        Create {
            path: Cow::Owned(self.path.into_owned()),
            data: self.data.into_owned(),
            acl: Cow::Owned(self.acl.into_owned()),
            lifetime: self.lifetime,
            sequential: self.sequential,
            parents: self.parents,
            protected: self.protected,
            named: self.named,
            gives: PhantomData,
        }
    }

    pub(super) fn is_ephemeral(&self) -> bool {
        matches!(self.lifetime, Lifetime::Ephemeral)
    }

    pub(super) fn mode(&self) -> Result<CreateMode, ModeError> {
        Ok(match (self.lifetime, self.sequential) {
            (Lifetime::Persistent, false) => CreateMode::Persistent,
            (Lifetime::Persistent, true) => CreateMode::PersistentSequential,
            (Lifetime::Ephemeral, false) => CreateMode::Ephemeral,
            (Lifetime::Ephemeral, true) => CreateMode::EphemeralSequential,
            (Lifetime::Container, false) => CreateMode::Container,
            // The flags that this would be, if servers knew it.
            (Lifetime::Container, true) => return Err(ModeError::UnknownFlags(4 | 2)),
            (Lifetime::Ttl(ttl), false) => CreateMode::PersistentWithTtl(Ttl::new(ttl)?),
            (Lifetime::Ttl(ttl), true) => CreateMode::PersistentSequentialWithTtl(Ttl::new(ttl)?),
        })
    }

    /// The node's path, normalised: a sequential one keeps a slash at its end.
    pub(super) fn parsed_path(&self) -> Result<ZnodePath<'_>, Error> {
        Ok(if self.sequential {
            ZnodePath::parse_sequential(&self.path)?
        } else {
            ZnodePath::parse(&self.path)?
        })
    }

    /// The access control list, checked; the client's default if none is given.
    pub(super) fn acl_or_default<'b>(&'b self, client: &'b Client) -> Result<&'b [Acl], Error> {
        acl_or_default(&self.acl, client)
    }
}

impl<T: CreateReply> Start for Create<'_, T> {
    type Reply = T;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<T>, Error> {
        if self.protected {
            return retry::look_if_lost(self.duplicate(), launch);
        }
        if self.parents {
            let (client, deadline) = (launch.client.clone(), launch.deadline);
            let step = steps::CreateStep::new(self, launch)?;
            return Ok(Started::Steps(Box::pin(step.run(client, deadline))));
        }
        let mode = self.mode()?;
        let path = self.parsed_path()?;
        let body = Request::Create {
            path: path.into_cow(),
            data: self.data.as_cow(),
            acl: Cow::Borrowed(self.acl_or_default(launch.client)?),
            mode: mode.into(),
            with_stat: T::WITH_STAT,
        };
        launch.request(&body, T::from_reply)
    }
}

impl<T: CreateReply> Kind for Create<'_, T> {
    type Output = T;
}

impl<'a, T: CreateReply> Op<'a, Create<'a, T>> {
    /// The node goes with the session. Of `ephemeral`, [`container`](Self::container) and
    /// [`ttl`](Self::ttl) the last counts.
    pub fn ephemeral(self) -> Self {
        self.refine(|create| create.lifetime = Lifetime::Ephemeral)
    }

    /// The server appends a number of ten digits that only grows (kazoo: `sequence=True`). A path
    /// that ends with a slash gives a name that is just the number.
    pub fn sequential(self) -> Self {
        self.refine(|create| create.sequential = true)
    }

    /// The server deletes the node some time after its last child has gone. Needs 3.5.3. Cannot be
    /// [`sequential`](Self::sequential).
    pub fn container(self) -> Self {
        self.refine(|create| create.lifetime = Lifetime::Container)
    }

    /// The server deletes the node when it has no children and was not changed for this long:
    /// from 1 ms to 2^40-1 ms. Needs 3.5.3 and `extendedTypesEnabled`.
    pub fn ttl(self, time: Duration) -> Self {
        self.refine(|create| create.lifetime = Lifetime::Ttl(time))
    }

    /// Makes missing parents first, with the same access control list and no data (kazoo:
    /// `makepath=True`). Takes several round trips if there are any.
    pub fn make_path(self) -> Self {
        self.refine(|create| create.parents = true)
    }

    /// Puts an id that nobody else has before the node's name, `_c_<uuid>-` as Curator does, so
    /// that the node is found again when the reply was lost: its real path is the result. An
    /// error's [`outcome`](Error::outcome) is then known, unless the call was given up or the
    /// client was closed. What a call that is given up, by dropping it or at its deadline, may have
    /// made is deleted in the background, and so is the node of a result that is there but dropped
    /// before anybody took it. Of a transaction it is the nodes of its protected creates; what else
    /// it did stays done.
    pub fn protected(self) -> Self {
        self.refine(|create| create.protected = true)
    }

    /// As [`protected`](Self::protected), for a name that has such an id already and stays as it
    /// is: for recipes with a layout of their own. A name that is not unique may take the node of
    /// somebody else for its own.
    pub fn unique(self) -> Self {
        self.refine(|create| {
            create.protected = true;
            create.named = true;
        })
    }

    /// The access control list of the node. Default, also for an empty list: the client's
    /// [`default_acl`](crate::Builder::default_acl).
    pub fn acl(self, acl: impl Into<Cow<'a, [Acl]>>) -> Self {
        self.refine(|create| create.acl = acl.into())
    }
}

impl<'a> Op<'a, Create<'a, String>> {
    /// Also gives the stat of the new node (kazoo: `include_data=True`). Needs 3.5.
    pub fn with_stat(self) -> Op<'a, Create<'a, (String, Stat)>> {
        self.map(|create| Create {
            path: create.path,
            data: create.data,
            acl: create.acl,
            lifetime: create.lifetime,
            sequential: create.sequential,
            parents: create.parents,
            protected: create.protected,
            named: create.named,
            gives: PhantomData,
        })
    }
}

/// [`Client::ensure_path`].
#[derive(Debug)]
pub struct EnsurePath<'a> {
    pub(super) path: Cow<'a, str>,
    pub(super) acl: Cow<'a, [Acl]>,
}

impl<'a> EnsurePath<'a> {
    pub(crate) fn new(path: &'a str) -> Self {
        Self {
            path: Cow::Borrowed(path),
            acl: Cow::Borrowed(&[]),
        }
    }
}

impl<'a> Op<'a, EnsurePath<'a>> {
    /// The access control list of the nodes that are made. Default, also for an empty list: the
    /// client's [`default_acl`](crate::Builder::default_acl).
    pub fn acl(self, acl: impl Into<Cow<'a, [Acl]>>) -> Self {
        self.refine(|ensure| ensure.acl = acl.into())
    }
}

impl Start for EnsurePath<'_> {
    type Reply = ();

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<()>, Error> {
        let path = ZnodePath::parse(&self.path)?;
        let acl = acl_or_default(&self.acl, launch.client)?.to_vec();
        let full = launch.client.chroot_ref().full(path.as_str()).into_owned();
        let steps = steps::ensure_path(launch.client.absolute(), full, acl, launch.deadline);
        Ok(Started::Steps(Box::pin(steps)))
    }
}

impl Kind for EnsurePath<'_> {
    type Output = ();
}

/// [`Client::set`]. Gives the node's new stat.
#[derive(Debug)]
pub struct SetData<'a> {
    pub(super) path: Cow<'a, str>,
    pub(super) data: Data<'a>,
    pub(super) version: i32,
}

impl<'a> SetData<'a> {
    pub(crate) fn new(path: &'a str, data: Data<'a>) -> Self {
        Self {
            path: Cow::Borrowed(path),
            data,
            version: ANY_VERSION,
        }
    }
}

impl<'a> Op<'a, SetData<'a>> {
    /// Only if the node's data has this version, else [`Error::BadVersion`]. Default any.
    pub fn version(self, version: i32) -> Self {
        self.refine(|set| set.version = version)
    }
}

impl Start for SetData<'_> {
    type Reply = Stat;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<Stat>, Error> {
        let path = ZnodePath::parse(&self.path)?.into_cow();
        let body = Request::SetData {
            path,
            data: self.data.as_cow(),
            version: self.version,
        };
        launch.request(&body, stat)
    }
}

impl Kind for SetData<'_> {
    type Output = Stat;
}

/// [`Client::set_acls`]. Gives the node's new stat.
#[derive(Debug)]
pub struct SetAcls<'a> {
    pub(super) path: Cow<'a, str>,
    pub(super) acl: Cow<'a, [Acl]>,
    pub(super) version: i32,
}

impl<'a> SetAcls<'a> {
    pub(crate) fn new(path: &'a str, acl: Cow<'a, [Acl]>) -> Self {
        Self {
            path: Cow::Borrowed(path),
            acl,
            version: ANY_VERSION,
        }
    }
}

impl<'a> Op<'a, SetAcls<'a>> {
    /// Only if the node's access control list has this version
    /// ([`Stat::acl_version`](zk_proto::Stat::acl_version)), else [`Error::BadVersion`]. Default
    /// any.
    pub fn version(self, version: i32) -> Self {
        self.refine(|set| set.version = version)
    }
}

impl Start for SetAcls<'_> {
    type Reply = Stat;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<Stat>, Error> {
        validate_acl(&self.acl)?;
        let path = ZnodePath::parse(&self.path)?.into_cow();
        let acl = Cow::Borrowed(&*self.acl);
        launch.request(
            &Request::SetAcl {
                path,
                acl,
                version: self.version,
            },
            stat,
        )
    }
}

impl Kind for SetAcls<'_> {
    type Output = Stat;
}

/// The given list, checked, or the client's default if it is empty.
fn acl_or_default<'b>(acl: &'b [Acl], client: &'b Client) -> Result<&'b [Acl], Error> {
    if acl.is_empty() {
        return Ok(client.default_acl());
    }
    validate_acl(acl)?;
    Ok(acl)
}

pub(super) fn empty(reply: Reply) -> Result<(), Error> {
    if reply == Reply::Empty {
        Ok(())
    } else {
        Err(Error::UnexpectedReply)
    }
}

fn stat(reply: Reply) -> Result<Stat, Error> {
    let Reply::Stat(stat) = reply else {
        return Err(Error::UnexpectedReply);
    };
    Ok(stat)
}
