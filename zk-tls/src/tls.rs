//! [`Tls`]: what clients are given, and how it is made anew when its files change.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use zk_proto::ServerAddr;
use zk_session::{Layer, LayerError, LayerErrorKind, LayerFactory};

use crate::builder::Options;
use crate::layer::ClientLayer;
use crate::stamp::Stamp;
use crate::{TlsBuilder, TlsError};

/// TLS for clients: give it to the builder of a client, or of several. Clones are the same.
///
/// Files are looked at when a connection begins, and read again if they have changed: a renewed
/// certificate is shown from the next connection on. What is wrong with the new ones is warned of in
/// the log once, and the old ones stay in use. See [`reload`](Self::reload) for a way to hear of it.
///
/// Sessions of TLS are resumed across connections, which saves both sides the costly part of the
/// handshake.
///
/// ```no_run
/// use zk_tls::Tls;
///
/// let tls = Tls::builder()
///     .ca_file("ca.pem")
///     .certificate_files("client.pem", "client.key")
///     .build()?;
/// # Ok::<(), zk_tls::TlsError>(())
/// ```
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    options: Options,
    /// Instead of the host that the client connects to.
    name: Option<ServerName<'static>>,
    current: Mutex<Current>,
    tally: Arc<Tally>,
}

struct Current {
    config: Arc<ClientConfig>,
    /// What the files were like when they were last read, whether they were of use or not.
    stamps: Vec<Option<Stamp>>,
}

/// How many handshakes came to a good end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Handshakes {
    /// With certificates and all.
    pub full: u64,
    /// By what was left of an earlier connection.
    pub resumed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    full: AtomicU64,
    resumed: AtomicU64,
}

impl Tally {
    pub(crate) fn count(&self, resumed: bool) {
        let counter = if resumed { &self.resumed } else { &self.full };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Tls {
    /// With the defaults: the system's authorities, the name of the host, no certificate of its own.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::new()
    }

    pub(crate) fn new(
        options: Options,
        name: Option<ServerName<'static>>,
    ) -> Result<Self, TlsError> {
        // What changes while they are read is seen as changed at the next connection.
        let stamps = options.stamps();
        let config = options.config()?;
        Ok(Self(Arc::new(Inner {
            options,
            name,
            current: Mutex::new(Current { config, stamps }),
            tally: Arc::default(),
        })))
    }

    /// Reads all files again, and asks the system for its authorities again. Connections that there
    /// are go on as they are; the next ones use what was read.
    ///
    /// # Errors
    /// As for [`TlsBuilder::build`]. What was in use before stays so.
    pub fn reload(&self) -> Result<(), TlsError> {
        let stamps = self.0.options.stamps();
        self.load(&mut self.current(), stamps)
    }

    /// How many handshakes came to a good end, with all clients that this was given to.
    pub fn handshakes(&self) -> Handshakes {
        Handshakes {
            full: self.0.tally.full.load(Ordering::Relaxed),
            resumed: self.0.tally.resumed.load(Ordering::Relaxed),
        }
    }

    fn load(&self, current: &mut Current, stamps: Vec<Option<Stamp>>) -> Result<(), TlsError> {
        current.stamps = stamps;
        current.config = self.0.options.config()?;
        Ok(())
    }

    /// For the next connection.
    fn config(&self) -> Arc<ClientConfig> {
        let mut current = self.current();
        if self.0.options.reloads() {
            let stamps = self.0.options.stamps();
            if stamps != current.stamps {
                match self.load(&mut current, stamps) {
                    Ok(()) => tracing::info!("the files for TLS have changed and are in use"),
                    Err(error) => {
                        let why = why(&error);
                        tracing::warn!(
                            %error,
                            why,
                            "the files for TLS have changed and are of no use; those before stay in use"
                        );
                    }
                }
            }
        }
        Arc::clone(&current.config)
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // Nothing is left half done: what is in there is changed as a whole.
        let current = self.0.current.lock();
        current.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The causes of an error, which its own message leaves out.
fn why(error: &TlsError) -> String {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.join(": ")
}

impl LayerFactory for Tls {
    fn layer(&self, server: &ServerAddr) -> Result<Box<dyn Layer>, LayerError> {
        let name = match &self.0.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(server.host().to_owned()).map_err(|_| {
                LayerError::of(
                    LayerErrorKind::Unusable,
                    format!(
                        "TLS: {:?} cannot be the name in a certificate: connect by another, or name one by server_name",
                        server.host()
                    ),
                )
            })?,
        };
        let layer = ClientLayer::new(self.config(), name, Arc::clone(&self.0.tally));
        match layer {
            Ok(layer) => Ok(Box::new(layer)),
            Err(error) => Err(LayerError::of(
                LayerErrorKind::Unusable,
                format!("TLS: {error}"),
            )),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("options", &self.0.options)
            .field("name", &self.0.name)
            .field("handshakes", &self.handshakes())
            .finish_non_exhaustive()
    }
}
