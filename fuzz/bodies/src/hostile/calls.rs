//! What is asked of the session.

use std::time::Duration;

use zk_proto::{
    Acl, AddWatchMode, Chroot, CreateMode, MultiOp, ReadOp, Request, ServerAddr, WatcherType,
};
use zk_rig::checks::tag_text;
use zk_rig::world::{epoch, server};
use zk_session::{Call, Cancelled, KeepAlive};

use super::World;
use crate::cursor::Cursor;

impl World {
    /// One call, or one request.
    pub(super) fn ask(&mut self, cursor: &mut Cursor<'_>) {
        let now = self.now;
        match cursor.byte() % 32 {
            20 => {
                let which = usize::from(cursor.byte());
                if let Some(id) = self.requests.get(which).copied() {
                    match self.session.cancel(now, id) {
                        Cancelled::Unknown => {}
                        outcome => self.checks.cancelled(id, outcome == Cancelled::Unsent),
                    }
                }
            }
            21 => {
                self.drain();
                if let Some(id) = self.watches.get(usize::from(cursor.byte())) {
                    self.session.unwatch(now, *id);
                    self.checks.unwatched(*id);
                }
            }
            22 => {
                let at = epoch() + Duration::from_millis(u64::from(cursor.short()) * 4);
                let id = self.session.set_timer(at);
                self.checks.timer(id);
                self.timers.push(id);
            }
            23 => {
                self.drain();
                if let Some(id) = self.timers.get(usize::from(cursor.byte())) {
                    self.session.cancel_timer(*id);
                    self.checks.timer_cancelled(*id);
                }
            }
            24 => self.session.set_servers(now, &list(cursor.byte())),
            25 => self.session.set_fallback_servers(&list(cursor.byte())),
            26 => self.session.set_keep_alive(now, KeepAlive::Sync),
            27 => self.session.set_keep_alive(now, KeepAlive::Ping),
            28 => self.session.reconnect(now),
            29 => {
                let limit = Duration::from_millis(u64::from(cursor.short()));
                self.session.close(now, limit);
            }
            30 => {
                let limit = Duration::from_millis(u64::from(cursor.short()));
                self.session.detach(now, limit);
            }
            31 => self.session.random(&mut [0; 3]),
            body => self.submit(body, cursor.byte()),
        }
    }

    fn submit(&mut self, body: u8, flags: u8) {
        let flag = |bit: u8| flags & (1 << bit) != 0;
        self.tag += 1;
        let tag = tag_text(self.tag);
        // Shared paths for watches to meet on.
        let path = if flag(0) {
            "/a".to_owned()
        } else {
            format!("/{tag}")
        };
        let request = request(body, &path, &tag, flag(1), flag(2));
        let chroot = if flag(3) { "/app" } else { "" };
        let chroot = Chroot::parse(chroot).expect("a path");
        let deadline = flag(4).then(|| self.now + Duration::from_millis(1500));
        let mut call = Call::new(&request, &chroot).deadline(deadline);
        if flag(5) {
            call = call.urgent();
        }
        match self.session.submit(self.now, call) {
            Ok(submitted) => {
                self.checks.submitted(submitted.id, Some(self.tag));
                self.requests.push(submitted.id);
                if let Some(id) = submitted.watch {
                    let lasting = matches!(request, Request::AddWatch { .. });
                    self.checks.watcher(id, lasting);
                    self.watches.push(id);
                }
            }
            Err(refused) => drop(refused.to_string()),
        }
    }
}

fn list(mask: u8) -> Vec<ServerAddr> {
    let servers = (0..4).filter(|n| mask & (1 << n) != 0);
    servers.map(server).collect()
}

fn request<'a>(body: u8, path: &'a str, tag: &'a str, watch: bool, other: bool) -> Request<'a> {
    let at = || path.into();
    let data = || Some(tag.as_bytes().into());
    let acl = || Acl::open_unsafe_ref().into();
    let version = -1;
    let (mode, with_stat) = if other {
        (CreateMode::EphemeralSequential.into(), watch)
    } else {
        (CreateMode::Persistent.into(), watch)
    };
    let create = |path, data| MultiOp::Create {
        path,
        data,
        acl: acl(),
        mode,
        with_stat,
    };
    match body {
        0 => Request::Create {
            path: at(),
            data: data(),
            acl: acl(),
            mode,
            with_stat,
        },
        1 => Request::Delete {
            path: at(),
            version,
        },
        2 => Request::SetData {
            path: at(),
            data: data(),
            version,
        },
        3 | 4 => Request::Exists { path: at(), watch },
        5 | 6 => Request::GetData { path: at(), watch },
        7 | 8 => Request::GetChildren {
            path: at(),
            watch,
            with_stat: other,
        },
        9 => Request::AddWatch {
            path: at(),
            mode: AddWatchMode(i32::from(other)),
        },
        10 => Request::Multi(
            vec![
                create(at(), data()),
                MultiOp::Check {
                    path: at(),
                    version,
                },
            ]
            .into(),
        ),
        11 => Request::MultiRead(vec![ReadOp::GetData { path: at() }].into()),
        12 => Request::Auth {
            scheme: "digest".into(),
            data: data(),
        },
        13 => Request::Sync { path: at() },
        14 => Request::Reconfig {
            joining: Some(tag.into()),
            leaving: None,
            new_members: None,
            from_config: -1,
        },
        15 => Request::RemoveWatches {
            path: at(),
            kind: WatcherType::ANY,
        },
        16 => Request::GetAcl { path: at() },
        17 => Request::GetEphemerals { prefix: at() },
        18 => Request::GetAllChildrenNumber { path: at() },
        _ if other => Request::CheckWatches {
            path: at(),
            kind: WatcherType::DATA,
        },
        _ if watch => Request::CloseSession,
        _ => Request::WhoAmI,
    }
}
