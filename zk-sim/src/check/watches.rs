//! One-shot watches: no change is lost, none is invented, and an event is before the reply that
//! shows its change.
//!
//! A watch is set at the zxid of the read that set it. The first change of its node after that one
//! is owed: by the next time that everything is quiet the watch has fired, or ended with its
//! session. One blind spot is the servers' own: of a node that was missing, is created and deleted
//! again while the client is away, nobody learns.

use std::collections::BTreeMap;

use zk_proto::{EventType, Zxid};

use super::command::{Command, Ended};
use super::history::{
    ClientNo, Event, History, Mark, OpNo, Operation, Standing, WatchKind, WatchNo,
};
use super::log::{Change, Ledger};
use super::outcomes::Matching;
use super::reads::{Seen, Seens};
use super::violation::{Rule, Violation};

/// How exact the order is in which a history was recorded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Recorded {
    /// As a user can see it: watches before results.
    #[default]
    InOrder,
    /// By tasks that ran in any order: events and results are not compared.
    Loosely,
}

/// What a watch saw.
#[derive(Clone, Debug)]
pub(crate) enum Item<'a> {
    Event(EventType, &'a str, Option<Zxid>),
    Gap(Zxid, Zxid),
    End,
    Dropped,
}

/// A watch with all that it saw.
#[derive(Clone, Debug)]
pub(crate) struct Life<'a> {
    pub(crate) watch: WatchNo,
    pub(crate) client: ClientNo,
    pub(crate) path: &'a str,
    pub(crate) kind: WatchKind,
    pub(crate) op: Option<OpNo>,
    pub(crate) since: Option<Zxid>,
    pub(crate) set: Mark,
    pub(crate) items: Vec<(Mark, Item<'a>)>,
}

impl Life<'_> {
    pub(crate) fn broken(&self, rule: Rule, why: &str) -> Violation {
        let Self {
            watch,
            client,
            path,
            kind,
            set,
            items,
            ..
        } = self;
        let mut text = format!(
            "watch {} of client {}, {kind:?} {path} [set by event {}]: {why}",
            watch.0, client.0, set.index
        );
        for (mark, item) in items {
            text += &format!("\n    event {}: {item:?}", mark.index);
        }
        Violation::new(rule, text)
    }
}

/// A reply that shows its client how far the servers are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reveal {
    pub(crate) invoked: usize,
    pub(crate) ended: usize,
    pub(crate) zxid: Zxid,
}

/// What the checks of watches look at.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) ledger: &'a Ledger<'a>,
    pub(crate) lives: Vec<Life<'a>>,
    /// Places in the history where the connection, or the session, was lost.
    away: BTreeMap<ClientNo, Vec<usize>>,
    lost: BTreeMap<ClientNo, Vec<usize>>,
    reveals: BTreeMap<ClientNo, Vec<Reveal>>,
    pub(crate) quiets: Vec<(usize, Zxid)>,
    seens: BTreeMap<OpNo, Seen>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        history: &'a History,
        operations: &[Operation<'_>],
        matching: &Matching,
        ledger: &'a Ledger<'a>,
        seens: &Seens,
        recorded: Recorded,
    ) -> Result<Self, Violation> {
        let mut scene = Self {
            ledger,
            lives: Vec::new(),
            away: BTreeMap::new(),
            lost: BTreeMap::new(),
            reveals: BTreeMap::new(),
            quiets: Vec::new(),
            seens: BTreeMap::new(),
        };
        for (index, operation) in operations.iter().enumerate() {
            let seen = seens.get(&index).copied();
            if let Some(seen) = seen {
                scene.seens.insert(operation.op, seen);
            }
            let zxid = match operation.command {
                Command::Read(..) => seen.map(|seen| seen.least),
                Command::Write(_) => {
                    let zxids = matching.zxids(index, ledger.entries);
                    zxids.map(|(least, _)| least)
                }
            };
            let replied = matches!(operation.ended, Some((_, Ended::Reply(_))));
            if let (Some(zxid), Some((mark, _)), true) = (zxid, operation.ended, replied) {
                let reveal = Reveal {
                    invoked: operation.invoked.index,
                    ended: mark.index,
                    zxid,
                };
                let reveals = scene.reveals.entry(operation.client).or_default();
                if recorded == Recorded::InOrder {
                    reveals.push(reveal);
                }
            }
        }
        for reveals in scene.reveals.values_mut() {
            reveals.sort_by_key(|reveal| reveal.ended);
        }
        scene.read(history)?;
        Ok(scene)
    }

    fn read(&mut self, history: &'a History) -> Result<(), Violation> {
        let mut places = BTreeMap::new();
        for (mark, event) in history.marked() {
            let (watch, item) = match event {
                Event::WatchSet {
                    watch,
                    client,
                    path,
                    kind,
                    op,
                    since,
                } => {
                    places.insert(*watch, self.lives.len());
                    self.lives.push(Life {
                        watch: *watch,
                        client: *client,
                        path,
                        kind: *kind,
                        op: *op,
                        since: *since,
                        set: mark,
                        items: Vec::new(),
                    });
                    continue;
                }
                Event::Stands { client, standing } => {
                    if !matches!(standing, Standing::Connected { .. }) {
                        self.away.entry(*client).or_default().push(mark.index);
                    }
                    if *standing == Standing::Lost {
                        self.lost.entry(*client).or_default().push(mark.index);
                    }
                    continue;
                }
                Event::Quiet { zxid } => {
                    self.quiets.push((mark.index, *zxid));
                    continue;
                }
                Event::Watched {
                    watch,
                    kind,
                    path,
                    zxid,
                } => (watch, Item::Event(*kind, path.as_str(), *zxid)),
                Event::Gap { watch, from, to } => (watch, Item::Gap(*from, *to)),
                Event::WatchEnded { watch } => (watch, Item::End),
                Event::WatchDropped { watch } => (watch, Item::Dropped),
                Event::Invoked { .. } | Event::Ended { .. } | Event::Closing { .. } => continue,
            };
            let Some(place) = places.get(watch) else {
                let text = format!("watch {} was never set: {event}", watch.0);
                return Err(Violation::new(Rule::WatchInvented, text));
            };
            self.lives[*place].items.push((mark, item));
        }
        Ok(())
    }

    /// The first loss of the session behind a place.
    pub(crate) fn lost_after(&self, client: ClientNo, place: usize) -> Option<usize> {
        first_after(self.lost.get(&client), place)
    }

    fn was_away(&self, client: ClientNo, from: usize, to: usize) -> bool {
        first_after(self.away.get(&client), from).is_some_and(|place| place < to)
    }

    /// Replies to what was asked after a place.
    pub(crate) fn reveals(&self, client: ClientNo, place: usize) -> impl Iterator<Item = &Reveal> {
        let reveals = self.reveals.get(&client).map_or(&[][..], Vec::as_slice);
        let start = reveals.partition_point(|reveal| reveal.ended <= place);
        reveals[start..]
            .iter()
            .filter(move |reveal| reveal.invoked > place)
    }
}

fn first_after(places: Option<&Vec<usize>>, place: usize) -> Option<usize> {
    let places = places?;
    let first = places.partition_point(|other| *other <= place);
    places.get(first).copied()
}

/// What a watch says is well-formed: one end, nothing behind it, and no end without a reason.
pub(crate) fn check_shape(scene: &Scene<'_>, life: &Life<'_>) -> Result<(), Violation> {
    let mut over = false;
    for (mark, item) in &life.items {
        if over {
            return Err(life.broken(Rule::WatchEnd, "it was over before"));
        }
        match item {
            Item::End => {
                let lost = scene.lost_after(life.client, life.set.index);
                if lost.is_none_or(|lost| lost > mark.index) {
                    return Err(life.broken(Rule::WatchLost, "it ended, but its session did not"));
                }
                over = true;
            }
            Item::Dropped => over = true,
            Item::Event(..) | Item::Gap(..) => {}
        }
    }
    Ok(())
}

/// Is a watch over, one way or the other, before a place?
pub(crate) fn is_over(life: &Life<'_>, place: usize) -> bool {
    life.items
        .iter()
        .any(|(mark, item)| mark.index < place && matches!(item, Item::End | Item::Dropped))
}

/// Checks the one-shot watches.
pub(crate) fn check_one_shots(scene: &Scene<'_>) -> Result<usize, Violation> {
    let lives = scene.lives.iter().filter(|life| !life.kind.is_stream());
    let mut count = 0;
    for life in lives {
        count += 1;
        check_shape(scene, life)?;
        let mut events = life.items.iter().filter_map(|(mark, item)| match item {
            Item::Event(kind, path, zxid) => Some((*mark, *kind, *path, *zxid)),
            Item::Gap(..) | Item::End | Item::Dropped => None,
        });
        let event = events.next();
        if events.next().is_some() {
            return Err(life.broken(Rule::WatchInvented, "it fired twice"));
        }
        let since = match (life.since, life.op.and_then(|op| scene.seens.get(&op))) {
            (Some(zxid), _) => Seen {
                least: zxid,
                most: zxid,
            },
            (None, Some(seen)) => *seen,
            // A read of which nothing is known owes nothing.
            (None, None) => continue,
        };
        if let Some((mark, kind, path, zxid)) = event {
            if path != life.path {
                return Err(life.broken(Rule::WatchInvented, "that is another node"));
            }
            check_event(scene, life, since, mark, kind, zxid)?;
        }
        let fired = event.map(|(mark, ..)| mark.index);
        check_owed(scene, life, since, fired)?;
    }
    Ok(count)
}

fn relevant<'a>(
    scene: &'a Scene<'_>,
    life: &'a Life<'_>,
    after: Zxid,
) -> impl Iterator<Item = &'a Change> {
    let kinds = match life.kind {
        WatchKind::Children => &[EventType::NODE_CHILDREN_CHANGED, EventType::NODE_DELETED][..],
        WatchKind::Data | WatchKind::Persistent | WatchKind::Recursive => &[
            EventType::NODE_CREATED,
            EventType::NODE_DELETED,
            EventType::NODE_DATA_CHANGED,
        ][..],
    };
    let changes = scene.ledger.changes_of(life.path, after);
    changes.filter(|change| kinds.contains(&change.kind))
}

/// The event tells of a change that there was, and of the first one if the client was there.
fn check_event(
    scene: &Scene<'_>,
    life: &Life<'_>,
    since: Seen,
    mark: Mark,
    kind: EventType,
    zxid: Option<Zxid>,
) -> Result<(), Violation> {
    let newest = scene.ledger.newest_at(mark.at);
    let away = scene.was_away(life.client, life.set.index, mark.index);
    // What is first depends on where the watch was set, if that is not known exactly.
    let last_first = relevant(scene, life, since.most)
        .next()
        .map(|change| change.zxid);
    let possible = |change: &&Change| away || last_first.is_none_or(|last| change.zxid <= last);
    let known = |change: &&Change| change.zxid <= newest;
    let mut changes = relevant(scene, life, since.least)
        .filter(known)
        .filter(possible);
    let truth = match zxid {
        Some(zxid) => changes.any(|change| change.zxid == zxid && change.kind == kind),
        // Of several changes while the client was away the server makes one of its own.
        None if away => changes.next().is_some(),
        None => changes.any(|change| change.kind == kind),
    };
    if truth {
        Ok(())
    } else {
        let first = relevant(scene, life, since.least).next();
        let why = format!(
            "no such change is the first one after {}, but {first:?}",
            since.least
        );
        Err(life.broken(Rule::WatchInvented, &why))
    }
}

/// What had to be seen was, in time.
fn check_owed(
    scene: &Scene<'_>,
    life: &Life<'_>,
    since: Seen,
    fired: Option<usize>,
) -> Result<(), Violation> {
    let done = |place| fired.is_some_and(|fired| fired < place) || is_over(life, place);
    let lost = scene.lost_after(life.client, life.set.index);
    let ledger = scene.ledger;
    let was_missing = !ledger.exists_at(life.path, since.most);
    let first = relevant(scene, life, since.most).next();
    for (place, zxid) in &scene.quiets {
        if *place < life.set.index || done(*place) {
            continue;
        }
        if lost.is_some_and(|lost| lost < *place) {
            return Err(life.broken(Rule::WatchLost, "its session ended, but it did not"));
        }
        let blind = was_missing
            && !ledger.exists_at(life.path, *zxid)
            && scene.was_away(life.client, life.set.index, *place);
        if let Some(change) = first.filter(|change| change.zxid <= *zxid && !blind) {
            let why = format!("quiet at event {place}, and still it has not seen {change:?}");
            return Err(life.broken(Rule::WatchLost, &why));
        }
    }
    let Some(first) = first else { return Ok(()) };
    for reveal in scene.reveals(life.client, life.set.index) {
        if done(reveal.ended) || lost.is_some_and(|lost| lost < reveal.ended) {
            break;
        }
        let away = scene.was_away(life.client, life.set.index, reveal.ended);
        if first.zxid <= reveal.zxid && !(was_missing && away) {
            let why = format!(
                "event {} shows {}, and the watch has not seen {first:?}",
                reveal.ended, reveal.zxid
            );
            return Err(life.broken(Rule::WatchOrder, &why));
        }
    }
    Ok(())
}
