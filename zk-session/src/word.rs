//! [`FourLetterWord`]: a question to a server that needs no session, and its answer.
//!
//! | state | left by |
//! |---|---|
//! | connecting | `handle_connected` |
//! | asking | the end of the handshake of the [`Layer`](crate::Layer), if there is one |
//! | listening | the end of the connection, which is the end of the answer |
//! | over | never |
//!
//! Any state is left for the last one when something fails.

use std::io::ErrorKind;

use zk_proto::ServerAddr;

use crate::link::{Security, stranger};
use crate::{LayerFactory, LinkError};

/// A four-letter word such as `ruok`, asked on a connection of its own, without the I/O: whoever
/// has a socket tells what happened there and writes what is to be sent. The security layer of the
/// client, if it has one, is in it.
///
/// ```text
/// connect to word.server(); word.handle_connected()
/// loop {
///     word.poll_transmit(&mut out); write `out`
///     if let Some(answer) = word.take_answer() { break answer }
///     read; word.handle_data(bytes), or word.handle_disconnected(why)
/// }
/// ```
///
/// How long all of that may take is for whoever drives it to say.
pub struct FourLetterWord {
    server: ServerAddr,
    word: [u8; 4],
    is_up: bool,
    is_asked: bool,
    security: Option<Security>,
    answer: Vec<u8>,
    end: Option<Result<(), LinkError>>,
}

impl FourLetterWord {
    /// The longest answer that is taken, in bytes.
    pub const MAX_ANSWER: usize = 16 << 20;

    /// A word for `server`, through a layer where one is given.
    ///
    /// # Errors
    /// [`LinkError::Layer`] if there is no layer to be had for that server.
    pub fn new(
        word: [u8; 4],
        server: ServerAddr,
        layer: Option<&dyn LayerFactory>,
    ) -> Result<Self, LinkError> {
        let layer = layer.map(|factory| factory.layer(&server)).transpose();
        Ok(Self {
            security: layer.map_err(LinkError::Layer)?.map(Security::new),
            server,
            word,
            is_up: false,
            is_asked: false,
            answer: Vec::new(),
            end: None,
        })
    }

    /// Whom it is for.
    pub fn server(&self) -> &ServerAddr {
        &self.server
    }

    /// The transport is up.
    pub fn handle_connected(&mut self) {
        if std::mem::replace(&mut self.is_up, true) {
            return;
        }
        if let Some(security) = &mut self.security {
            security.start();
        }
    }

    /// Bytes have arrived.
    pub fn handle_data(&mut self, data: &[u8]) {
        if self.end.is_some() {
            return;
        }
        let failure = match &mut self.security {
            None => {
                self.answer.extend_from_slice(data);
                None
            }
            Some(security) => {
                let (plain, failure) = security.decode(data);
                self.answer.extend_from_slice(plain);
                failure.map(LinkError::Layer)
            }
        };
        if let Some(error) = failure {
            self.end = Some(Err(error));
        } else if self.answer.len() > Self::MAX_ANSWER {
            self.end = Some(Err(LinkError::Io(ErrorKind::InvalidData)));
        }
    }

    /// The connection has ended, or could not be made: as for
    /// [`Session::handle_disconnected`](crate::Session::handle_disconnected).
    pub fn handle_disconnected(&mut self, why: ErrorKind) {
        if self.end.is_some() {
            return;
        }
        let is_closed = self.is_up && why != ErrorKind::TimedOut;
        let security = self.security.as_ref().filter(|_| is_closed);
        let is_over = self.is_up && why == ErrorKind::UnexpectedEof;
        let known = self.security.is_none().then(|| stranger(&self.answer));
        self.end = Some(if let Some(error) = security.and_then(Security::closed) {
            Err(LinkError::Layer(error))
        } else if let Some(stranger) = known.flatten() {
            Err(LinkError::NotZooKeeper(stranger))
        } else if is_over {
            Ok(())
        } else {
            Err(LinkError::Io(why))
        });
    }

    /// Appends what is to be sent, and tells how many bytes. Also after a failure: the layer may
    /// want the server to know of it.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> usize {
        let before = out.len();
        if !self.is_up {
            return 0;
        }
        match &mut self.security {
            None if !self.is_asked => {
                self.is_asked = true;
                out.extend_from_slice(&self.word);
            }
            None => {}
            Some(security) => {
                security.flush(out);
                if security.is_established() && !std::mem::replace(&mut self.is_asked, true) {
                    security.plain().extend_from_slice(&self.word);
                    if let Err(error) = security.encode(out) {
                        self.end.get_or_insert(Err(LinkError::Layer(error)));
                    }
                }
            }
        }
        out.len() - before
    }

    /// The answer, whatever it is, once it is whole; or why there is none. It is taken once.
    pub fn take_answer(&mut self) -> Option<Result<String, LinkError>> {
        let end = self.end.clone()?;
        let answer = std::mem::take(&mut self.answer);
        Some(end.map(|()| {
            String::from_utf8(answer)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        }))
    }

    /// What has come so far; `None` after a failure.
    pub(crate) fn heard(&self) -> Option<&[u8]> {
        let failed = matches!(self.end, Some(Err(_)));
        (!failed).then_some(&self.answer)
    }

    /// The connection is being dropped: what is to be said last.
    pub(crate) fn last_words(&mut self) -> Vec<u8> {
        let security = self.security.take().filter(|_| self.is_up);
        security.map(Security::last_words).unwrap_or_default()
    }
}

impl std::fmt::Debug for FourLetterWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FourLetterWord")
            .field("word", &String::from_utf8_lossy(&self.word))
            .field("server", &self.server)
            .field("is_layered", &self.security.is_some())
            .finish_non_exhaustive()
    }
}
