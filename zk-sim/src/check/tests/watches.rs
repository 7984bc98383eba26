//! One-shot watches and streams.

use zk_proto::{EventType, Zxid};

use super::*;

/// A watched get, and a change behind it.
fn watched() -> (Story, WatchNo) {
    let mut story = Story::new();
    story.write(A, &create());
    let op = story.read(B, Strength::Plain, story.get());
    let watch = story
        .history
        .watch(story.now(), B, "/a", WatchKind::Data, op);
    story.write(A, &set(b"1"));
    (story, watch)
}

#[test]
fn no_change_is_lost_on_a_one_shot() {
    let (mut story, watch) = watched();
    story.accepted();
    let mut silent = watched().0;
    silent.quiet();
    silent.refused(Rule::WatchLost);
    story.history.watched(
        story.now(),
        watch,
        EventType::NODE_DATA_CHANGED,
        "/a",
        Zxid(4),
    );
    story.quiet();
    story.accepted();
    story.history.watched(
        story.now(),
        watch,
        EventType::NODE_DATA_CHANGED,
        "/a",
        Zxid(4),
    );
    story.refused(Rule::WatchInvented);
}

#[test]
fn a_one_shot_invents_nothing_and_ends_with_its_session_only() {
    for (kind, path, zxid) in [
        (EventType::NODE_DELETED, "/a", 4),
        (EventType::NODE_DATA_CHANGED, "/b", 4),
        (EventType::NODE_DATA_CHANGED, "/a", 3),
    ] {
        let (mut story, watch) = watched();
        story
            .history
            .watched(story.now(), watch, kind, path, Zxid(zxid));
        story.refused(Rule::WatchInvented);
    }
    let (mut story, watch) = watched();
    story.push(Event::WatchEnded { watch });
    story.refused(Rule::WatchLost);
    let (mut story, watch) = watched();
    story.stand(B, Standing::Lost);
    story.push(Event::WatchEnded { watch });
    story.quiet();
    story.accepted();
    story.push(Event::WatchEnded { watch });
    story.refused(Rule::WatchEnd);
}

#[test]
fn an_event_is_before_the_reply_that_shows_its_change() {
    for early in [true, false] {
        let (mut story, watch) = watched();
        let kind = EventType::NODE_DATA_CHANGED;
        if early {
            story
                .history
                .watched(story.now(), watch, kind, "/a", Zxid(4));
        }
        story.read(B, Strength::Plain, story.get());
        if early {
            story.accepted();
        } else {
            story
                .history
                .watched(story.now(), watch, kind, "/a", Zxid(4));
            story.refused(Rule::WatchOrder);
        }
    }
}

/// A stream of three changes, 4 to 6, of which these are told.
fn stream(told: &[i64], gap: Option<(usize, i64, i64)>) -> Story {
    let mut story = Story::new();
    story.write(A, &create());
    let since = Some(Zxid(3));
    let watch = story
        .history
        .stream(story.now(), B, "/a", WatchKind::Persistent, since);
    for data in [b"1", b"2", b"3"] {
        story.write(A, &set(data));
    }
    for at in 0..=told.len() {
        if let Some((_, from, to)) = gap.filter(|(place, ..)| *place == at) {
            let (from, to) = (Zxid(from), Zxid(to));
            story.push(Event::Gap { watch, from, to });
        }
        if let Some(zxid) = told.get(at) {
            let kind = EventType::NODE_DATA_CHANGED;
            story
                .history
                .watched(story.now(), watch, kind, "/a", Zxid(*zxid));
        }
    }
    story.quiet();
    story
}

#[test]
fn events_and_gaps_of_a_stream_cover_all_changes() {
    stream(&[4, 5, 6], None).accepted();
    stream(&[4, 6], None).refused(Rule::WatchLost);
    stream(&[4, 5], None).refused(Rule::WatchLost);
    stream(&[4, 6, 5], None).refused(Rule::WatchLost);
    stream(&[4, 5, 5, 6], None).refused(Rule::WatchInvented);
    stream(&[4, 5, 6, 7], None).refused(Rule::WatchInvented);
    stream(&[4, 6], Some((1, 4, 5))).accepted();
    stream(&[4], Some((1, 4, 5))).refused(Rule::WatchLost);
    stream(&[4], Some((1, 4, 6))).accepted();
    stream(&[4], Some((1, 5, 6))).refused(Rule::WatchLost);
    stream(&[4, 5, 6], Some((1, 4, 3))).refused(Rule::WatchInvented);
}

/// A server that is behind sends what it was not owed for, and before 3.9 nobody can tell.
#[test]
fn an_event_without_zxid_may_be_of_a_change_before_the_watch() {
    let tell = |changes: usize| {
        let mut story = Story::new();
        story.write(A, &create());
        story.write(A, &set(b"1"));
        let now = story.now();
        let stream = story
            .history
            .stream(now, B, "/a", WatchKind::Persistent, None);
        let delete = Write::Delete {
            path: "/a".to_owned(),
            version: -1,
        };
        for write in [set(b"2"), delete, create(), set(b"3")] {
            story.write(A, &write);
        }
        let mut kinds = vec![EventType::NODE_DATA_CHANGED; changes];
        kinds.extend([EventType::NODE_DELETED, EventType::NODE_CREATED]);
        kinds.push(EventType::NODE_DATA_CHANGED);
        for kind in kinds {
            story
                .history
                .watched(story.now(), stream, kind, "/a", Zxid::ZERO);
        }
        story.quiet();
        story
    };
    tell(0).refused(Rule::WatchLost);
    tell(1).accepted();
    tell(2).accepted();
    tell(3).refused(Rule::WatchLost);
}
