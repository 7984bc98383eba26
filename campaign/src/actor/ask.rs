//! What a program asks for.

use std::sync::Arc;
use std::time::Duration;

use zk_client::{AsyncResult, Error};
use zk_proto::CreateMode;
use zk_server::Release;
use zk_sim::check::{Command, OpNo, WatchKind, Write};

use super::Actor;
use crate::acts::{self, Follow, Look, Part};
use crate::eyes::Done;

impl Actor {
    /// Asks for something.
    pub(super) fn ask(&mut self) {
        let views = self.style.views;
        match self.rng.below(100) {
            0..=37 => {
                let part = self.part();
                let command = Command::Write(part.write());
                let limit = self.limit();
                let client = self.views.of(part.target()).clone();
                let follow = self.begin(vec![command]);
                acts::send_write(&client, limit, &part, follow);
            }
            38..=72 => {
                let look = Look::draw(&mut self.rng, views);
                let limit = self.limit();
                let client = self.views.of(look.target).clone();
                let follow = self.begin(vec![look.command()]);
                acts::send_read(&client, limit, &look, follow);
            }
            73..=80 => {
                let count = 1 + self.rng.below(4);
                let parts: Vec<Part> = (0..count)
                    .map(|_| match self.rng.below(5) {
                        0 => Part::Check(acts::target(&mut self.rng, false), -1),
                        _ => self.part().in_transaction(),
                    })
                    .collect();
                let write = Write::Multi(parts.iter().map(Part::write).collect());
                let views = self.views.clone();
                let follow = self.begin(vec![Command::Write(write)]);
                acts::send_transaction(&views, &parts, follow);
            }
            81..=84 => {
                let count = 1 + self.rng.below(3);
                let mut looks: Vec<Look> = Vec::new();
                for _ in 0..count {
                    let mut look = Look::draw(&mut self.rng, false);
                    look.strength = zk_sim::check::Strength::Plain;
                    if look.what == acts::What::Exists {
                        look.what = acts::What::Get;
                    }
                    looks.push(look);
                }
                let client = self.client().clone();
                let follow = self.begin(looks.iter().map(Look::command).collect());
                acts::send_multi_read(&client, &looks, follow);
            }
            85..=90 => {
                let target = acts::target(&mut self.rng, views);
                let recursive = target.may_be_recursive() && self.rng.chance(0.7);
                let client = self.views.of(target);
                let op = client.add_watch(target.path);
                let (op, kind) = if recursive {
                    (op.recursive(), WatchKind::Recursive)
                } else {
                    (op.persistent(), WatchKind::Persistent)
                };
                // Before 3.9 events have no zxid, and so an overflow of them has no known end.
                let told = self.scene.setup.release == Release::V3_9;
                let capacity = if self.rng.chance(0.1) && told {
                    2
                } else {
                    1024
                };
                let result = op.capacity(capacity).send();
                self.streams.push((target, kind, result));
            }
            91 | 92 => {
                let choice = self.rng.below(1 << 20);
                self.stage.eyes().drop_watch(choice);
            }
            93 | 94 => self.abandon(),
            95 => self.client().reconnect(),
            96 => {
                self.guard = match self.guard.take() {
                    None => Some(self.client().keep_alive_by_sync()),
                    Some(_) => None,
                };
            }
            97 => self.client().sync("/").send().detach(),
            98 if self.style.credential => self.ask_in_private(),
            _ => self.stage.eyes().claim_now(&self.views.root),
        }
    }

    /// Presents the credential, or does what only its owner may.
    fn ask_in_private(&mut self) {
        if !self.permitted {
            if self.presenting.is_none() {
                let op = self.client().add_auth("digest", acts::CREDENTIAL);
                self.presenting = Some(op.send());
            }
            return;
        }
        self.written += 1;
        let data = format!("{}-{}", self.no().0, self.written).into_bytes();
        let target = acts::private(self.style.index);
        let part = match self.rng.below(3) {
            0 => Part::Create(target, data, CreateMode::Persistent, acts::Shape::Path),
            _ => Part::Set(target, Some(data), -1),
        };
        let client = self.client().clone();
        let follow = self.begin(vec![Command::Write(part.write())]);
        acts::send_private(&client, &part, follow);
    }

    fn part(&mut self) -> Part {
        self.written += 1;
        let mut data = format!("{}-{}", self.no().0, self.written).into_bytes();
        if self.rng.chance(0.03) {
            data.resize(3000, b'.');
        }
        Part::draw(&mut self.rng, self.style.views, data)
    }

    fn limit(&mut self) -> Option<Duration> {
        let (low, high) = (Duration::from_millis(1), Duration::from_secs(3));
        let limited = self.rng.chance(0.1);
        limited.then(|| self.rng.duration(low, high))
    }

    /// Takes down that something is asked.
    fn begin(&mut self, commands: Vec<Command>) -> Following<'_> {
        self.stage.eyes().drain();
        let (at, no) = (self.machine.sim_now(), self.no());
        let recorder = &self.scene.recorder;
        let ops = commands.into_iter();
        let ops = ops.map(|command| recorder.invoke(at, (no, self.number), command));
        let ops = ops.collect();
        Following {
            calls_back: self.style.calls_back,
            actor: self,
            ops,
        }
    }
}

/// Sees to it that the end of an operation is taken down.
struct Following<'a> {
    actor: &'a mut Actor,
    ops: Vec<OpNo>,
    calls_back: bool,
}

impl Follow for Following<'_> {
    fn follow<T, F>(self, result: AsyncResult<T>, convert: F)
    where
        T: Send + 'static,
        F: FnOnce(Result<T, Error>) -> Done + Send + 'static,
    {
        let ops = self.ops;
        if self.calls_back {
            let stage = Arc::clone(&self.actor.stage);
            result.on_complete(move |result| {
                if !stage.over() {
                    stage.eyes().finish(&ops, convert(result));
                }
            });
        } else {
            let ending = Box::pin(async move { convert(result.await) });
            self.actor.pending.push((ops, ending));
        }
    }
}
