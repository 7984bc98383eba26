//! [`Client`]: kazoo's calls under kazoo's names.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use zk_proto::{Acl, Chroot, ServerAddr};
use zk_session::{Config, Session};

use crate::builder::Options;
use crate::ensemble;
use crate::{Builder, Core, Error, Handler, WhenFull};

mod calls;
mod life;
mod procedures;
mod state;

pub use state::SyncKeepAlive;

/// A ZooKeeper client: one session, used from anywhere, by any number of clones.
///
/// Calls give an [`Op`](crate::Op), which is refined, and then awaited, waited for, or sent. All paths are
/// below the client's root path, and so are those in results and events; a leading slash may be
/// left out.
///
/// When the last clone is dropped, the session is closed in the background;
/// [`close`](Self::close) tells when that is done, [`detach`](Self::detach) leaves the session
/// alive.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    chroot: Chroot,
    acl: Arc<[Acl]>,
}

/// What all clones and views of a client share.
struct Shared {
    core: Arc<Core>,
    options: Options,
    /// The hosts' own root path.
    chroot: Chroot,
    credentials: Arc<Credentials>,
    /// The servers, once they were changed.
    servers: Mutex<Option<Vec<ServerAddr>>>,
}

/// What `add_auth` was successful with: a restarted client presents it again.
#[derive(Default)]
pub(crate) struct Credentials(Mutex<Vec<(String, Vec<u8>)>>);

impl Credentials {
    pub(crate) fn add(&self, credential: (String, Vec<u8>)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&credential) {
            all.push(credential);
        }
    }

    fn all(&self) -> Vec<(String, Vec<u8>)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let now = self.core.handler().now();
        let limit = self.options.close_limit();
        self.core
            .enter(|inner| inner.close(None, Session::close, (now, limit)));
    }
}

/// Making clients and views of them.
impl Client {
    /// Options for a client of these hosts: kazoo's string, root path included, such as
    /// `h1:2181,h2:2182,[::1]:2183/app/a`. A malformed one is an error of
    /// [`Builder::start`] and [`Builder::connect`].
    pub fn builder(hosts: impl AsRef<str>) -> Builder {
        Builder::new(hosts.as_ref())
    }

    /// A client with the given session options, and defaults for everything else. It begins to
    /// connect in the background. [`Builder::start`] has more to choose from, and after a
    /// [`restart`](Self::restart) does not resume the same session again.
    ///
    /// # Errors
    /// [`Error::Start`] if the handler cannot drive it.
    pub fn start(handler: Arc<dyn Handler>, config: Arc<Config>) -> Result<Self, Error> {
        Self::launch(handler, Options::new(config), Chroot::ROOT)
    }

    pub(crate) fn launch(
        handler: Arc<dyn Handler>,
        options: Options,
        chroot: Chroot,
    ) -> Result<Self, Error> {
        let core = Core::new(Arc::clone(&handler), Arc::clone(options.config()));
        let acl = options.default_acl();
        let shared = Shared {
            core: Arc::clone(&core),
            options,
            chroot: chroot.clone(),
            credentials: Arc::default(),
            servers: Mutex::new(None),
        };
        let client = Self {
            shared: Arc::new(shared),
            chroot,
            acl,
        };
        if let Err(error) = handler.drive(Arc::clone(&core)) {
            core.abandon(handler.now());
            return Err(error.into());
        }
        client.track_ensemble();
        Ok(client)
    }

    /// A view whose paths are below `path`. It shares the session with this one.
    ///
    /// # Errors
    /// [`Error::Path`] if `path` is malformed.
    pub fn chroot(&self, path: &str) -> Result<Self, Error> {
        Ok(Self {
            chroot: self.chroot.join(path)?,
            ..self.clone()
        })
    }

    /// The root path of this view: empty, or such as `/app/a`.
    pub fn root_path(&self) -> &str {
        self.chroot.as_str()
    }

    /// A view whose new nodes have this access control list unless told otherwise.
    ///
    /// # Errors
    /// [`Error::Acl`] if it is malformed or empty.
    pub fn with_default_acl(&self, acl: &[Acl]) -> Result<Self, Error> {
        zk_proto::validate_acl(acl)?;
        Ok(Self {
            acl: Arc::from(acl),
            ..self.clone()
        })
    }

    /// A handle that does not keep the client open: for callbacks and background tasks, which
    /// would otherwise hold their own client for ever.
    pub fn downgrade(&self) -> WeakClient {
        WeakClient {
            shared: Arc::downgrade(&self.shared),
            chroot: self.chroot.clone(),
            acl: Arc::clone(&self.acl),
        }
    }

    /// The access control list of new nodes, unless told otherwise.
    pub fn default_acl(&self) -> &[Acl] {
        &self.acl
    }
}

impl Client {
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.shared.core
    }

    pub(crate) fn chroot_ref(&self) -> &Chroot {
        &self.chroot
    }

    /// A view without a root path.
    pub(crate) fn absolute(&self) -> Self {
        Self {
            chroot: Chroot::ROOT,
            ..self.clone()
        }
    }

    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.shared.credentials)
    }

    pub(crate) fn default_timeout(&self) -> Option<Duration> {
        self.shared.options.request_timeout()
    }

    pub(crate) fn close_limit(&self) -> Duration {
        self.shared.options.close_limit()
    }

    pub(crate) fn when_full(&self) -> WhenFull {
        self.shared.options.when_full()
    }

    /// Starts over with a new session. The driver has gone.
    pub(crate) fn renew(&self) -> Result<(), Error> {
        let Shared {
            core,
            options,
            credentials,
            servers,
            ..
        } = &*self.shared;
        let servers = servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let config = options.renewed_config(credentials.all())?;
        if !core.renew(config, servers.as_deref()) {
            // Two have restarted it at once: the other one's session is as fresh as ours.
            return Ok(());
        }
        let handler = core.handler();
        if let Err(error) = handler.drive(Arc::clone(core)) {
            core.abandon(handler.now());
            return Err(error.into());
        }
        self.track_ensemble();
        Ok(())
    }

    fn track_ensemble(&self) {
        if self.shared.options.tracks_ensemble() {
            self.spawn(ensemble::follow(self.downgrade()));
        }
    }

    pub(crate) fn config(&self) -> &Config {
        self.shared.options.config()
    }

    /// The servers that the application has named last.
    pub(crate) fn configured_servers(&self) -> Vec<ServerAddr> {
        let changed = self.shared.servers.lock();
        let changed = changed.unwrap_or_else(PoisonError::into_inner).clone();
        changed.unwrap_or_else(|| self.config().servers().to_vec())
    }
}

/// A [`Client`] that does not keep itself open.
#[derive(Clone)]
pub struct WeakClient {
    shared: Weak<Shared>,
    chroot: Chroot,
    acl: Arc<[Acl]>,
}

impl WeakClient {
    /// The client, unless its last clone was dropped.
    pub fn upgrade(&self) -> Option<Client> {
        let shared = self.shared.upgrade()?;
        let (chroot, acl) = (self.chroot.clone(), Arc::clone(&self.acl));
        Some(Client {
            shared,
            chroot,
            acl,
        })
    }
}

impl fmt::Debug for WeakClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakClient").finish_non_exhaustive()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("core", &self.shared.core)
            .field("root_path", &self.root_path())
            .finish_non_exhaustive()
    }
}
