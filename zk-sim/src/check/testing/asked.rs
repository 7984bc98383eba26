//! What the clients of a [`World`] ask for.

use bytes::Bytes;
use rand_chacha::rand_core::RngCore;
use zk_proto::{CreateMode, Payload};

use super::super::{Command, Read, Strength, Write};
use super::World;

impl World {
    pub(super) fn path(&mut self, at: usize) -> String {
        let owner = if self.plan.shared { 0 } else { at };
        match self.below(8) {
            0 => format!("/n{owner}"),
            1 => format!("/n{owner}/a"),
            2 => format!("/n{owner}/b"),
            3 => format!("/n{owner}/b/c"),
            more => format!("/m{owner}-{}", more % 3),
        }
    }

    pub(super) fn write(&mut self, at: usize, nested: bool) -> Write {
        let path = self.path(at);
        let version = if self.below(3) == 0 {
            self.below(3) as i32
        } else {
            -1
        };
        let data = Payload::from(Bytes::from(self.rng.next_u32().to_be_bytes().to_vec()));
        match self.below(if nested { 12 } else { 10 }) {
            0..=2 => {
                let mode = match self.below(6) {
                    0 => CreateMode::Ephemeral,
                    1 => CreateMode::PersistentSequential,
                    _ => CreateMode::Persistent,
                };
                Write::Create { path, data, mode }
            }
            3..=5 => Write::SetData {
                path,
                data,
                version,
            },
            6..=7 => Write::Delete { path, version },
            8 => Write::SetAcl { path, version },
            9 => Write::Multi(
                (0..3)
                    .map(|_| self.write(at, true))
                    .filter(is_single)
                    .collect(),
            ),
            _ => Write::Check { path, version },
        }
    }

    pub(super) fn submit(&mut self, at: usize) {
        self.begun += 1;
        let command = if self.below(2) == 0 {
            Command::Write(self.write(at, false))
        } else {
            let path = self.path(at);
            let read = match self.below(3) {
                0 => Read::Get(path),
                1 => Read::Exists(path),
                _ => Read::Children(path),
            };
            let strength = match self.below(4) {
                0 => Strength::Linearizable,
                1 => Strength::Synced,
                _ => Strength::Plain,
            };
            Command::Read(read, strength)
        };
        let op = self
            .history
            .invoke(self.now, self.peers[at].no, command.clone());
        self.peers[at].queue.push_back((op, command, true));
    }
}

fn is_single(write: &Write) -> bool {
    !matches!(write, Write::Multi(_))
}
