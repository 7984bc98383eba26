//! Random options of a session.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use zk_proto::{Password, ServerAddr, SessionId};
use zk_session::{
    BackoffPolicy, Challenge, Config, GiveUp, Layer, LayerError, LayerFactory, Mechanism,
    MechanismFactory, SaslError, Step,
};

use crate::rig::{MASK, server};

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) members: usize,
    timeout: u64,
    resume: bool,
    auth: usize,
    read_only: bool,
    tries: Option<u32>,
    connect_timeout: Option<Duration>,
    give_up: Option<Duration>,
    max_queued: (usize, usize),
    max_request: usize,
    max_reply: usize,
    chunk: usize,
    max_events: usize,
    pub(crate) layered: bool,
    mechanism: Option<bool>,
    pub(crate) seed: u8,
}

pub(crate) fn options() -> impl Strategy<Value = Options> {
    let rare = |p: f64| prop::bool::weighted(p);
    let security = (
        rare(0.1),
        prop::option::weighted(0.15, any::<bool>()),
        any::<u8>(),
    );
    let first = (
        1..4usize,
        prop_oneof![Just(4000u64), Just(6000), Just(40_000), 1..100_000u64],
        rare(0.1),
        0..3usize,
        any::<bool>(),
        prop::option::weighted(0.1, 1..6u32),
        prop::option::weighted(0.2, duration()),
        prop::option::weighted(0.3, duration()),
    );
    let bounds = (
        (1..40usize, 100..4000usize),
        prop_oneof![Just(1_048_575usize), 40..200usize],
        prop_oneof![Just(64usize << 20), 20..200usize],
        prop_oneof![Just(65_536usize), 1..200usize],
        prop_oneof![Just(16_384usize), 1..20usize],
    );
    (first, bounds, security).prop_map(|(first, bounds, security)| Options {
        members: first.0,
        timeout: first.1,
        resume: first.2,
        auth: first.3,
        read_only: first.4,
        tries: first.5,
        connect_timeout: first.6,
        give_up: first.7,
        max_queued: bounds.0,
        max_request: bounds.1,
        max_reply: bounds.2,
        chunk: bounds.3,
        max_events: bounds.4,
        layered: security.0,
        mechanism: security.1,
        seed: security.2,
    })
}

/// From nothing much to for ever.
pub(crate) fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        8 => (1..20_000u64).prop_map(Duration::from_millis),
        1 => Just(Duration::from_secs(1 << 40)),
        1 => Just(Duration::MAX),
    ]
}

/// A config for those who look at watches, which sends about so much at once.
pub(crate) fn plain(chunk: usize) -> Arc<Config> {
    Config::builder((0..2).map(server).collect())
        .transmit_chunk(chunk)
        .build()
        .expect("these options are sound")
}

impl Options {
    /// Nothing special, but that read-only servers will do.
    pub(crate) fn read_only(members: usize) -> Self {
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

    pub(crate) fn build(&self) -> Arc<Config> {
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
