//! Which operation made which entry, where several are alike.

use zk_proto::{CreateMode, Payload, Zxid};

use super::*;

/// Three writes that are alike, of which the log has two: an unanswered one that never arrived, one
/// that is answered, and an unanswered one that was done. In between is a read that shows as many of
/// them, and is answered after both were done.
fn three_alike(shown: usize) -> Story {
    let mut story = Story::new();
    story.write(A, &create());
    let lost = story.begin(A, &set(b"x"));
    story.end(lost, Ended::Unknown);
    let answered = story.begin(A, &set(b"x"));
    let command = Command::Read(Read::Get("/a".to_owned()), Strength::Plain);
    let read = story.history.invoke(story.now(), A, command);
    let unanswered = story.begin(A, &set(b"x"));
    let mut states = vec![story.get()];
    for _ in 0..2 {
        story.apply(A, &set(b"x"));
        states.push(story.get());
    }
    story.end(answered, Ended::Reply(Reply::Set(None)));
    story.end(read, Ended::Reply(states.swap_remove(shown)));
    story.end(unanswered, Ended::Unknown);
    story
}

#[test]
fn an_answered_write_may_be_any_of_those_that_are_alike() {
    three_alike(1).accepted();
    three_alike(2).accepted();
    three_alike(0).refused(Rule::Reads);
}

#[test]
fn an_answer_says_which_of_those_that_are_alike_it_is() {
    // The read shows the first one, so the second one was not done before it.
    let tell = |header: i64| {
        let mut story = three_alike(1);
        for (_, event) in story.history.events_mut() {
            if let Event::Ended {
                ended: Ended::Reply(Reply::Set(_)),
                zxid,
                ..
            } = event
            {
                *zxid = Some(Zxid(header));
            }
        }
        story
    };
    // It is the fourth transaction at the latest, and the third is the creation.
    tell(4).accepted();
    tell(3).refused(Rule::Applied);
}

#[test]
fn an_unanswered_write_does_nothing_but_what_it_asks_for() {
    for (version, is_right) in [(-1, true), (0, true), (7, false)] {
        let data = Payload::from(bytes::Bytes::from_static(b"x"));
        let path = "/a".to_owned();
        let write = Write::SetData {
            path,
            data,
            version,
        };
        for ended in [Ended::Unknown, Ended::Applied] {
            let mut story = Story::new();
            story.write(A, &create());
            let op = story.begin(A, &write);
            story.apply(A, &set(b"x"));
            let is_applied = ended == Ended::Applied;
            story.end(op, ended);
            match (is_right, is_applied) {
                (true, _) => story.accepted(),
                (false, true) => story.refused(Rule::Applied),
                (false, false) => story.refused(Rule::NotApplied),
            }
        }
    }
}

#[test]
fn the_name_of_a_node_says_which_of_those_that_are_alike_made_it() {
    let write = Write::Create {
        path: "/q-".to_owned(),
        data: Payload::null(),
        mode: CreateMode::PersistentSequential,
    };
    // The first is never answered and was or was not done; the second is told its name.
    for (done, name, is_right) in [
        (true, "/q-0000000001", true),
        (true, "/q-0000000000", false),
        (false, "/q-0000000000", true),
        (false, "/q-0000000001", false),
    ] {
        let mut story = Story::new();
        let lost = story.begin(A, &write);
        if done {
            story.apply(A, &write);
        }
        story.end(lost, Ended::Unknown);
        let op = story.begin(A, &write);
        story.apply(A, &write);
        let (path, stat) = (name.to_owned(), None);
        story.end(op, Ended::Reply(Reply::Created { path, stat }));
        if is_right {
            story.accepted();
        } else {
            story.refused(Rule::Result);
        }
    }
}
