//! `NonBlockingLease`, `MultiNonBlockingLease`.
//!
//! Clocks are real here, and nobody waits for them: a lease for no time at all has ended at once.

use std::time::Duration;

use zk::recipes::lease::Lease;
use zk::recipes::{MultiNonBlockingLease, NonBlockingLease};
use zk::{Client, Error, RecipeError};

use crate::support::{Env, LIMIT, expire_session, lose_connection};

const HOUR: Duration = Duration::from_secs(3600);

fn obtain(client: &Client, who: &str, duration: Duration) -> Option<Lease> {
    let lease = NonBlockingLease::new(client, "/leases/one", duration).identifier(who);
    lease.obtain().wait_timeout(LIMIT).unwrap()
}

fn obtain_one_of(count: usize, client: &Client, who: &str, duration: Duration) -> Option<Lease> {
    let leases = MultiNonBlockingLease::new(client, count, "/leases", duration);
    leases.identifier(who).obtain().wait_timeout(LIMIT).unwrap()
}

pub(crate) fn a_lease_is_renewed_and_taken_over(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let short = obtain(&client, "one", HOUR).unwrap();
    assert!(short.is_valid());
    assert!(obtain(&other, "other", HOUR).is_none());
    let long = obtain(&client, "one", 2 * HOUR).unwrap();
    assert!(long.end() > short.end());
    assert!(obtain(&other, "other", HOUR).is_none());
    // Whoever renews it for no time gives it up.
    let over = obtain(&client, "one", Duration::ZERO).unwrap();
    assert!(!over.is_valid());
    assert!(obtain(&other, "other", HOUR).is_some());
    assert!(obtain(&other, "other", 2 * HOUR).is_some());
    assert!(obtain(&client, "one", HOUR).is_none());
    // Nothing but the record is left.
    let names = client.get_children("/leases/one").synced().wait().unwrap();
    assert_eq!(names.iter().collect::<Vec<_>>(), ["lease_holder"]);
}

pub(crate) fn a_record_of_another_version_is_left_alone(env: &Env) {
    let client = env.client();
    let path = "/leases/one/lease_holder";
    let record = r#"{"version": 2, "holder": "one", "end": "1999-12-31T23:59:59"}"#;
    client.create(path, record).make_path().wait().unwrap();
    assert!(obtain(&client, "one", HOUR).is_none());
    assert_eq!(client.get(path).wait().unwrap().0, *record.as_bytes());
    // The same of a version that is known is over.
    let record = record.replace("\"version\": 2", "\"version\": 1");
    client.set(path, record).wait().unwrap();
    assert!(obtain(&client, "other", HOUR).is_some());
    let (data, stat) = client.get(path).wait().unwrap();
    let text = String::from_utf8(data.to_vec()).unwrap();
    assert!(text.starts_with(r#"{"version": 1, "holder": "other", "end": "2"#));
    assert_eq!(stat.ephemeral_owner.0, 0);
    client.set(path, "something else").wait().unwrap();
    let lease = NonBlockingLease::new(&client, "/leases/one", HOUR);
    let error = lease.obtain().wait_timeout(LIMIT).unwrap_err();
    assert!(
        matches!(error, Error::Recipe(RecipeError::NotUnderstood { .. })),
        "{error:?}"
    );
}

pub(crate) fn several_leases_are_for_several(env: &Env) {
    let client = env.client();
    assert!(obtain_one_of(1, &client, "one", HOUR).is_some());
    assert!(obtain_one_of(1, &client, "one", HOUR).is_some());
    assert!(obtain_one_of(1, &client, "two", HOUR).is_none());
    // A second slot is for somebody else.
    assert!(obtain_one_of(2, &client, "two", HOUR).is_some());
    assert!(obtain_one_of(2, &client, "one", HOUR).is_some());
    assert!(obtain_one_of(2, &client, "two", HOUR).is_some());
    assert!(obtain_one_of(2, &client, "three", HOUR).is_none());
    // The first one's ends: the third has it, and then the second's.
    assert!(obtain_one_of(2, &client, "one", Duration::ZERO).is_some());
    assert!(obtain_one_of(2, &client, "three", HOUR).is_some());
    assert!(obtain_one_of(2, &client, "one", HOUR).is_none());
    assert!(obtain_one_of(2, &client, "two", Duration::ZERO).is_some());
    assert!(obtain_one_of(2, &client, "one", HOUR).is_some());
    assert!(obtain_one_of(2, &client, "two", HOUR).is_none());
}

pub(crate) fn a_lease_outlives_connections_and_sessions(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let lease = obtain(&client, "one", HOUR).unwrap();
    expire_session(&client);
    assert!(lease.is_valid());
    assert!(obtain(&other, "other", HOUR).is_none());
    // Obtaining goes on after a loss.
    let renewing = NonBlockingLease::new(&client, "/leases/one", HOUR).identifier("one");
    let renewing = renewing.obtain().send();
    lose_connection(&client);
    assert!(renewing.wait_timeout(LIMIT).unwrap().is_some());
    client.close().wait().unwrap();
    assert!(obtain(&other, "other", HOUR).is_none());
}
