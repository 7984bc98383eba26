//! What clients ask for: calls drawn at random, and what they are to the checkers.

use std::time::Duration;

use zk_client::{AsyncResult, Client, Error, TransactionResult, Watch};
use zk_proto::{Acl, CreateMode, Id, IntoData, Payload, Perms, ReadResult, Stat};
use zk_sim::Rng;
use zk_sim::check::{Command, Ended, Read, Reply, Strength, WatchKind, Write};

use crate::eyes::{Done, Target, below};

/// The root path of views.
pub(crate) const ROOT: &str = "/c";

/// Nodes that everybody fights for.
const PATHS: [&str; 9] = [
    "/a", "/b", "/a/x", "/a/y", "/a/x/1", "/b/q", "/c", "/c/x", "/c/y",
];

/// Nodes below [`ROOT`], as views name them.
const VIEWED: [&str; 4] = ["/x", "/y", "/x/1", "/"];

/// A node, through the view or not.
pub(crate) fn target(rng: &mut Rng, views: bool) -> Target {
    if views && rng.chance(0.25) {
        let path = VIEWED[rng.below(VIEWED.len())];
        return Target { root: ROOT, path };
    }
    let path = PATHS[rng.below(PATHS.len())];
    Target { root: "", path }
}

/// What is written, and what its kind is.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Create(Target, Vec<u8>, CreateMode, Shape),
    Delete(Target, i32),
    Set(Target, Option<Vec<u8>>, i32),
    SetAcl(Target, i32),
    Check(Target, i32),
}

/// Whether a create asks for the stat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    Path,
    WithStat,
}

impl Part {
    /// A write at random. `data` is like no other.
    pub(crate) fn draw(rng: &mut Rng, views: bool, data: Vec<u8>) -> Self {
        let target = target(rng, views);
        let version = match rng.below(5) {
            0..=2 => -1,
            _ => rng.below(3) as i32,
        };
        match rng.below(20) {
            0..=8 => {
                let target = Target {
                    // There is no node to be made where the view begins.
                    path: if target.path == "/" {
                        "/x"
                    } else {
                        target.path
                    },
                    ..target
                };
                let mode = match rng.below(8) {
                    0..=3 => CreateMode::Persistent,
                    4 | 5 => CreateMode::Ephemeral,
                    6 => CreateMode::PersistentSequential,
                    _ => CreateMode::EphemeralSequential,
                };
                let shape = match rng.below(2) {
                    0 => Shape::Path,
                    _ => Shape::WithStat,
                };
                Self::Create(target, data, mode, shape)
            }
            9..=12 => Self::Delete(target, version),
            13 => Self::SetAcl(target, version),
            14 => Self::Set(target, None, version),
            _ => Self::Set(target, Some(data), version),
        }
    }

    pub(crate) fn write(&self) -> Write {
        match self {
            Self::Create(target, data, mode, _) => Write::Create {
                path: target.whole(),
                data: Payload::from(data.clone()),
                mode: *mode,
            },
            Self::Delete(target, version) => Write::Delete {
                path: target.whole(),
                version: *version,
            },
            Self::Set(target, data, version) => Write::SetData {
                path: target.whole(),
                data: Payload::from(data.clone().map(bytes::Bytes::from)),
                version: *version,
            },
            Self::SetAcl(target, version) => Write::SetAcl {
                path: target.whole(),
                version: *version,
            },
            Self::Check(target, version) => Write::Check {
                path: target.whole(),
                version: *version,
            },
        }
    }
}

fn ended<T>(result: Result<T, Error>, reply: impl FnOnce(T) -> Reply) -> Ended {
    match result {
        Ok(value) => Ended::Reply(reply(value)),
        Err(error) => Ended::from_error(&error),
    }
}

fn done<T>(result: Result<T, Error>, reply: impl FnOnce(T) -> Reply) -> Done {
    Done {
        no_auth: matches!(result, Err(Error::NoAuth)),
        ends: vec![ended(result, reply)],
        watch: None,
    }
}

/// A result on its way, and what it will be to the checkers.
pub(crate) trait Follow {
    fn follow<T, F>(self, result: AsyncResult<T>, convert: F)
    where
        T: Send + 'static,
        F: FnOnce(Result<T, Error>) -> Done + Send + 'static;
}

/// A client, and its view of what is below [`ROOT`].
#[derive(Clone, Debug)]
pub(crate) struct Views {
    pub(crate) root: Client,
    view: Client,
}

impl Views {
    pub(crate) fn new(root: Client) -> Self {
        let view = root.chroot(ROOT).expect("the root path is well-formed");
        Self { root, view }
    }

    pub(crate) fn of(&self, target: Target) -> &Client {
        if target.root.is_empty() {
            &self.root
        } else {
            &self.view
        }
    }
}

/// Sends one write.
pub(crate) fn send_write(
    client: &Client,
    limit: Option<Duration>,
    part: &Part,
    follow: impl Follow,
) {
    match part {
        Part::Create(target, data, mode, shape) => {
            let mut op = client.create(target.path, data);
            if mode.is_ephemeral() {
                op = op.ephemeral();
            }
            if mode.is_sequential() {
                op = op.sequential();
            }
            if let Some(limit) = limit {
                op = op.timeout(limit);
            }
            let root = target.root;
            match shape {
                Shape::Path => follow.follow(op.send(), move |result| {
                    done(result, |path| Reply::Created {
                        path: below(root, &path),
                        stat: None,
                    })
                }),
                Shape::WithStat => follow.follow(op.with_stat().send(), move |result| {
                    done(result, |(path, stat)| Reply::Created {
                        path: below(root, &path),
                        stat: Some(stat),
                    })
                }),
            }
        }
        Part::Delete(target, version) => {
            let mut op = client.delete(target.path).version(*version);
            if let Some(limit) = limit {
                op = op.timeout(limit);
            }
            follow.follow(op.send(), |result| done(result, |()| Reply::Deleted));
        }
        Part::Set(target, data, version) => {
            let data = Payload::from(data.clone().map(bytes::Bytes::from));
            let mut op = client.set(target.path, data.into_data()).version(*version);
            if let Some(limit) = limit {
                op = op.timeout(limit);
            }
            follow.follow(op.send(), |result| {
                done(result, |stat| Reply::Set(Some(stat)))
            });
        }
        Part::SetAcl(target, version) => {
            let open = vec![Acl {
                perms: Perms::ALL,
                id: Id::ANYONE,
            }];
            let op = client.set_acls(target.path, open).version(*version);
            follow.follow(op.send(), |result| {
                done(result, |stat| Reply::Set(Some(stat)))
            });
        }
        // Servers do not answer it outside of a transaction.
        Part::Check(..) => {}
    }
}

/// Nodes of one program each, which nobody else may touch.
const PRIVATE: [&str; 6] = ["/p0", "/p1", "/p2", "/p3", "/p4", "/p5"];

/// The credential of all programs that have one.
pub(crate) const CREDENTIAL: &str = "app:secret";

/// The node of a program.
pub(crate) fn private(program: usize) -> Target {
    let path = PRIVATE[program % PRIVATE.len()];
    Target { root: "", path }
}

/// Makes or changes a node that only the owner of a credential may touch.
pub(crate) fn send_private(client: &Client, part: &Part, follow: impl Follow) {
    if let Part::Create(target, data, ..) = part {
        let own = vec![Acl {
            perms: Perms::ALL,
            id: Id {
                scheme: "auth".into(),
                id: "".into(),
            },
        }];
        let op = client.create(target.path, data).acl(own);
        follow.follow(op.send(), |result| {
            done(result, |path| Reply::Created { path, stat: None })
        });
    } else {
        send_write(client, None, part, follow);
    }
}

/// Sends several writes as one.
pub(crate) fn send_transaction(views: &Views, parts: &[Part], follow: impl Follow) {
    let mut transaction = views.root.transaction();
    for part in parts {
        let client = views.of(part.target());
        transaction = match part {
            Part::Create(target, data, mode, shape) => {
                let mut op = client.create(target.path, data);
                if mode.is_ephemeral() {
                    op = op.ephemeral();
                }
                if mode.is_sequential() {
                    op = op.sequential();
                }
                match shape {
                    Shape::Path => transaction.with(op),
                    Shape::WithStat => transaction.with(op.with_stat()),
                }
            }
            Part::Delete(target, version) => {
                transaction.with(client.delete(target.path).version(*version))
            }
            Part::Set(target, data, version) => {
                let data = Payload::from(data.clone().map(bytes::Bytes::from));
                transaction.with(client.set(target.path, data.into_data()).version(*version))
            }
            Part::Check(target, version) | Part::SetAcl(target, version) => {
                transaction.check(target.path, *version)
            }
        };
    }
    let roots: Vec<&'static str> = parts.iter().map(|part| part.target().root).collect();
    follow.follow(transaction.commit().send(), move |result| {
        done(result, |results| {
            let parts = results
                .into_iter()
                .zip(roots)
                .map(|(result, root)| match result {
                    TransactionResult::Created { path, stat } => Reply::Created {
                        path: below(root, &path),
                        stat,
                    },
                    TransactionResult::Deleted => Reply::Deleted,
                    TransactionResult::Set(stat) => Reply::Set(Some(stat)),
                    TransactionResult::Checked => Reply::Checked,
                });
            Reply::Multi(parts.collect())
        })
    });
}

impl Part {
    pub(crate) fn target(&self) -> Target {
        match self {
            Self::Create(target, ..)
            | Self::Delete(target, _)
            | Self::Set(target, ..)
            | Self::SetAcl(target, _)
            | Self::Check(target, _) => *target,
        }
    }

    /// The same as a part of a transaction, which sets no access control lists.
    pub(crate) fn in_transaction(self) -> Self {
        match self {
            Self::SetAcl(target, version) if target.root.is_empty() => Self::Check(target, version),
            Self::SetAcl(target, version) => Self::Delete(target, version),
            part @ (Self::Create(..) | Self::Delete(..) | Self::Set(..) | Self::Check(..)) => part,
        }
    }
}

/// A read at random.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) target: Target,
    pub(crate) what: What,
    pub(crate) strength: Strength,
    pub(crate) watched: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum What {
    Get,
    Exists,
    Children,
    ChildrenAndStat,
}

impl Look {
    pub(crate) fn draw(rng: &mut Rng, views: bool) -> Self {
        let what = match rng.below(8) {
            0..=2 => What::Get,
            3 | 4 => What::Exists,
            5 => What::Children,
            _ => What::ChildrenAndStat,
        };
        let strength = match rng.below(10) {
            0 | 1 => Strength::Synced,
            2 | 3 => Strength::Linearizable,
            _ => Strength::Plain,
        };
        let target = target(rng, views);
        let children = matches!(what, What::Children | What::ChildrenAndStat);
        Self {
            target,
            what,
            strength,
            // A recursive watch takes the place of a child watch, which comes back only after it:
            // what is answered between the two shows changes before the watch does.
            watched: rng.chance(0.35) && !(children && target.may_be_recursive()),
        }
    }

    pub(crate) fn command(&self) -> Command {
        let path = self.target.whole();
        let read = match self.what {
            What::Get => Read::Get(path),
            What::Exists => Read::Exists(path),
            What::Children | What::ChildrenAndStat => Read::Children(path),
        };
        Command::Read(read, self.strength)
    }
}

/// Sends one read.
pub(crate) fn send_read(
    client: &Client,
    limit: Option<Duration>,
    look: &Look,
    follow: impl Follow,
) {
    let (target, strength) = (look.target, look.strength);
    macro_rules! send {
        ($op:expr, $plain:expr, $watched:expr) => {{
            let mut op = $op;
            op = match strength {
                Strength::Synced => op.synced(),
                Strength::Linearizable => op.linearizable(),
                Strength::Plain | _ => op,
            };
            if let Some(limit) = limit {
                op = op.timeout(limit);
            }
            if look.watched {
                follow.follow(op.watched().send(), $watched);
            } else {
                follow.follow(op.send(), $plain);
            }
        }};
    }
    fn with_watch<T>(
        target: Target,
        kind: WatchKind,
        result: Result<T, Error>,
        split: impl FnOnce(T) -> (Reply, Watch),
    ) -> Done {
        match result {
            Ok(value) => {
                let (reply, watch) = split(value);
                Done {
                    ends: vec![Ended::Reply(reply)],
                    watch: Some((watch, target, kind)),
                    no_auth: false,
                }
            }
            Err(error) => done(Err::<(), _>(error), |()| Reply::Deleted),
        }
    }
    let data = |(data, stat): (Payload, Stat)| Reply::Data { data, stat };
    match look.what {
        What::Get => send!(
            client.get(target.path),
            move |result| done(result, data),
            move |result| with_watch(target, WatchKind::Data, result, |(d, stat, watch)| {
                (data((d, stat)), watch)
            })
        ),
        What::Exists => send!(
            client.exists(target.path),
            move |result| done(result, Reply::Exists),
            move |result| with_watch(target, WatchKind::Data, result, |(stat, watch)| {
                (Reply::Exists(stat), watch)
            })
        ),
        What::Children => send!(
            client.get_children(target.path),
            move |result| done(result, |names| children(&names, None)),
            move |result| with_watch(target, WatchKind::Children, result, |(names, watch)| {
                (children(&names, None), watch)
            })
        ),
        What::ChildrenAndStat => send!(
            client.get_children(target.path).with_stat(),
            move |result| done(result, |(names, stat)| children(&names, Some(stat))),
            move |result| with_watch(
                target,
                WatchKind::Children,
                result,
                |(names, stat, watch)| (children(&names, Some(stat)), watch)
            )
        ),
    }
}

fn children(names: &zk_proto::Children, stat: Option<Stat>) -> Reply {
    let names = names.to_vec();
    Reply::Children { names, stat }
}

/// Sends several reads as one.
pub(crate) fn send_multi_read(client: &Client, looks: &[Look], follow: impl Follow) {
    let mut op = client.multi_read();
    for look in looks {
        op = match look.what {
            What::Get | What::Exists => op.get(look.target.path),
            What::Children | What::ChildrenAndStat => op.get_children(look.target.path),
        };
    }
    let count = looks.len();
    follow.follow(op.send(), move |result| {
        let ends = match result {
            Ok(results) => results.into_iter().map(of_read).collect(),
            Err(error) => vec![Ended::from_error(&error); count],
        };
        Done {
            ends,
            watch: None,
            no_auth: false,
        }
    });
}

fn of_read(result: ReadResult) -> Ended {
    Ended::Reply(match result {
        ReadResult::Data { data, stat } => Reply::Data { data, stat },
        ReadResult::Children(names) => children(&names, None),
        ReadResult::Error(code) => Reply::Refused(code.into()),
    })
}
