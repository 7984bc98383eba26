//! `resolve`: the caller knows what became of it.

use zk_proto::OpCode;

use super::retrying::policy;
use super::world::{Fault, World};
use crate::{Client, Doubt, Error, Resolved, Stat};

async fn look(client: Client) -> Result<Resolved<Stat>, Error> {
    let (data, stat) = client.get("/a").synced().await?;
    Ok(match (&*data, stat.version) {
        (b"mine", _) => Resolved::Applied(stat),
        (_, 0) => Resolved::NotApplied,
        _ => Resolved::Unknown,
    })
}

#[test]
fn applied_is_success_and_not_applied_is_tried_again() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let mut world = World::new(&["/a"]);
        let client = world.rig.client.clone();
        world.fail(OpCode::SET_DATA, fault);
        // The look is lost once, too.
        world.fail(OpCode::GET_DATA, Fault::LostBefore);
        let set = client.retry(&policy(), client.set("/a", "mine").version(0));
        assert_eq!(world.run(set.resolve(look)).unwrap().version, 1);
        let sets = if fault == Fault::LostBefore { 2 } else { 1 };
        assert_eq!(world.count("setData"), sets);
    }
}

#[test]
fn what_it_cannot_tell_is_unknown() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::SET_DATA, Fault::LostAfter);
    let set = client.retry(&policy(), client.set("/a", "other").version(0));
    let last = Box::new(Error::ConnectionLoss { sent: true });
    let why = Doubt::Unresolved;
    assert_eq!(
        world.run(set.resolve(look)),
        Err(Error::Unknown { why, last })
    );

    world.fail(OpCode::SET_DATA, Fault::LostAfter);
    let set = client.retry(&policy(), client.set("/a", "other").version(1));
    let set = set.resolve(|_| async { Err(Error::NoAuth) });
    let (why, last) = (Doubt::LookFailed, Box::new(Error::NoAuth));
    assert_eq!(world.run(set), Err(Error::Unknown { why, last }));
}

#[test]
fn it_is_not_asked_without_need() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    let set = client.retry(&policy(), client.set("/a", "").version(0));
    let set = set.resolve(|_| async { unreachable!() });
    assert!(world.run(set).is_ok());
    assert_eq!(world.log, ["setData /a"]);
}
