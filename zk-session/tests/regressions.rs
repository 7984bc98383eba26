//! Faults of the past, each with a test of its name.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use zk_proto::ServerAddr;
use zk_session::{Config, Event, Session};

/// An anchor: nothing depends on its value.
fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an anchor")]
    fn now() -> Instant {
        Instant::now()
    }
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(now)
}

fn config() -> Arc<Config> {
    Config::builder(vec![ServerAddr::new("h", 2181)])
        .build()
        .expect("a sound config")
}

/// It never fired, so that whoever slept in a client that was just closed slept for ever.
#[test]
fn a_timer_set_after_the_end_fires() {
    let mut session = Session::new(config(), [1; 32], start());
    session.close(start(), Duration::ZERO);
    let timer = session.set_timer(start() + Duration::from_secs(1));
    let mut fired = false;
    while session.poll_action().is_some() {}
    while let Some(event) = session.poll_event() {
        fired |= event == Event::Timer { id: timer };
    }
    assert!(fired);
    assert!(session.is_finished());
}
