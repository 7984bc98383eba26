//! Faults of the past, each with a test of its name.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use zk_proto::{Chroot, Request, ServerAddr};
use zk_session::{Call, Config, Event, Session};

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

/// A request is invariant in its lifetime. A call that wanted it to be that of the borrow could not
/// take what a function returns.
#[test]
fn a_request_may_outlive_its_call() {
    fn made_elsewhere() -> Request<'static> {
        Request::WhoAmI
    }
    let mut session = Session::new(config(), [1; 32], start());
    let (request, chroot) = (made_elsewhere(), Chroot::default());
    let submitted = session.submit(start(), Call::new(&request, &chroot));
    assert!(submitted.is_ok());
}
