//! Four-letter words.

use super::Rig;
use super::world::World;
use crate::{Error, LinkError};

const REFUSED: &str = "envi is not executed because it is not in the whitelist.\n";

#[test]
fn the_whole_answer_is_given() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    let long = "x".repeat(100_000);
    world.rig.handler.answer(Ok(&long));
    assert_eq!(world.run(client.command(b"mntr")), Ok(long));
    world.rig.handler.answer(Ok("imok"));
    assert_eq!(world.run(client.command("ruok")).as_deref(), Ok("imok"));
    assert_eq!(world.rig.handler.words(), [*b"mntr", *b"ruok"]);
}

#[test]
fn what_goes_wrong_has_a_name() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    world.rig.handler.answer(Ok(REFUSED));
    let error = world.run(client.command("envi")).unwrap_err();
    assert_eq!(error, Error::NotWhitelisted("envi".to_owned()));
    assert!(error.to_string().contains("4lw.commands.whitelist"));
    for bad in ["", "abc", "abcde", "a b c", "ru k"] {
        assert_eq!(
            world.run(client.command(bad)),
            Err(Error::NotAWord(bad.to_owned()))
        );
    }
    let silent = Error::Command(LinkError::Silent);
    assert_eq!(world.run(client.command("ruok")), Err(silent));
    let away = Rig::new("h1");
    let lost = Error::ConnectionLoss { sent: false };
    assert_eq!(away.client.command("ruok").wait(), Err(lost.clone()));
    assert_eq!(away.client.server_version().wait(), Err(lost));
}

#[test]
fn the_version_is_that_of_srvr_or_else_of_envi() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    let handler = world.rig.handler.clone();
    handler.answer(Ok(
        "Zookeeper version: 3.8.0-5a02, built on x\nMode: standalone",
    ));
    assert_eq!(
        world.run(client.server_version()).unwrap().numbers(),
        [3, 8, 0]
    );
    handler.answer(Ok(
        "srvr is not executed because it is not in the whitelist.\n",
    ));
    handler.answer(Ok("Environment:\nzookeeper.version=3.4.14--1, built on x"));
    let version = world.run(client.server_version()).unwrap();
    assert_eq!(
        (version.to_string().as_str(), version.as_str()),
        ("3.4.14", "3.4.14--1")
    );
    assert_eq!(handler.words(), [*b"srvr", *b"srvr", *b"envi"]);
}

#[test]
fn malformed_versions_are_asked_for_again() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    let handler = world.rig.handler.clone();
    for answer in [
        "",
        "zookeeper.version=",
        "zookeeper.version=1",
        "foo",
        "1.2",
        "zookeeper.version=1.2",
    ] {
        handler.answer(Ok(answer));
    }
    assert_eq!(
        world.run(client.server_version()).unwrap().numbers(),
        [1, 2]
    );
    for _ in 0..8 {
        handler.answer(Ok("nothing"));
    }
    let error = world.run(client.server_version()).unwrap_err();
    assert_eq!(error, Error::NoVersion("nothing".to_owned()));
    for _ in 0..8 {
        handler.answer(Ok(REFUSED));
    }
    let error = world.run(client.server_version()).unwrap_err();
    assert_eq!(error, Error::NotWhitelisted("srvr".to_owned()));
}
