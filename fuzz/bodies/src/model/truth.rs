//! What the model answers, and whether that is what was said.

use std::cmp::Ordering;

use zk_proto::{
    Children, CreateMode, ErrorCode, MultiOp, MultiResult, Payload, ReadOp, ReadResult, Reply,
    Request, SessionId, Stat,
};
use zk_sim::check::{Read, Refusal, Reply as Answer, Stamp, Tree, Write};

use super::Shared;

/// An answer in the model's words.
#[derive(Clone, Debug)]
pub(super) enum Truth {
    Model(Answer),
    Reads(Vec<Answer>),
    Paths(Vec<String>),
    Path(String),
    Count(usize),
    Empty,
}

impl Shared {
    /// Carries a request out on the model, as the server just has; `None` for what the session asks
    /// for itself.
    pub(super) fn truth(&mut self, session: SessionId, request: &Request<'_>) -> Option<Truth> {
        let stamp = self.stamp();
        let path = || request.path().unwrap_or_default().to_owned();
        Some(Truth::Model(match request {
            Request::Exists { .. } => self.tree.read(&Read::Exists(path())),
            Request::GetData { .. } => self.tree.read(&Read::Get(path())),
            Request::GetChildren { .. } => self.tree.read(&Read::Children(path())),
            Request::MultiRead(ops) => {
                return Some(Truth::Reads(
                    ops.iter().map(|op| read(&self.tree, op)).collect(),
                ));
            }
            Request::Sync { path } => return Some(Truth::Path(path.as_ref().to_owned())),
            Request::AddWatch { .. } => return Some(Truth::Empty),
            Request::GetEphemerals { prefix } => {
                let own = |path: &&str| {
                    let stat = self.tree.read(&Read::Exists((*path).to_owned()));
                    path.starts_with(prefix.as_ref())
                        && matches!(stat, Answer::Exists(Some(stat)) if stat.ephemeral_owner == session)
                };
                let paths = self.tree.paths().filter(own).map(str::to_owned);
                return Some(Truth::Paths(paths.collect()));
            }
            Request::GetAllChildrenNumber { path } => {
                if let Answer::Refused(refusal) =
                    self.tree.read(&Read::Get(path.as_ref().to_owned()))
                {
                    return Some(Truth::Model(Answer::Refused(refusal)));
                }
                let above = format!("{}/", path.trim_end_matches('/'));
                let below = |path: &&str| path.starts_with(&above) && path.len() > above.len();
                return Some(Truth::Count(self.tree.paths().filter(below).count()));
            }
            _ => {
                let write = write(request)?;
                self.write(session, stamp, &write)
            }
        }))
    }

    fn write(&mut self, session: SessionId, stamp: Stamp, write: &Write) -> Answer {
        match self.tree.write(session, stamp, write) {
            Ok((answer, effects)) => {
                self.changed(stamp.zxid, &effects);
                answer
            }
            Err(refusal) => Answer::Refused(refusal),
        }
    }
}

fn read(tree: &Tree, op: &ReadOp<'_>) -> Answer {
    match op {
        ReadOp::GetData { path } => tree.read(&Read::Get(path.as_ref().to_owned())),
        ReadOp::GetChildren { path } => tree.read(&Read::Children(path.as_ref().to_owned())),
    }
}

fn write(request: &Request<'_>) -> Option<Write> {
    Some(match request {
        Request::Create {
            path, data, mode, ..
        } => create(path, data.as_deref(), mode.known()?),
        Request::Delete { path, version } => Write::Delete {
            path: path.as_ref().to_owned(),
            version: *version,
        },
        Request::SetData {
            path,
            data,
            version,
        } => Write::SetData {
            path: path.as_ref().to_owned(),
            data: payload(data.as_deref()),
            version: *version,
        },
        Request::SetAcl { path, version, .. } => Write::SetAcl {
            path: path.as_ref().to_owned(),
            version: *version,
        },
        Request::Multi(ops) => Write::Multi(ops.iter().filter_map(part).collect()),
        _ => return None,
    })
}

fn part(op: &MultiOp<'_>) -> Option<Write> {
    Some(match op {
        MultiOp::Create {
            path, data, mode, ..
        } => create(path, data.as_deref(), mode.known()?),
        MultiOp::Delete { path, version } => Write::Delete {
            path: path.as_ref().to_owned(),
            version: *version,
        },
        MultiOp::SetData {
            path,
            data,
            version,
        } => Write::SetData {
            path: path.as_ref().to_owned(),
            data: payload(data.as_deref()),
            version: *version,
        },
        MultiOp::Check { path, version } => Write::Check {
            path: path.as_ref().to_owned(),
            version: *version,
        },
    })
}

fn create(path: &str, data: Option<&[u8]>, mode: CreateMode) -> Write {
    Write::Create {
        path: path.to_owned(),
        data: payload(data),
        mode,
    }
}

fn payload(data: Option<&[u8]>) -> Payload {
    data.map_or_else(Payload::null, Payload::from)
}

impl Truth {
    /// Is this what was said?
    pub(super) fn is(&self, said: &Result<Reply, ErrorCode>) -> bool {
        match (self, said) {
            (Self::Model(Answer::Exists(None)), Err(code)) => *code == ErrorCode::NO_NODE,
            (Self::Model(Answer::Refused(refusal)), Ok(Reply::Multi(results))) => {
                failed(*refusal, results)
            }
            (Self::Model(Answer::Refused(refusal)), Err(code)) => refusal.code == *code,
            (Self::Model(answer), Ok(reply)) => one(answer, reply),
            (Self::Reads(answers), Ok(Reply::MultiRead(results))) => {
                answers.len() == results.len()
                    && answers
                        .iter()
                        .zip(results)
                        .all(|(one, result)| part_of(one, result))
            }
            (Self::Paths(paths), Ok(Reply::Ephemerals(said))) => {
                let mut said = said.clone();
                said.sort_unstable();
                said == *paths
            }
            (Self::Path(path), Ok(Reply::Path(said))) => path == said,
            (Self::Count(count), Ok(Reply::Count(said))) => i32::try_from(*count) == Ok(*said),
            (Self::Empty, Ok(Reply::Empty)) => true,
            _ => false,
        }
    }
}

fn one(answer: &Answer, reply: &Reply) -> bool {
    match (answer, reply) {
        (Answer::Created { path, .. }, Reply::Path(said)) => path == said,
        (
            Answer::Created { path, stat },
            Reply::Created {
                path: said,
                stat: told,
            },
        ) => path == said && *stat == Some(*told),
        (Answer::Deleted, Reply::Empty) => true,
        (Answer::Set(stat) | Answer::Exists(stat), Reply::Stat(said)) => *stat == Some(*said),
        (
            Answer::Data { data, stat },
            Reply::Data {
                data: said,
                stat: told,
            },
        ) => data == said && stat == told,
        (Answer::Children { names, .. }, Reply::Children(said)) => same(names, said),
        (
            Answer::Children { names, stat },
            Reply::ChildrenStat {
                children,
                stat: told,
            },
        ) => same(names, children) && *stat == Some(*told),
        (Answer::Multi(answers), Reply::Multi(results)) => {
            answers.len() == results.len()
                && answers
                    .iter()
                    .zip(results)
                    .all(|(answer, result)| done(answer, result))
        }
        _ => false,
    }
}

fn done(answer: &Answer, result: &MultiResult) -> bool {
    let fits = |truth: &Option<Stat>, said: &Option<Stat>| said.is_none() || said == truth;
    match (answer, result) {
        (
            Answer::Created { path, stat },
            MultiResult::Created {
                path: said,
                stat: told,
            },
        ) => path == said && fits(stat, told),
        (Answer::Deleted, MultiResult::Deleted) | (Answer::Checked, MultiResult::Checked) => true,
        (Answer::Set(stat), MultiResult::Set(said)) => *stat == Some(*said),
        _ => false,
    }
}

/// A multi that failed says where.
fn failed(refusal: Refusal, results: &[MultiResult]) -> bool {
    results.iter().enumerate().all(|(index, result)| {
        let code = match index.cmp(&refusal.index) {
            Ordering::Less => ErrorCode::OK,
            Ordering::Equal => refusal.code,
            Ordering::Greater => ErrorCode::RUNTIME_INCONSISTENCY,
        };
        *result == MultiResult::Error(code)
    })
}

fn part_of(answer: &Answer, result: &ReadResult) -> bool {
    match (answer, result) {
        (
            Answer::Data { data, stat },
            ReadResult::Data {
                data: said,
                stat: told,
            },
        ) => data == said && stat == told,
        (Answer::Children { names, .. }, ReadResult::Children(said)) => same(names, said),
        (Answer::Refused(refusal), ReadResult::Error(code)) => refusal.code == *code,
        _ => false,
    }
}

fn same(names: &[String], said: &Children) -> bool {
    said.sorted().iter().eq(names.iter())
}
