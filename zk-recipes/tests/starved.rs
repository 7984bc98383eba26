//! What becomes of calls that nobody polls for a while: of tasks of a busy executor, for example.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use zk_client::{Client, Error};
use zk_recipes::{Counter, Guard, Lock, Pending, Semaphore};
use zk_sim::Cut;

use crate::rig::{Rig, millis, seconds, session_of};

/// Polls so often, with so much time in between that all that was asked is answered.
fn drive<T>(rig: &Rig, call: &mut Pending<T>, steps: u32) -> Option<Result<T, Error>> {
    for _ in 0..steps {
        let done = rig.run(poll_fn(|cx| {
            Poll::Ready(match Pin::new(&mut *call).poll(cx) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            })
        }));
        if done.is_some() {
            return done;
        }
        rig.pass(millis(200));
    }
    None
}

/// Ends the client's session, and waits for the next one.
fn expire(rig: &Rig, client: &Client) {
    let before = session_of(client);
    rig.expire(before);
    rig.pass(seconds(1));
    rig.run(client.until_connected()).unwrap();
    assert_ne!(session_of(client), before);
}

/// Deletes all ephemeral nodes below these paths.
fn delete_all(rig: &Rig, paths: &[&str]) {
    let other = rig.client("somebody");
    for path in paths {
        for name in rig.children(path) {
            let path = format!("{path}/{name}");
            if rig.owner(&path).0 != 0 {
                rig.run(other.delete(&path)).unwrap();
            }
        }
    }
    rig.run(other.close()).unwrap();
}

/// Somebody gets in while a call is not polled, whose session ends meanwhile, or whose nodes are
/// deleted.
fn nobody_shares<G: Send + 'static>(
    acquire: impl Fn(&Client) -> Pending<G>,
    is_held: impl Fn(&G) -> bool,
) {
    nobody_shares_after(&acquire, &is_held, expire);
    nobody_shares_after(&acquire, &is_held, |rig, _| {
        delete_all(rig, &["/l", "/s", "/s-__lock__"]);
    });
}

fn nobody_shares_after<G: Send + 'static>(
    acquire: impl Fn(&Client) -> Pending<G>,
    is_held: impl Fn(&G) -> bool,
    fault: impl Fn(&Rig, &Client),
) {
    let mut ended = 0;
    for steps in 1..24 {
        let rig = Rig::new(u64::from(steps));
        let (one, two) = (rig.client("one"), rig.client("two"));
        let mut call = acquire(&one);
        if drive(&rig, &mut call, steps).is_some() {
            ended += 1;
            continue;
        }
        fault(&rig, &one);
        let held = rig.run(acquire(&two).timeout(seconds(5))).unwrap();
        assert!(is_held(&held));
        let after = drive(&rig, &mut call, 50);
        assert!(is_held(&held));
        let two = matches!(after, Some(Ok(_)));
        assert!(!two, "two hold it, after {steps} steps");
        assert!(after.is_none(), "{:?}", after.and_then(Result::err));
        drop((call, held));
        rig.pass(seconds(1));
    }
    assert!(ended > 0 && ended < 20, "{ended}");
}

#[test]
fn a_lock_is_not_shared_with_a_call_that_slept_through_its_session() {
    nobody_shares(|client| Lock::new(client, "/l").acquire(), |g| g.is_held());
}

#[test]
fn a_lease_is_not_taken_by_a_call_that_slept_through_its_session() {
    nobody_shares(
        |client| Semaphore::new(client, "/s", 1).acquire(),
        Guard::is_held,
    );
    nobody_shares(
        |client| {
            let call = Semaphore::new(client, "/s", 1).try_acquire();
            let this = client.clone();
            Pending::new(client, async move {
                match call.await? {
                    Some(guard) => Ok(guard),
                    None => {
                        this.sleep(seconds(1000)).await?;
                        Err(Error::Cancelled)
                    }
                }
            })
        },
        Guard::is_held,
    );
}

/// Wherever a call is dropped, it leaves nothing.
#[test]
fn nothing_is_left_of_a_call_that_is_dropped_between_its_steps() {
    for steps in 1..20 {
        for broken in [false, true] {
            let rig = Rig::new(u64::from(steps));
            let client = rig.client("one");
            let mut calls = [
                Semaphore::new(&client, "/s", 1).acquire(),
                Semaphore::new(&client, "/s", 2).acquire(),
            ];
            let first = drive(&rig, &mut calls[0], steps);
            if broken {
                rig.sim.network().cut("one", "s1", Cut::AfterDelivery);
            }
            drop(first);
            drop(calls);
            rig.pass(seconds(5));
            let left = (rig.children("/s"), rig.children("/s-__lock__"));
            assert!(left.0.is_empty() && left.1.is_empty(), "{steps} {left:?}");
        }
    }
}

/// Whatever is missed, nothing is added twice.
#[test]
fn a_change_is_made_once_by_a_call_that_slept_through_its_session() {
    for marked in [false, true] {
        for steps in 1..12 {
            for cut in [Cut::BeforeDelivery, Cut::AfterDelivery] {
                let rig = Rig::new(u64::from(steps));
                let client = rig.client("one");
                let mut counter = Counter::new(&client, "/c");
                if marked {
                    counter = counter.marked();
                }
                let mut call = counter.add(1);
                let mut done = drive(&rig, &mut call, steps);
                if done.is_none() {
                    // With what the last step has sent under way.
                    let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut call).poll(cx)));
                    if let Poll::Ready(result) = rig.run(polled) {
                        done = Some(result);
                    }
                    rig.sim.network().cut("one", "s1", cut);
                    expire(&rig, &client);
                    done = done.or_else(|| drive(&rig, &mut call, 100));
                }
                let value = rig.run(Counter::new(&client, "/c").value()).unwrap();
                match done.unwrap() {
                    Ok(_) => assert_eq!(value, 1, "{marked} {steps} {cut:?}"),
                    Err(Error::Unknown { .. }) => assert!(value <= 1),
                    Err(error) => assert_eq!((value, error), (0, Error::NoNode)),
                }
            }
        }
    }
}
