//! What elections hardly ever lead to, and what must be right nevertheless.

use std::time::UNIX_EPOCH;

use zk_proto::Zxid;

use super::{
    link::LinkId,
    message::{Body, Notice, Packet, Stance, Vote},
    *,
};

const ME: MemberId = MemberId(1);
const TWO: MemberId = MemberId(2);
const THREE: MemberId = MemberId(3);
const LINK: LinkId = LinkId {
    follower: TWO,
    number: 1,
};

struct Rig {
    peer: Peer,
    now: Instant,
    sent: u64,
}

impl Rig {
    /// Member 1 of three, after some epochs.
    fn new(accepted: i32, current: i32) -> Self {
        let ids = [ME, TWO, THREE];
        let ensemble = Ensemble::new(ids, Options::new(), [0; 32]);
        let mut peer = Peer::new(ME, Arc::new(ensemble));
        peer.site.disk.accepted = accepted;
        peer.site.disk.current = current;
        #[expect(clippy::disallowed_methods, reason = "an anchor, whatever its value")]
        let now = Instant::now();
        peer.start(now, UNIX_EPOCH);
        let mut rig = Self { peer, now, sent: 0 };
        rig.take();
        rig
    }

    fn give(&mut self, from: MemberId, body: Body) {
        self.peer.handle_message(self.now, from, PeerMessage(body));
    }

    /// Everybody wants this one to lead.
    fn elect(&mut self, leader: MemberId) {
        let current = self.peer.site.disk.current;
        let epoch = if leader == ME { current } else { current + 1 };
        let vote = Vote {
            epoch,
            last: Zxid::ZERO,
            leader,
        };
        for from in [TWO, THREE] {
            let notice = Notice {
                stance: Stance::Looking,
                round: 1,
                vote,
            };
            self.give(from, Body::Notice(notice));
        }
        self.take();
    }

    /// The next message of member 2 to us as its leader.
    fn follower_says(&mut self, packet: Packet) {
        let number = self.sent;
        self.sent += 1;
        self.give(
            TWO,
            Body::Linked {
                link: LINK,
                number,
                packet,
            },
        );
    }

    /// The next message of member 3 to us as its follower.
    fn leader_says(&mut self, link: LinkId, packet: Packet) {
        let number = self.sent;
        self.sent += 1;
        self.give(
            THREE,
            Body::Linked {
                link,
                number,
                packet,
            },
        );
    }

    fn take(&mut self) -> Vec<(MemberId, Body)> {
        let mut all = Vec::new();
        while let Some((to, message)) = self.peer.poll_message() {
            all.push((to, message.0));
        }
        all
    }

    fn labels(&mut self) -> Vec<&'static str> {
        let all = self.take();
        all.into_iter()
            .map(|(_, body)| PeerMessage(body).label())
            .collect()
    }

    /// Leads, with member 2 as its follower.
    fn lead(&mut self) {
        self.elect(ME);
        self.follower_says(Packet::Info { accepted: 0 });
        self.follower_says(Packet::Joined {
            current: Some(0),
            last: Zxid::ZERO,
        });
        let zxid = Leader::begin_of(self.peer.site.disk.current);
        self.follower_says(Packet::Ack { zxid });
        assert!(self.peer.is_serving());
        assert_eq!(self.labels(), ["epoch", "sync", "up-to-date"]);
    }
}

#[test]
fn a_leader_gives_up_if_one_that_it_counts_on_has_more() {
    for (current, last) in [(3, 0), (2, 1), (9, 0)] {
        let mut rig = Rig::new(2, 2);
        rig.elect(ME);
        assert_eq!(rig.peer.state(), PeerState::Leading);
        rig.follower_says(Packet::Info { accepted: 2 });
        assert_eq!(rig.labels(), ["epoch"]);
        let last = Zxid(last);
        rig.follower_says(Packet::Joined {
            current: Some(current),
            last,
        });
        assert_eq!(rig.peer.state(), PeerState::Looking, "{current} {last}");
    }
}

#[test]
fn an_epoch_is_newer_than_all_that_a_majority_has_promised() {
    for (own, other) in [(2, 7), (7, 2)] {
        let mut rig = Rig::new(own, 2);
        rig.elect(ME);
        rig.follower_says(Packet::Info { accepted: other });
        assert_eq!(rig.peer.site.disk.accepted, 8);
        assert_eq!(rig.peer.site.disk.current, 2, "nobody has joined");
    }
}

#[test]
fn a_promise_given_before_does_not_count() {
    let mut rig = Rig::new(0, 0);
    rig.elect(ME);
    rig.follower_says(Packet::Info { accepted: 0 });
    rig.take();
    rig.follower_says(Packet::Joined {
        current: None,
        last: Zxid::ZERO,
    });
    assert_eq!(rig.labels(), [""; 0]);
    assert_eq!(rig.peer.site.disk.current, 0);
}

#[test]
fn a_leader_makes_room_for_a_newer_epoch() {
    let mut rig = Rig::new(0, 0);
    rig.lead();
    let link = LinkId {
        follower: THREE,
        number: 1,
    };
    let info = |accepted| Body::Linked {
        link,
        number: 0,
        packet: Packet::Info { accepted },
    };
    rig.give(THREE, info(1));
    assert_eq!(rig.peer.state(), PeerState::Leading);
    rig.give(THREE, info(2));
    assert_eq!(rig.peer.state(), PeerState::Looking);
}

#[test]
fn a_follower_joins_no_older_epoch_than_it_has_promised() {
    for (epoch, joins) in [(4, None), (5, Some(None)), (6, Some(Some(3)))] {
        let mut rig = Rig::new(5, 3);
        rig.elect(THREE);
        assert_eq!(rig.peer.state(), PeerState::Following(THREE));
        let link = LinkId {
            follower: ME,
            number: 1 << 32 | 1,
        };
        rig.leader_says(link, Packet::Epoch { epoch });
        let said = rig.take().into_iter().find_map(|(_, body)| match body {
            Body::Linked {
                packet: Packet::Joined { current, .. },
                ..
            } => Some(current),
            Body::Linked { .. } | Body::Notice(_) | Body::Reset(_) => None,
        });
        assert_eq!(said, joins, "{epoch}");
        let state = if joins.is_some() {
            PeerState::Following(THREE)
        } else {
            PeerState::Looking
        };
        assert_eq!(rig.peer.state(), state);
        assert_eq!(rig.peer.site.disk.accepted, epoch.max(5));
    }
}

#[test]
fn who_uses_a_link_that_is_over_is_told() {
    let mut rig = Rig::new(0, 0);
    rig.lead();
    rig.sent += 1;
    rig.follower_says(Packet::Pong);
    assert_eq!(rig.labels(), ["reset"]);
    rig.follower_says(Packet::Pong);
    assert_eq!(rig.labels(), ["reset"]);
    let mut rig = Rig::new(0, 0);
    rig.follower_says(Packet::Info { accepted: 0 });
    assert_eq!(rig.labels(), [""; 0], "it may lead soon");
    rig.follower_says(Packet::Pong);
    assert_eq!(rig.labels(), ["reset"]);
    rig.give(TWO, Body::Reset(LINK));
    assert_eq!(rig.labels(), [""; 0], "no end of resets");
}

#[test]
fn a_leader_that_does_not_answer_is_called_some_times() {
    let mut rig = Rig::new(0, 0);
    rig.elect(THREE);
    let mut calls = 1;
    while rig.peer.state() == PeerState::Following(THREE) {
        rig.now = rig.peer.poll_timeout().unwrap();
        rig.peer.handle_timeout(rig.now);
        calls += rig
            .labels()
            .iter()
            .filter(|label| **label == "info")
            .count();
    }
    assert_eq!((calls, rig.peer.state()), (5, PeerState::Looking));
}

#[test]
fn a_log_that_lacks_what_a_follower_has_keeps_what_both_have() {
    let txn = |zxid| {
        let kind = crate::TxnKind::CloseSession;
        Arc::new(Txn {
            zxid: Zxid(zxid),
            time: 0,
            session: zk_proto::SessionId(1),
            kind,
        })
    };
    let mut disk = Disk::new();
    for zxid in [1, 2, 3, 0x1_0000_0001, 0x1_0000_0002] {
        disk.append(txn(zxid));
    }
    for (last, kept, behind) in [
        (0, 0, 5),
        (2, 2, 3),
        // More of an old epoch than was committed.
        (9, 3, 2),
        (0x1_0000_0002, 0x1_0000_0002, 0),
        (0x2_0000_0001, 0x1_0000_0002, 0),
    ] {
        let last = Zxid(last);
        assert_eq!(
            (disk.at_most(last), disk.history_behind(last).len()),
            (Zxid(kept), behind)
        );
    }
    let history = |base, txns| disk::History {
        epoch: 2,
        base: disk::Base::Own(Zxid(base)),
        txns,
    };
    assert!(
        disk.take_over(history(7, vec![]))
            .is_err_and(|base| base == Zxid(7))
    );
    assert!(disk.take_over(history(2, vec![txn(0x2_0000_0001)])).is_ok());
    let log: Vec<_> = disk.log().iter().map(|txn| txn.zxid.0).collect();
    assert_eq!((log, disk.current), (vec![1, 2, 0x2_0000_0001], 2));
}
