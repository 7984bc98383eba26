//! How a run ends that does not bring what was waited for.

use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Duration;

use zk_client::Client;
use zk_sim::{Sim, SimError};

use crate::tiny::Tiny;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn when_nothing_can_happen_it_is_a_deadlock() {
    let sim = Sim::new(41);
    let a = sim.machine("a");
    let wait = async {
        a.sleep(seconds(3)).await;
        pending::<()>().await;
    };
    let error = sim.block_on(wait).unwrap_err();
    let (seed, at) = (41, seconds(3));
    assert_eq!(error, SimError::Deadlock { seed, at });
    assert!(error.to_string().starts_with("seed 41: after 3s nothing"));
    // The universe goes on all the same.
    assert_eq!(sim.block_on(async { 5 }), Ok(5));
}

#[test]
fn a_limit_ends_what_takes_too_long() {
    let mut sim = Sim::new(42);
    sim.set_limit(seconds(60));
    let server = sim.server("s1:2181", Tiny::new());
    let app = sim.machine("app");
    // Pings go on for ever.
    let error = sim.block_on(async {
        let client = Client::builder(server.hosts()).connect(app.handler()).await;
        pending::<()>().await;
        drop(client);
    });
    let (seed, at) = (42, seconds(60));
    assert_eq!(error, Err(SimError::TimeLimit { seed, at }));
}

#[test]
fn running_in_a_circle_is_found() {
    let sim = Sim::new(43);
    sim.machine("a").spawn(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    let error = sim.run_for(seconds(1)).unwrap_err();
    assert!(matches!(error, SimError::Livelock { seed: 43, at } if at.is_zero()));
}

#[test]
fn a_universe_cannot_be_run_from_within() {
    let sim = Sim::new(44);
    let inner = sim.block_on(async { sim.block_on(async {}) });
    assert_eq!(inner, Ok(Err(SimError::Nested { seed: 44 })));
    assert_eq!(sim.block_on(async { 1 }), Ok(1));
}

#[test]
fn a_logged_error_fails_the_run_with_its_time() {
    let sim = Sim::new(45);
    let a = sim.machine("a");
    let own = a.clone();
    a.spawn(async move {
        tracing::warn!("this is none");
        own.sleep(seconds(7)).await;
        tracing::error!(number = 3, "this is a bug");
    });
    let error = sim.run_for(seconds(100)).unwrap_err();
    let message = "suite::endings: this is a bug number=3".to_owned();
    let (seed, at) = (45, seconds(7));
    assert_eq!(error, SimError::ErrorLogged { seed, at, message });
    assert_eq!(sim.now(), seconds(7));
    // Told once.
    assert_eq!(sim.run_for(seconds(1)), Ok(()));
}

#[test]
fn a_callback_that_panics_fails_the_run() {
    let sim = Sim::new(46);
    let server = sim.server("s1:2181", Tiny::new());
    let app = sim.machine("app");
    let error = sim.block_on(async {
        let client = Client::builder(server.hosts())
            .connect(app.handler())
            .await
            .unwrap();
        let answer = client.get("/a").send();
        answer.on_complete(|_| panic!("as the test wants it"));
        client.sleep(seconds(60)).await
    });
    let logged = |error: &SimError| error.to_string().contains("a callback panicked");
    assert!(error.as_ref().is_err_and(logged), "{error:?}");
}

#[test]
fn errors_of_two_universes_are_not_mixed_up() {
    let (one, other) = (Sim::new(1), Sim::new(2));
    one.machine("a").spawn(async { tracing::error!("bad") });
    assert_eq!(other.run_for(seconds(1)), Ok(()));
    assert!(one.run_for(seconds(1)).is_err());
}

#[test]
fn others_hear_logs_too() {
    use std::sync::{Arc, Mutex};
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let heard = Heard::default();
    let writer = heard.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let result = tracing::subscriber::with_default(subscriber, || {
        let sim = Sim::new(47);
        sim.machine("a").spawn(async {
            tracing::info!("a state");
            tracing::error!("a bug");
        });
        sim.run_for(seconds(1))
    });
    assert!(result.is_err());
    let text = String::from_utf8(heard.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("a state") && text.contains("a bug"), "{text}");
}

#[test]
fn dropping_a_universe_ends_all_that_was_in_it() {
    let held = std::sync::Arc::new(());
    let weak = std::sync::Arc::downgrade(&held);
    let (client, machine) = {
        let sim = Sim::new(48);
        let server = sim.server("s1:2181", Tiny::new());
        let app = sim.machine("app");
        let builder = Client::builder(server.hosts());
        let client = sim
            .block_on(builder.connect(app.handler()))
            .unwrap()
            .unwrap();
        let other = client.clone();
        app.boot(move |_| {
            let other = other.clone();
            async move { other.sleep(seconds(1)).await.unwrap() }
        });
        app.spawn(async move {
            pending::<()>().await;
            drop(held);
        });
        sim.run_for(seconds(2)).unwrap();
        (client, app)
    };
    assert!(weak.upgrade().is_none());
    let mut pending = client.get("/a").send();
    assert!(matches!(pending.try_take(), Some(Err(_))));
    assert!(!machine.is_up());
}
