//! The calls, under kazoo's names.

use std::borrow::Cow;
use std::sync::PoisonError;

use zk_proto::{Acl, IntoData, WatcherType, parse_hosts};

use crate::op::{
    AddAuth, AddWatch, CheckWatches, CountAll, Create, Delete, EnsurePath, Exists, GetAcls,
    GetChildren, GetConfig, GetData, GetEphemerals, MultiRead, Op, Read, Reconfig, SetAcls,
    SetData, Sync, WhoAmI,
};
use crate::{Client, Error};

/// Reading.
impl Client {
    /// The node's stat, or `None` if there is no such node.
    /// With [`watched`](Op::watched) it also tells when the node is created, changed or deleted.
    pub fn exists<'a>(&'a self, path: &'a str) -> Op<'a, Read<'a, Exists>> {
        Op::new(self, Read::new(path))
    }

    /// The node's data and stat. With [`watched`](Op::watched) it also tells when the node is
    /// changed or deleted.
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::NoAuth`]; a watch is not set then.
    pub fn get<'a>(&'a self, path: &'a str) -> Op<'a, Read<'a, GetData>> {
        Op::new(self, Read::new(path))
    }

    /// The names of the node's children, in no particular order. With [`watched`](Op::watched) it
    /// also tells when a child comes or goes, or the node is deleted.
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::NoAuth`]; a watch is not set then.
    pub fn get_children<'a>(&'a self, path: &'a str) -> Op<'a, Read<'a, GetChildren>> {
        Op::new(self, Read::new(path))
    }

    /// The node's access control list and stat.
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::NoAuth`].
    pub fn get_acls<'a>(&'a self, path: &'a str) -> Op<'a, Read<'a, GetAcls>> {
        Op::new(self, Read::new(path))
    }

    /// The paths of this session's ephemeral nodes that begin with `prefix`. Needs 3.6.
    pub fn get_ephemerals<'a>(&'a self, prefix: &'a str) -> Op<'a, Read<'a, GetEphemerals>> {
        Op::new(self, Read::new(prefix))
    }

    /// How many nodes are below the node, at any depth. Needs 3.6.
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::NoAuth`].
    pub fn get_all_children_number<'a>(&'a self, path: &'a str) -> Op<'a, Read<'a, CountAll>> {
        Op::new(self, Read::new(path))
    }

    /// The ensemble's configuration, from `/zookeeper/config` whatever the root path is; see
    /// [`EnsembleConfig::parse`](zk_proto::EnsembleConfig::parse). Needs 3.5.
    pub fn get_config(&self) -> Op<'_, Read<'_, GetConfig>> {
        Op::new(self, Read::new("/zookeeper/config"))
    }

    /// Several reads of one state in one request. Needs 3.6. A read that fails is an
    /// [error](zk_proto::ReadResult::Error) among the results.
    pub fn multi_read(&self) -> Op<'_, MultiRead<'_>> {
        Op::new(self, MultiRead::default())
    }
}

/// Writing.
impl Client {
    /// Makes a node and gives its path. See [`Op::ephemeral`], [`Op::sequential`],
    /// [`Op::make_path`] and their neighbours.
    ///
    /// # Errors
    /// [`Error::NodeExists`], [`Error::NoNode`] without a parent,
    /// [`Error::NoChildrenForEphemerals`], [`Error::NoAuth`], [`Error::Acl`],
    /// [`Error::InvalidAcl`], [`Error::Mode`].
    pub fn create<'a>(&'a self, path: &'a str, data: impl IntoData<'a>) -> Op<'a, Create<'a>> {
        Op::new(self, Create::new(path, data.into_data()))
    }

    /// Makes the node and its parents if they do not exist, without data. With `/`, the root path
    /// itself.
    ///
    /// # Errors
    /// [`Error::NoAuth`], [`Error::NoChildrenForEphemerals`].
    pub fn ensure_path<'a>(&'a self, path: &'a str) -> Op<'a, EnsurePath<'a>> {
        Op::new(self, EnsurePath::new(path))
    }

    /// Replaces the node's data and gives its new stat. See [`Op::version`].
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::BadVersion`], [`Error::NoAuth`].
    pub fn set<'a>(&'a self, path: &'a str, data: impl IntoData<'a>) -> Op<'a, SetData<'a>> {
        Op::new(self, SetData::new(path, data.into_data()))
    }

    /// Replaces the node's access control list and gives its new stat. See [`Op::version`].
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::BadVersion`], [`Error::NoAuth`], [`Error::Acl`],
    /// [`Error::InvalidAcl`].
    pub fn set_acls<'a>(
        &'a self,
        path: &'a str,
        acls: impl Into<Cow<'a, [Acl]>>,
    ) -> Op<'a, SetAcls<'a>> {
        Op::new(self, SetAcls::new(path, acls.into()))
    }

    /// Deletes the node. See [`Op::version`].
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::BadVersion`], [`Error::NotEmpty`], [`Error::NoAuth`].
    pub fn delete<'a>(&'a self, path: &'a str) -> Op<'a, Delete<'a>> {
        Op::new(self, Delete::new(path))
    }

    /// Lets the connected server catch up with its leader, and gives the path. Works for paths
    /// that do not exist.
    pub fn sync<'a>(&'a self, path: &'a str) -> Op<'a, Sync<'a>> {
        Op::new(self, Sync::new(path))
    }
}

/// Watching.
impl Client {
    /// Sets a persistent watch. See [`Op::recursive`]. Needs 3.6.
    pub fn add_watch<'a>(&'a self, path: &'a str) -> Op<'a, AddWatch<'a>> {
        Op::new(self, AddWatch::new(path))
    }

    /// Asks the server whether this session has such a watch there. Watches are removed by
    /// dropping their handles.
    ///
    /// # Errors
    /// [`Error::NoWatcher`] if it has none.
    pub fn check_watches<'a>(
        &'a self,
        path: &'a str,
        kind: WatcherType,
    ) -> Op<'a, CheckWatches<'a>> {
        Op::new(self, CheckWatches::new(path, kind))
    }
}

/// Credentials and the ensemble.
impl Client {
    /// Presents a credential, such as `digest` with `user:password`, now and on every later
    /// connection. A refused one changes nothing and is not presented again.
    ///
    /// # Errors
    /// [`Error::AuthFailed`]
    pub fn add_auth<'a>(
        &'a self,
        scheme: &'a str,
        credential: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Op<'a, AddAuth<'a>> {
        Op::new(self, AddAuth::new(scheme, credential.as_ref()))
    }

    /// The identities that the server knows this session by. Needs 3.7.
    pub fn who_am_i(&self) -> Op<'_, WhoAmI> {
        Op::new(self, WhoAmI)
    }

    /// Changes the ensemble and gives its new configuration. See [`Op::joining`] and its
    /// neighbours. Needs 3.5.
    ///
    /// # Errors
    /// [`Error::NoAuth`], [`Error::ReconfigDisabled`], [`Error::ReconfigInProgress`],
    /// [`Error::NewConfigNoQuorum`], [`Error::BadVersion`], [`Error::BadArguments`].
    pub fn reconfig(&self) -> Op<'_, Reconfig<'_>> {
        Op::new(self, Reconfig::new())
    }

    /// Changes the servers to connect to. The session stays; the connection moves if its server is
    /// no longer on the list, or to spread clients over new ones.
    ///
    /// # Errors
    /// [`Error::Hosts`]; [`Error::ChrootChanged`] if `hosts` has another root path than the client
    /// was made with. It may be left out.
    pub fn set_hosts(&self, hosts: &str) -> Result<(), Error> {
        let (servers, chroot) = parse_hosts(hosts)?;
        if !chroot.is_root() && chroot != self.shared.chroot {
            return Err(Error::ChrootChanged);
        }
        let now = self.now();
        self.core().enter(|inner| {
            inner.session.set_servers(now, &servers);
            inner.loop_has_work();
        });
        *self
            .shared
            .servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(servers);
        Ok(())
    }
}
