//! Calls that take several round trips: state machines over single ones, written as `async fn`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use zk_proto::{Acl, CreateMode, Data, Request, ZnodePath};

use crate::core::SessionNumber;
use crate::op::sealed::Start;
use crate::op::write::{Create, CreateReply};
use crate::op::{Kind, Launch, Op, Started};
use crate::{AsyncResult, Client, Error};

/// How often a parent may vanish between two steps before that is an error.
const ROUNDS: u32 = 8;

/// Makes `path` and what is missing above it. `client` has no root path.
///
/// Two flights at most while nobody interferes: one looks at all levels, one makes those missing.
pub(super) async fn ensure_path(
    client: Client,
    path: String,
    acl: Vec<Acl>,
    deadline: Option<Instant>,
) -> Result<(), Error> {
    let levels: Vec<&str> = levels(&path).collect();
    for _ in 0..ROUNDS {
        let Some(missing) = first_missing(&client, &levels, deadline).await? else {
            return Ok(());
        };
        let mut creates = Vec::new();
        for level in &levels[missing..] {
            let create = client.create(level, "").acl(&*acl).until(deadline);
            creates.push(create.launched().await);
        }
        let mut vanished = false;
        for create in creates {
            match create.await {
                Ok(_) | Err(Error::NodeExists) => {}
                // Somebody deleted a parent in between.
                Err(Error::NoNode) => vanished = true,
                Err(error) => return Err(error),
            }
        }
        if !vanished {
            return Ok(());
        }
    }
    Err(Error::NoNode)
}

/// Which of these nodes, each the parent of the next, is the first that does not exist?
async fn first_missing(
    client: &Client,
    levels: &[&str],
    deadline: Option<Instant>,
) -> Result<Option<usize>, Error> {
    let Some((last, above)) = levels.split_last() else {
        return Ok(None);
    };
    // Most often everything is there, and one look is enough.
    if exists(client.exists(last).until(deadline).await)? {
        return Ok(None);
    }
    let mut looks = Vec::new();
    for level in above {
        looks.push(client.exists(level).until(deadline).launched().await);
    }
    for (index, look) in looks.into_iter().enumerate() {
        if !exists(look.await)? {
            return Ok(Some(index));
        }
    }
    Ok(Some(above.len()))
}

fn exists(stat: Result<Option<zk_proto::Stat>, Error>) -> Result<bool, Error> {
    match stat {
        Ok(stat) => Ok(stat.is_some()),
        // What may not be looked at exists.
        Err(Error::NoAuth) => Ok(true),
        Err(error) => Err(error),
    }
}

/// `/a`, `/a/b`, `/a/b/c` of `/a/b/c`.
fn levels(path: &str) -> impl Iterator<Item = &str> {
    let ends = path
        .match_indices('/')
        .map(|(index, _)| index)
        .chain([path.len()]);
    ends.map(|end| &path[..end])
        .filter(|level| !level.is_empty() && !level.ends_with('/'))
}

/// A create that makes missing parents, with everything it needs its own.
pub(super) struct CreateStep<T> {
    path: ZnodePath<'static>,
    data: Data<'static>,
    acl: Vec<Acl>,
    mode: CreateMode,
    within: Option<SessionNumber>,
    gives: std::marker::PhantomData<fn() -> T>,
}

impl<T: CreateReply> CreateStep<T> {
    pub(super) fn new(create: &Create<'_, T>, launch: &Launch<'_>) -> Result<Self, Error> {
        let client = launch.client;
        Ok(Self {
            path: create.parsed_path()?.into_owned(),
            data: create.data.clone().into_owned(),
            acl: create.acl_or_default(client)?.to_vec(),
            mode: create.mode()?,
            within: launch.within,
            gives: std::marker::PhantomData,
        })
    }

    pub(super) async fn run(self, client: Client, deadline: Option<Instant>) -> Result<T, Error> {
        for _ in 0..ROUNDS {
            match Op::new(&client, Again(&self)).until(deadline).await {
                Err(Error::NoNode) => {}
                result => return result,
            }
            let Some(parent) = self.path.parent() else {
                break;
            };
            client
                .ensure_path(parent.as_str())
                .acl(&*self.acl)
                .until(deadline)
                .await?;
        }
        Err(Error::NoNode)
    }
}

/// One attempt at a [`CreateStep`].
struct Again<'a, T>(&'a CreateStep<T>);

impl<T: CreateReply> Start for Again<'_, T> {
    type Reply = T;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<T>, Error> {
        let step = self.0;
        let body = Request::Create {
            path: step.path.as_str().into(),
            data: step.data.as_cow(),
            acl: (&step.acl).into(),
            mode: step.mode.into(),
            with_stat: T::WITH_STAT,
        };
        launch.within = step.within;
        launch.request(&body, T::from_reply)
    }
}

impl<T: CreateReply> Kind for Again<'_, T> {
    type Output = T;
}

/// `future`, unless `limit` comes first.
pub(crate) async fn within<T>(
    future: impl Future<Output = Result<T, Error>>,
    limit: AsyncResult<()>,
) -> Result<T, Error> {
    let (mut future, mut limit) = (pin!(future), pin!(limit));
    poll_fn(|cx| {
        if let Poll::Ready(result) = future.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        limit
            .as_mut()
            .poll(cx)
            .map(|_| Err(Error::Timeout { sent: true }))
    })
    .await
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn levels_go_from_the_top_down() {
        assert_eq!(
            levels("/a/b/c").collect::<Vec<_>>(),
            ["/a", "/a/b", "/a/b/c"]
        );
        assert_eq!(levels("/a").collect::<Vec<_>>(), ["/a"]);
        assert_eq!(levels("/").count(), 0);
    }
}
