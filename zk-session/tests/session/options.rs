//! Options: what is refused, what is kept, and what is never shown.

use std::collections::BTreeSet;
use std::time::Duration;

use zk_proto::{Password, ServerAddr, SessionId};
use zk_session::{Backoff, BackoffPolicy, Config, ConfigBuilder, ConfigError, Rng};

use crate::rig::Rig;
use crate::rig::expect::get;

fn builder() -> ConfigBuilder {
    Config::builder(vec![ServerAddr::new("one", 2181)])
}

fn refused(refine: impl Fn(&mut ConfigBuilder) -> &mut ConfigBuilder) -> Option<ConfigError> {
    refine(&mut builder()).build().err()
}

#[test]
fn what_cannot_work_is_refused_before_anything_starts() {
    let ms = Duration::from_millis;
    let none = ConfigBuilder::new(Vec::new()).build().err();
    assert_eq!(none, Some(ConfigError::NoServers));
    let longest = ms(i32::MAX as u64);
    for timeout in [Duration::ZERO, Duration::from_micros(999), longest + ms(1)] {
        let error = refused(|c| c.session_timeout(timeout));
        assert_eq!(error, Some(ConfigError::SessionTimeout(timeout)));
    }
    for timeout in [ms(1), longest] {
        assert_eq!(refused(|c| c.session_timeout(timeout)), None);
    }
    let no_id = refused(|c| c.resume(SessionId::NONE, Password::EMPTY));
    assert_eq!(no_id, Some(ConfigError::ResumeNothing));
    for policy in [
        BackoffPolicy::new().max_tries(0),
        BackoffPolicy::new().factor(0.99),
        BackoffPolicy::new().factor(f64::NAN),
        BackoffPolicy::new().factor(f64::INFINITY),
        BackoffPolicy::new().jitter(-0.1),
        BackoffPolicy::new().jitter(1.1),
        BackoffPolicy::new().jitter(f64::NAN),
    ] {
        let shown = format!("{policy:?}");
        let error = refused(|c| c.reconnect(policy.clone()));
        assert_eq!(error, Some(ConfigError::Backoff), "{shown}");
    }
}

#[test]
fn bounds_are_neither_nothing_nor_more_than_a_frame_can_say() {
    type Refine = fn(&mut ConfigBuilder, usize) -> &mut ConfigBuilder;
    let bounds: [(&str, Refine); 6] = [
        ("max_queued", |c, n| c.max_queued(n, 1)),
        ("max_queued", |c, n| c.max_queued(1, n)),
        ("max_request_bytes", ConfigBuilder::max_request_bytes),
        ("max_reply_bytes", ConfigBuilder::max_reply_bytes),
        ("transmit_chunk", ConfigBuilder::transmit_chunk),
        ("max_events", ConfigBuilder::max_events),
    ];
    let most = i32::MAX as usize;
    for (name, set) in bounds {
        let refused = |value| refused(|c| set(c, value));
        assert_eq!(refused(0), Some(ConfigError::Zero(name)));
        assert_eq!(refused(1), None, "{name}");
        assert_eq!(refused(most), None, "{name}");
        let is_length = name.ends_with("bytes");
        let error = is_length.then_some(ConfigError::TooLarge(name));
        assert_eq!(refused(most + 1), error);
    }
    let error = refused(|c| c.connect_timeout(Duration::ZERO));
    assert_eq!(error, Some(ConfigError::Zero("connect_timeout")));
}

#[test]
fn options_can_be_taken_up_again_and_show_no_secret() {
    let mut first = builder();
    first
        .session_timeout(Duration::from_secs(7))
        .auth("digest", "bob:hunter2")
        .resume(SessionId(0x1234), Password::from([0xab; 16]))
        .max_request_bytes(4711)
        .transmit_chunk(42);
    let config = first.build().unwrap();
    let again = config.to_builder().build().unwrap();
    for config in [&config, &again] {
        assert_eq!(config.servers(), [ServerAddr::new("one", 2181)]);
        assert_eq!(config.session_timeout(), Duration::from_secs(7));
        assert_eq!(config.max_request_bytes(), 4711);
        assert_eq!(config.transmit_chunk(), 42);
        assert!(!config.is_layered());
        let shown = format!("{config:?} {first:?}");
        assert!(
            shown.contains("digest") && shown.contains("1234"),
            "{shown}"
        );
        for secret in ["hunter2", "bob", "171", "abab"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
    let mut other = config.to_builder();
    other.servers(vec![ServerAddr::new("two", 1), ServerAddr::new("three", 2)]);
    assert_eq!(other.build().unwrap().servers().len(), 2);
    assert_eq!(config.servers().len(), 1, "which is another one");
}

#[test]
fn no_pause_is_longer_than_the_cap_and_pauses_still_differ() {
    let (cap, delay) = (Duration::from_millis(250), Duration::from_secs(5));
    for jitter in [0.0, 0.4, 1.0] {
        let policy = BackoffPolicy::new().delay(delay).jitter(jitter);
        let mut backoff = Backoff::new(policy);
        let mut rng = Rng::new([9; 32]);
        let pauses: BTreeSet<_> = (0..200).map(|_| backoff.pause(&mut rng, cap)).collect();
        let longest = pauses.last().copied().unwrap_or_default();
        assert!(longest <= cap, "{longest:?} with {jitter}");
        assert!(longest > cap * 9 / 10, "{longest:?} with {jitter}");
        // Clients that are all held back must not come all at once.
        let few = if jitter == 0.0 { 1 } else { 150 };
        assert!(pauses.len() >= few, "{} with {jitter}", pauses.len());
    }
}

#[test]
fn a_success_starts_the_count_again_and_a_reset_the_pauses() {
    let policy = BackoffPolicy::new().max_tries(3).jitter(0.0);
    let (mut backoff, mut rng) = (Backoff::new(policy), Rng::new([1; 32]));
    let mut fail = |backoff: &mut Backoff| {
        let wait = backoff.after_failure(&mut rng, Duration::ZERO, Duration::MAX);
        wait.map(|wait| wait.as_millis())
    };
    assert_eq!((fail(&mut backoff), backoff.failures()), (Some(100), 1));
    assert_eq!((fail(&mut backoff), backoff.failures()), (Some(200), 2));
    assert_eq!((fail(&mut backoff), backoff.failures()), (None, 3));
    backoff.succeeded();
    assert_eq!((fail(&mut backoff), backoff.failures()), (Some(400), 1));
    backoff.reset();
    assert_eq!((fail(&mut backoff), backoff.failures()), (Some(100), 1));
}

#[test]
fn ids_are_told_apart_in_logs() {
    let mut rig = Rig::new();
    let (one, two) = (rig.submit(&get("/a")), rig.submit(&get("/b")));
    assert_eq!((one.as_u64(), two.as_u64()), (1, 2));
    assert_eq!(format!("{one} {two:?}"), "req-1 req-2");
    let conn = rig.attempt();
    assert_eq!(format!("{conn} {conn:?}"), "conn-1 conn-1");
}
