//! Which calls can be retried, and what is done when their answers are lost.

use std::borrow::Cow;
use std::sync::Arc;

use crate::op::delete::{Delete, Sync};
use crate::op::protected::{Mark, Unclaimed};
use crate::op::retry::{Attempts, Doubt, PathsOf, Resolved, Resolver, Rule};
use crate::op::transaction::{Commit, TransactionResult, is_any};
use crate::op::tree::DeleteTree;
use crate::op::write::{Create, CreateReply, EnsurePath, SetAcls, SetData};
use crate::op::{AddWatch, Kind, MultiRead, Read, ReadKind, Watchable, Watched, WhoAmI};
use crate::{Client, Error};

/// A call that [`Client::retry`] can make again and again.
pub trait Retryable: Kind + private::Retry {}

pub(super) mod private {
    use super::{Attempts, Client, Error, Kind};

    #[expect(unnameable_types, reason = "only this crate implements it")]
    pub trait Retry: Kind {
        /// The same call with everything it needs its own.
        type Owned: Kind<Output = Self::Output> + 'static;

        fn attempts(self, client: &Client) -> Result<Attempts<Self::Owned>, Error>;
    }
}

fn attempts<K: Kind>(kind: K, rule: Rule<K::Output>) -> Attempts<K> {
    Attempts {
        kind,
        rule,
        session_bound: false,
        cleanup: None,
    }
}

/// Calls that can be repeated whatever became of them.
macro_rules! repeatable {
    ($($kind:ident<'_ $(, $param:ident: $bound:ident)?> by $rule:ident, |$call:ident| $owned:expr;)+) => {$(
        impl<$($param: $bound)?> Retryable for $kind<'_ $(, $param)?> {}

        impl<$($param: $bound)?> private::Retry for $kind<'_ $(, $param)?> {
            type Owned = $kind<'static $(, $param)?>;

            fn attempts(self, _: &Client) -> Result<Attempts<Self::Owned>, Error> {
                let $call = self;
                Ok(attempts($owned, Rule::$rule))
            }
        }
    )+};
}

repeatable! {
    Read<'_, R: ReadKind> by Read, |read| read.into_owned();
    Watched<'_, R: Watchable> by Read, |watched| Watched(watched.0.into_owned());
    AddWatch<'_> by Read, |add| add.into_owned();
    MultiRead<'_> by Read, |read| read.into_owned();
    Sync<'_> by Read, |sync| Sync { path: owned(sync.path) };
    // What somebody else has made is as good.
    EnsurePath<'_> by Read, |ensure| EnsurePath {
        path: owned(ensure.path),
        acl: Cow::Owned(ensure.acl.into_owned()),
    };
    // What is gone already is as good.
    DeleteTree<'_> by Write, |tree| tree.into_owned();
}

fn owned(path: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(path.into_owned())
}

impl Retryable for WhoAmI {}

impl private::Retry for WhoAmI {
    type Owned = Self;

    fn attempts(self, _: &Client) -> Result<Attempts<Self>, Error> {
        Ok(attempts(self, Rule::Read))
    }
}

/// A write with a version may fail on its own success.
fn by_version<T>(version: i32, any: Rule<T>) -> Rule<T> {
    if is_any(version) {
        any
    } else {
        Rule::Refuse(Doubt::Versioned)
    }
}

impl Retryable for SetData<'_> {}

impl private::Retry for SetData<'_> {
    type Owned = SetData<'static>;

    fn attempts(self, _: &Client) -> Result<Attempts<Self::Owned>, Error> {
        let rule = by_version(self.version, Rule::Write);
        let set = SetData {
            path: owned(self.path),
            data: self.data.into_owned(),
            version: self.version,
        };
        Ok(attempts(set, rule))
    }
}

impl Retryable for SetAcls<'_> {}

impl private::Retry for SetAcls<'_> {
    type Owned = SetAcls<'static>;

    fn attempts(self, _: &Client) -> Result<Attempts<Self::Owned>, Error> {
        let rule = by_version(self.version, Rule::Write);
        let set = SetAcls {
            path: owned(self.path),
            acl: Cow::Owned(self.acl.into_owned()),
            version: self.version,
        };
        Ok(attempts(set, rule))
    }
}

impl Retryable for Delete<'_> {}

impl private::Retry for Delete<'_> {
    type Owned = Delete<'static>;

    fn attempts(self, _: &Client) -> Result<Attempts<Self::Owned>, Error> {
        let rule = by_version(self.version, Rule::Delete(()));
        let delete = Delete {
            path: owned(self.path),
            version: self.version,
            urgent: self.urgent,
        };
        Ok(attempts(delete, rule))
    }
}

impl<T: CreateReply> Retryable for Create<'_, T> {}

impl<T: CreateReply> private::Retry for Create<'_, T> {
    type Owned = Create<'static, T>;

    fn attempts(self, client: &Client) -> Result<Attempts<Self::Owned>, Error> {
        let create = self.into_owned();
        let session_bound = create.is_ephemeral();
        let (create, rule, cleanup) = if create.protected {
            let (create, mark) = create.marked(client)?;
            let cleanup = Unclaimed::new(client, vec![(client.clone(), mark.clone())]);
            let paths: PathsOf<T> = Box::new(|made| vec![made.path().to_owned()]);
            (create, protected(mark), Some((cleanup, paths)))
        } else if create.sequential {
            (create, Rule::Refuse(Doubt::Sequential), None)
        } else {
            let mark = create.mark(client)?;
            let rule = if session_bound {
                protected(mark)
            } else {
                plain(mark)
            };
            (create, rule, None)
        };
        Ok(Attempts {
            kind: create,
            rule,
            session_bound,
            cleanup,
        })
    }
}

/// A create whose node is known as its own: by the id in its name, or as one of this session that
/// was not there before.
fn protected<T: CreateReply>(mark: Mark) -> Rule<T> {
    let mark = Arc::new(mark);
    let resolver: Resolver<T> = Box::new(move |client, deadline| {
        let mark = Arc::clone(&mark);
        Box::pin(async move {
            Ok(match mark.find(&client, deadline).await? {
                Some((path, stat)) => Resolved::Applied(T::from_found(path, stat)),
                None => Resolved::NotApplied,
            })
        })
    });
    Rule::Look(resolver, Doubt::Exists)
}

/// A create whose node may be anybody's: if there is one that was not there before, nobody knows.
fn plain<T>(mark: Mark) -> Rule<T> {
    let mark = Arc::new(mark);
    let resolver: Resolver<T> = Box::new(move |client, deadline| {
        let mark = Arc::clone(&mark);
        Box::pin(async move {
            Ok(match mark.find(&client, deadline).await? {
                Some(_) => Resolved::Unknown,
                None => Resolved::NotApplied,
            })
        })
    });
    Rule::Look(resolver, Doubt::Exists)
}

impl Retryable for Commit<'_> {}

impl private::Retry for Commit<'_> {
    type Owned = Commit<'static>;

    fn attempts(self, client: &Client) -> Result<Attempts<Self::Owned>, Error> {
        let session_bound = self.is_session_bound();
        let commit = self.into_owned();
        let rule = match commit.marks().next() {
            None if commit.is_empty() => Rule::Read,
            None => Rule::Refuse(Doubt::Transaction),
            Some((_, chroot, mark)) => {
                let (mark, outline) = (Arc::new(mark.clone()), Arc::new(commit.outline()));
                let chroot = chroot.clone();
                let resolver: Resolver<_> = Box::new(move |client, deadline| {
                    let (mark, outline) = (Arc::clone(&mark), Arc::clone(&outline));
                    let view = client.below(&chroot);
                    Box::pin(async move {
                        Ok(match mark.find(&view, deadline).await? {
                            Some(found) => Resolved::Applied(outline.results(&found)?),
                            None => Resolved::NotApplied,
                        })
                    })
                });
                Rule::Look(resolver, Doubt::Transaction)
            }
        };
        let nodes = commit
            .marks()
            .map(|(_, chroot, mark)| (client.below(chroot), mark.clone()));
        let nodes: Vec<_> = nodes.collect();
        let cleanup = (!nodes.is_empty()).then(|| {
            let places: Vec<usize> = commit.marks().map(|(place, ..)| place).collect();
            let paths: PathsOf<Vec<TransactionResult>> = Box::new(move |results| {
                let path = |place: &usize| results.get(*place).and_then(TransactionResult::path);
                let paths = places.iter().map(path);
                paths
                    .map(|path| path.unwrap_or_default().to_owned())
                    .collect()
            });
            (Unclaimed::new(client, nodes), paths)
        });
        Ok(Attempts {
            kind: commit,
            rule,
            session_bound,
            cleanup,
        })
    }
}
