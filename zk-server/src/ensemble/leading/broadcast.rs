//! What an elected leader does for its clients and those of its followers: decide, propose, commit.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use zk_proto::Zxid;

use super::{Follower, Packet};
use crate::{Change, FromLeader, Leader, MemberId, Ticket, Tree, ensemble::core::Core};

#[derive(Debug)]
pub(super) struct Broadcast {
    pub(super) leader: Leader,
    /// The data with all that is proposed. What the member has is only what is committed.
    tree: Tree,
    /// What is not committed, with whoever waits for it.
    outstanding: VecDeque<(Zxid, Option<Ticket>)>,
    /// Answers that have to come behind a commit.
    answers: VecDeque<(Zxid, FromLeader)>,
    changes: Vec<Change>,
}

impl Broadcast {
    /// A majority has our log, so it is committed. Every session has its whole timeout from now on.
    pub(super) fn begin(core: &mut Core<'_>) -> Self {
        let last = core.site.disk.last();
        core.catch_up(last);
        let (now, wall) = (core.now(), core.wall());
        let member = &mut core.memory.member;
        let options = Arc::clone(&core.site.options);
        let epoch = Leader::begin_of(core.site.disk.current);
        let sessions = member
            .sessions()
            .iter()
            .map(|(session, timeout)| (*session, *timeout));
        let leader = Leader::new(options, epoch, sessions, now, wall);
        member.follow(now, crate::Role::Leader);
        tracing::info!(member = %core.site.id, epoch = core.site.disk.current, "leads");
        Self {
            leader,
            tree: member.tree().clone(),
            outstanding: VecDeque::new(),
            answers: VecDeque::new(),
            changes: Vec::new(),
        }
    }

    pub(super) fn settle(
        &mut self,
        core: &mut Core<'_>,
        followers: &mut BTreeMap<MemberId, Follower>,
    ) {
        let now = core.now();
        loop {
            let mut is_idle = true;
            while let Some(session) = core.memory.member.pop_touched() {
                self.leader.touch(now, session);
            }
            while let Some(message) = core.poll_leader() {
                self.leader.handle(now, message);
            }
            while let Some(decided) = self.leader.poll(&self.tree) {
                is_idle = false;
                self.handle_decided(core, followers, decided);
            }
            is_idle &= !self.commit(core, followers);
            if is_idle {
                break;
            }
        }
    }

    fn handle_decided(
        &mut self,
        core: &mut Core<'_>,
        followers: &mut BTreeMap<MemberId, Follower>,
        decided: FromLeader,
    ) {
        let last = self.outstanding.back().map(|(zxid, _)| *zxid);
        match (decided, last) {
            (FromLeader::Commit { txn, ticket }, _) => {
                self.tree.apply(&txn, &mut self.changes);
                self.changes.clear();
                for follower in followers.values_mut().filter(|follower| follower.is_synced) {
                    let txn = Arc::clone(&txn);
                    follower.link.send(core, Packet::Proposal { txn, ticket });
                }
                self.outstanding.push_back((txn.zxid, ticket));
                core.site.disk.append(txn);
            }
            // Who comes back is let in at once, also by a leader that commits nothing any more.
            (answer @ FromLeader::Revalidated { .. }, _) | (answer, None) => {
                deliver(core, followers, answer);
            }
            (answer @ (FromLeader::Synced { .. } | FromLeader::Moved { .. }), Some(last)) => {
                self.answers.push_back((last, answer));
            }
        }
    }

    /// Commits what a majority has logged. `false` if there was nothing.
    fn commit(
        &mut self,
        core: &mut Core<'_>,
        followers: &mut BTreeMap<MemberId, Follower>,
    ) -> bool {
        let Some(&(first, _)) = self.outstanding.front() else {
            return false;
        };
        let mut logged: Vec<_> = followers.values().filter_map(|it| it.acked).collect();
        logged.push(core.site.disk.last());
        logged.sort_unstable_by(|a, b| b.cmp(a));
        #[cfg(zk_planted)]
        if core.site.options.planted == Some(crate::Planted::CommitAlone) {
            logged = vec![core.site.disk.last(); core.site.ensemble.quorum()];
        }
        let zxid = match logged.get(core.site.ensemble.quorum() - 1) {
            Some(&zxid) if zxid >= first => zxid,
            Some(_) | None => return false,
        };
        while let Some(txn) = core.site.disk.commit_next(zxid) {
            let zxid = txn.zxid;
            let waits = self.outstanding.pop_front();
            let ticket = waits.and_then(|(_, ticket)| ticket);
            for follower in followers
                .values_mut()
                .filter(|follower| follower.is_serving)
            {
                follower.link.send(core, Packet::Commit { zxid });
            }
            core.deliver(FromLeader::Commit { txn, ticket });
            while self
                .answers
                .front()
                .is_some_and(|(behind, _)| *behind <= zxid)
            {
                if let Some((_, answer)) = self.answers.pop_front() {
                    deliver(core, followers, answer);
                }
            }
        }
        true
    }
}

/// Brings an answer to the member that it is for, behind what that has been told before.
fn deliver(core: &mut Core<'_>, followers: &mut BTreeMap<MemberId, Follower>, answer: FromLeader) {
    let member = answer.member().unwrap_or(core.site.id);
    if member == core.site.id {
        core.deliver(answer);
    } else if let Some(follower) = followers.get_mut(&member)
        && follower.is_serving
    {
        follower.link.send(core, Packet::Answer(answer));
    }
}
