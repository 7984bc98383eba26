//! Persistent watches: their events and gaps together cover all changes, in order.
//!
//! | the stream says | then |
//! |---|---|
//! | an event | it is the next change that is owed, or one that a gap before it excused |
//! | a gap | all up to its beginning was seen; what is up to its end is excused |
//! | end | the session was lost, and nothing follows |
//! | nothing, though everything is quiet or a reply shows a change | nothing is owed up to there |

use std::time::Duration;

use zk_proto::{EventType, Zxid};

use super::history::WatchKind;
use super::log::{Change, covers};
use super::violation::{Rule, Violation};
use super::watches::{Item, Life, Scene, check_shape};

/// So far a server may be behind those that commit when it sets a watch.
const MAX_LAG: Duration = Duration::from_secs(10);

/// What a stream has to account for.
#[derive(Clone, Copy, Debug)]
enum Point<'a> {
    Event(EventType, &'a str, Option<Zxid>),
    Gap(Zxid, Zxid),
    /// A reply shows as much.
    Revealed(Zxid),
    Quiet(Zxid),
    Lost,
    Over,
}

/// Checks the streams.
pub(crate) fn check_streams(scene: &Scene<'_>) -> Result<usize, Violation> {
    let mut count = 0;
    for life in scene.lives.iter().filter(|life| life.kind.is_stream()) {
        count += 1;
        check_shape(scene, life)?;
        let mut stream = Stream::new(scene, life);
        for (place, point) in points(scene, life) {
            match point {
                Point::Over => break,
                Point::Lost => stream.lost = true,
                Point::Event(kind, path, zxid) => {
                    let at = life.items.iter().find(|(mark, _)| mark.index == place);
                    let newest = at.map_or(Zxid::ZERO, |(mark, _)| scene.ledger.newest_at(mark.at));
                    stream.see(kind, path, zxid, newest)?;
                }
                Point::Gap(from, to) => stream.gap(from, to)?,
                Point::Revealed(zxid) if stream.lost => {
                    // Another session: this stream is about to end.
                    let _ = zxid;
                }
                Point::Revealed(zxid) => {
                    let why = format!("event {place} shows {zxid}");
                    stream.settle(zxid, Rule::WatchOrder, &why)?;
                }
                Point::Quiet(_) if stream.lost => {
                    return Err(life.broken(Rule::WatchLost, "its session ended, but it did not"));
                }
                Point::Quiet(zxid) => {
                    stream.settle(zxid, Rule::WatchLost, &format!("quiet at event {place}"))?;
                }
            }
        }
    }
    Ok(count)
}

fn points<'a>(scene: &Scene<'a>, life: &Life<'a>) -> Vec<(usize, Point<'a>)> {
    let set = life.set.index;
    let mut points: Vec<(usize, Point<'a>)> = Vec::new();
    points.extend(life.items.iter().map(|(mark, item)| {
        let point = match item {
            Item::Event(kind, path, zxid) => Point::Event(*kind, path, *zxid),
            Item::Gap(from, to) => Point::Gap(*from, *to),
            Item::End | Item::Dropped => Point::Over,
        };
        (mark.index, point)
    }));
    let reveals = scene.reveals(life.client, set);
    points.extend(reveals.map(|reveal| (reveal.ended, Point::Revealed(reveal.zxid))));
    let quiets = scene.quiets.iter().filter(|(place, _)| *place > set);
    points.extend(quiets.map(|(place, zxid)| (*place, Point::Quiet(*zxid))));
    let lost = scene.lost_after(life.client, set);
    points.extend(lost.map(|place| (place, Point::Lost)));
    points.sort_by_key(|(place, _)| *place);
    points
}

struct Stream<'a> {
    life: &'a Life<'a>,
    changes: Vec<&'a Change>,
    /// Changes before this one are dealt with.
    next: usize,
    /// Changes from there on that are: the end of a session deletes in any order.
    seen: Vec<bool>,
    /// What is newer must be seen.
    owed_after: Zxid,
    /// The newest gap, within which events without zxid cannot be told apart.
    excused: (Zxid, Zxid),
    /// What was committed after this one may have been news to the server when the watch was set.
    lag: Zxid,
    /// Events without zxid that only make sense if one before them was not owed.
    borrowed: usize,
    lost: bool,
}

impl<'a> Stream<'a> {
    fn new(scene: &Scene<'a>, life: &'a Life<'a>) -> Self {
        let after = life.since.unwrap_or(Zxid::ZERO);
        let changes: Vec<&'a Change> = match life.kind {
            WatchKind::Recursive => {
                let all = scene.ledger.changes.iter();
                all.filter(|change| {
                    change.zxid > after
                        && change.kind != EventType::NODE_CHILDREN_CHANGED
                        && covers(life.path, &change.path)
                })
                .collect()
            }
            WatchKind::Persistent | WatchKind::Data | WatchKind::Children => {
                scene.ledger.changes_of(life.path, after).collect()
            }
        };
        let known = scene.ledger.newest_at(life.set.at);
        let before = life.set.at.saturating_sub(MAX_LAG);
        Self {
            life,
            seen: vec![false; changes.len()],
            changes,
            next: 0,
            owed_after: life.since.unwrap_or(known),
            excused: (Zxid::ZERO, life.since.unwrap_or(known)),
            lag: scene.ledger.newest_at(before).max(after),
            borrowed: 0,
            lost: false,
        }
    }

    fn see(
        &mut self,
        kind: EventType,
        path: &str,
        zxid: Option<Zxid>,
        newest: Zxid,
    ) -> Result<(), Violation> {
        let like = |change: &Change| {
            change.kind == kind
                && change.path == path
                && change.zxid <= newest
                && zxid.is_none_or(|zxid| zxid == change.zxid)
        };
        // Servers that tell zxids do so for all but what one-shots on the path are caught up with.
        let tells = || {
            let told = |item: &Item<'_>| matches!(item, Item::Event(.., Some(_)));
            self.life.items.iter().any(|(_, item)| told(item))
        };
        if zxid.is_none() && tells() && self.changes.iter().any(|change| like(change)) {
            return Ok(());
        }
        let unseen = || (self.next..self.changes.len()).filter(|at| !self.seen[*at]);
        let owed = |at: &usize| self.changes[*at].zxid > self.owed_after;
        let first_owed = unseen().find(owed).map(|at| self.changes[at].zxid);
        let is_first = |at: &usize| Some(self.changes[*at].zxid) == first_owed;
        let preferred = unseen().find(|at| is_first(at) && like(self.changes[*at]));
        let Some(found) = preferred.or_else(|| unseen().find(|at| like(self.changes[*at]))) else {
            let (from, to) = self.excused;
            let excused = |change: &&&Change| change.zxid > from && change.zxid <= to;
            let mut candidates = self.changes.iter().filter(excused);
            // One-shots on the same path are caught up with in words that fit any change.
            let again = || (0..self.next).any(|at| like(self.changes[at]));
            if zxid.is_none() && (candidates.any(|change| like(change)) || again()) {
                return Ok(());
            }
            let why = format!("{kind} {path} at {zxid:?} was not, or not after the one before");
            return Err(self.life.broken(Rule::WatchInvented, &why));
        };
        let together = |at: usize| {
            let (one, other) = (self.changes[at], self.changes[found]);
            one.zxid == other.zxid && one.unordered && other.unordered
        };
        if let Some(missing) = unseen().find(|at| *at < found && owed(at) && !together(*at)) {
            // Perhaps it was one that was not owed which was taken for the first that was.
            let spare = |at: &usize| !self.seen[*at] && !owed(at) && like(self.changes[*at]);
            let spares = (0..found).filter(spare);
            let is_late = |at: usize| self.changes[at].zxid > self.lag;
            if zxid.is_none() && spares.filter(|at| is_late(*at)).count() > self.borrowed {
                self.borrowed += 1;
                return Ok(());
            }
            let why = format!(
                "{:?} is missing before {kind} {path}",
                self.changes[missing]
            );
            return Err(self.life.broken(Rule::WatchLost, &why));
        }
        let first_together = (self.next..=found)
            .find(|at| together(*at))
            .unwrap_or(found);
        self.seen[found] = true;
        self.next = first_together;
        while self.seen.get(self.next) == Some(&true) {
            self.next += 1;
        }
        Ok(())
    }

    fn gap(&mut self, from: Zxid, to: Zxid) -> Result<(), Violation> {
        if to < from {
            return Err(self.life.broken(Rule::WatchInvented, "a gap goes forwards"));
        }
        self.settle(from, Rule::WatchLost, &format!("a gap from {from}"))?;
        self.owed_after = self.owed_after.max(to);
        self.excused = (from, to);
        Ok(())
    }

    /// Nothing up to this zxid is owed any more.
    fn settle(&self, zxid: Zxid, rule: Rule, why: &str) -> Result<(), Violation> {
        let mut rest = (self.next..self.changes.len()).filter(|at| !self.seen[*at]);
        let missing = rest.find(|at| self.changes[*at].zxid > self.owed_after);
        match missing.map(|at| self.changes[at]) {
            Some(change) if change.zxid <= zxid => {
                let why = format!("{why}, and it has not seen {change:?}");
                Err(self.life.broken(rule, &why))
            }
            Some(_) | None => Ok(()),
        }
    }
}
