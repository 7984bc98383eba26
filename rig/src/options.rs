//! Options of a session, security layers included.

use std::sync::Arc;
use std::time::Duration;

use zk_proto::{Password, ServerAddr, SessionId};
use zk_session::{
    BackoffPolicy, Challenge, Config, GiveUp, Layer, LayerError, LayerFactory, Mechanism,
    MechanismFactory, SaslError, Step,
};

use crate::world::{MASK, server};

#[derive(Clone, Debug)]
pub struct Options {
    /// How many servers are named.
    pub members: usize,
    /// The session timeout to ask for, in milliseconds.
    pub timeout: u64,
    pub resume: bool,
    /// So many credentials.
    pub auth: usize,
    pub read_only: bool,
    pub tries: Option<u32>,
    pub connect_timeout: Option<Duration>,
    pub give_up: Option<Duration>,
    pub max_queued: (usize, usize),
    pub max_request: usize,
    pub max_reply: usize,
    pub chunk: usize,
    pub max_events: usize,
    /// Behind a security layer.
    pub layered: bool,
    /// With SASL; `true` if tokens take I/O.
    pub mechanism: Option<bool>,
    pub seed: u8,
}

impl Options {
    /// Nothing special, but that read-only servers will do.
    pub fn read_only(members: usize) -> Self {
        Self {
            members,
            timeout: 4000,
            resume: false,
            auth: 0,
            read_only: true,
            tries: None,
            connect_timeout: None,
            give_up: None,
            max_queued: (100, 10_000),
            max_request: 10_000,
            max_reply: 10_000,
            chunk: 65_536,
            max_events: 1000,
            layered: false,
            mechanism: None,
            seed: 0,
        }
    }

    pub fn build(&self) -> Arc<Config> {
        let servers: Vec<ServerAddr> = (0..self.members).map(server).collect();
        let mut builder = Config::builder(servers);
        builder
            .session_timeout(Duration::from_millis(self.timeout))
            .read_only(self.read_only)
            .clock_margin(Duration::ZERO)
            .max_queued(self.max_queued.0, self.max_queued.1)
            .max_request_bytes(self.max_request)
            .max_reply_bytes(self.max_reply)
            .transmit_chunk(self.chunk)
            .max_events(self.max_events);
        if self.resume {
            builder.resume(SessionId(77), Password::from([7; 16]));
        }
        for n in 0..self.auth {
            builder.auth("digest", format!("user{n}:secret"));
        }
        if let Some(tries) = self.tries {
            builder.reconnect(BackoffPolicy::default().max_tries(tries));
        }
        if let Some(timeout) = self.connect_timeout {
            builder.connect_timeout(timeout);
        }
        if let Some(after) = self.give_up {
            builder.give_up(GiveUp::After(after));
        }
        if self.layered {
            builder.layer(Arc::new(Masking));
        }
        if let Some(later) = self.mechanism {
            builder.mechanism(Arc::new(Asking { later }));
        }
        builder.build().expect("these options are sound")
    }
}

#[derive(Debug)]
struct Masking;

impl LayerFactory for Masking {
    fn layer(&self, _: &ServerAddr) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(Self))
    }
}

impl Layer for Masking {
    fn is_established(&self) -> bool {
        true
    }

    fn flush(&mut self, _: &mut Vec<u8>) {}

    fn decode(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        _: &mut Vec<u8>,
    ) -> Result<(), LayerError> {
        plain.extend(wire.iter().map(|b| b ^ MASK));
        Ok(())
    }

    fn encode(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), LayerError> {
        wire.extend(plain.iter().map(|b| b ^ MASK));
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Asking {
    later: bool,
}

impl MechanismFactory for Asking {
    fn mechanism(&self, _: &ServerAddr, _: [u8; 16]) -> Box<dyn Mechanism> {
        Box::new(self.clone())
    }
}

impl Mechanism for Asking {
    fn step(&mut self, challenge: Challenge<'_>) -> Result<Step, SaslError> {
        Ok(match challenge {
            Challenge::Initial if self.later => Step::Later,
            Challenge::Initial => Step::Send(b"now".to_vec()),
            Challenge::Token(_) | Challenge::Null => Step::Done,
        })
    }
}
