//! Options of a session, with a security layer and a mechanism that can fail.

use std::sync::Arc;
use std::time::Duration;

use zk_proto::{Password, ServerAddr, SessionId};
use zk_rig::world::server;
use zk_session::{
    BackoffPolicy, Challenge, Config, GiveUp, Layer, LayerError, LayerFactory, Mechanism,
    MechanismFactory, SaslError, Step,
};

use super::MAX_REPLY;
use crate::cursor::Cursor;

/// Two bytes of flags.
pub(super) fn config(cursor: &mut Cursor<'_>) -> Arc<Config> {
    let flags = cursor.short();
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let mut config = Config::builder((0..2).map(server).collect());
    config
        .session_timeout(Duration::from_millis(6000))
        .clock_margin(Duration::ZERO)
        .max_queued(1000, 100_000)
        .max_request_bytes(10_000)
        .max_reply_bytes(if flag(12) { 40 } else { MAX_REPLY })
        .transmit_chunk(if flag(13) { 30 } else { 65_536 })
        .max_events(if flag(14) { 2 } else { 1000 })
        .read_only(flag(10));
    if flag(8) {
        config.resume(SessionId(77), Password::from([7; 16]));
    }
    if flag(9) {
        config.auth("digest", "user:secret");
    }
    if flag(11) {
        config.reconnect(BackoffPolicy::default().max_tries(3));
    }
    if flag(15) {
        let (later, long) = (flag(8), flag(4));
        config.mechanism(Arc::new(Asking { later, long }));
    }
    if flag(0) {
        let (late, refuses) = (flag(1), flag(2));
        config.layer(Arc::new(Fussy { late, refuses }));
    }
    if flag(3) {
        config.give_up(GiveUp::Never);
    }
    if flag(5) {
        config.connect_timeout(Duration::from_millis(700));
    }
    config.build().expect("these options are sound")
}

/// A layer that changes nothing, but does not take everything.
#[derive(Clone, Debug)]
struct Fussy {
    /// It is established by the first byte that arrives, which it keeps.
    late: bool,
    /// It fails before there is anything to connect to.
    refuses: bool,
}

/// What the layer cannot bear, in either direction.
const WRONG: u8 = b'!';

impl LayerFactory for Fussy {
    fn layer(&self, server: &ServerAddr) -> Result<Box<dyn Layer>, LayerError> {
        if self.refuses && server.host() == "h1" {
            return Err(LayerError::new("no certificate"));
        }
        Ok(Box::new(self.clone()))
    }
}

impl Layer for Fussy {
    fn is_established(&self) -> bool {
        !self.late
    }

    fn flush(&mut self, wire: &mut Vec<u8>) {
        if self.late {
            // An alert, so that there is something to flush.
            wire.push(0);
        }
    }

    fn decode(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        _: &mut Vec<u8>,
    ) -> Result<(), LayerError> {
        if wire.contains(&WRONG) {
            return Err(LayerError::new("not authentic"));
        }
        let kept = usize::from(std::mem::take(&mut self.late));
        plain.extend_from_slice(wire.get(kept..).unwrap_or_default());
        Ok(())
    }

    fn encode(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), LayerError> {
        if plain.contains(&WRONG) {
            return Err(LayerError::new("cannot be sealed"));
        }
        wire.extend_from_slice(plain);
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Asking {
    later: bool,
    /// It goes on until it is told nothing.
    long: bool,
}

impl MechanismFactory for Asking {
    fn mechanism(&self, _: &ServerAddr, _: [u8; 16]) -> Box<dyn Mechanism> {
        Box::new(self.clone())
    }
}

impl Mechanism for Asking {
    fn step(&mut self, challenge: Challenge<'_>) -> Result<Step, SaslError> {
        Ok(match challenge {
            Challenge::Token(b"no") => return Err(SaslError::new("not who it should be")),
            Challenge::Initial | Challenge::Token(_) if self.later && self.long => Step::Later,
            Challenge::Initial if self.later => Step::Later,
            Challenge::Initial => Step::Send(b"now".to_vec()),
            Challenge::Token(_) if self.long => Step::Send(b"and".to_vec()),
            Challenge::Token(_) | Challenge::Null => Step::Done,
        })
    }
}
