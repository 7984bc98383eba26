//! [`Party`] and [`ShallowParty`]: who is there.
//!
//! ```
//! use zk_client::Client;
//! use zk_recipes::party::Party;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let machine = sim.machine("app");
//! # let (hosts, handler) = (server.hosts(), machine.handler());
//! # sim.block_on(async {
//! let client = Client::builder(hosts).connect(handler).await?;
//! let (one, two) = (
//!     Party::new(&client, "/party").identifier("one"),
//!     Party::new(&client, "/party").identifier("two"),
//! );
//! one.join().await?;
//! two.join().await?;
//! assert_eq!(one.members().await?, ["one", "two"]);
//! assert!(two.leave().await?);
//! assert_eq!(one.len().await?, 1);
//! # Ok::<(), zk_client::Error>(()) }).unwrap().unwrap();
//! ```
//!
//! # On the server
//!
//! A [`Party`]'s member is `PATH/U__party__`, ephemeral, with its identifier as data; a
//! [`ShallowParty`]'s is `PATH/U-IDENTIFIER`, so that who is there can be read from one list. Both are
//! kazoo's.
//!
//! # What happens to the session
//!
//! *Suspended*: still a member, until the servers drop the session. *Lost*: no member any more, and
//! [`participating`](Party::participating) says so; one that is [`rejoining`](Party::rejoining) is a
//! member again in the next session, and [`presence`](Party::presence) tells of the gap.
//!
//! # Cost
//!
//! Two requests to join, one to leave. `members` takes one list, and for a [`Party`] one read for each
//! member, all in one flight.
//!
//! # Where kazoo differs
//!
//! | kazoo | here |
//! |---|---|
//! | `participating` stays true after the session was lost | it is that of the live session |
//! | no member joins again by itself | one does that is told to |
//! | a `ShallowParty` takes every child for a member | only those with a dash, which all members have |
//! | a node left behind by the last session counts as joined | it is waited for to go, and made again |

use std::fmt;

use zk_client::{AsyncResult, Children, Client, Error, RecipeError};

use crate::again::alive;
use crate::layout;
use crate::persistent_node::{PersistentNode, Presence};
use crate::watch::ChildrenWatch;
use crate::{Changes, Pending};

/// Who is there, whatever their identifiers. See the [module](self).
///
/// Clones are the same member, and keep the client open. When the last one is dropped, it leaves.
#[derive(Clone)]
pub struct Party(Member);

/// Who is there, with identifiers in the names of nodes. See the [module](self).
///
/// Clones are the same member, and keep the client open. When the last one is dropped, it leaves.
#[derive(Clone)]
pub struct ShallowParty(Member);

#[derive(Clone)]
struct Member {
    client: Client,
    path: String,
    unique: String,
    identifier: String,
    rejoining: bool,
    kind: Kind,
    node: PersistentNode,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Deep,
    Shallow,
}

/// The calls that both kinds have.
macro_rules! parties {
    ($($party:ident of $kind:ident)+) => {$(
        impl $party {
            /// A member of the party at `path`, that has not joined yet. Its identifier is the
            /// host's name and the process id.
            pub fn new(client: &Client, path: &str) -> Self {
                Self(Member::new(client, path, Kind::$kind))
            }

            /// Its name among the members. It need not be the only one of that name.
            pub fn identifier(self, identifier: impl Into<String>) -> Self {
                Self(self.0.with(|member| member.identifier = identifier.into()))
            }

            /// It joins again by itself after its session was lost.
            pub fn rejoining(self) -> Self {
                Self(self.0.with(|member| member.rejoining = true))
            }

            #[cfg(zk_planted)]
            #[doc(hidden)]
            pub fn planted(mut self, planted: crate::Planted) -> Self {
                self.0.node = self.0.node.planted(planted);
                self
            }

            /// Joins, and resolves when it is a member. Joining again is fine. Dropping this before
            /// it is done takes it back.
            ///
            /// # Errors
            /// [`RecipeError::OutOfBounds`] for an identifier with a slash that is to be in a name;
            /// [`Error::NoAuth`], [`Error::Path`]; what has ended the client.
            pub fn join(&self) -> Pending<()> {
                self.0.join()
            }

            /// Leaves, and resolves when it is no member: `false` if it was none.
            ///
            /// # Errors
            /// [`Error::NoAuth`], what has ended the client.
            pub fn leave(&self) -> Pending<bool> {
                self.0.node.close()
            }

            /// Is it a member, as far as this client knows?
            pub fn participating(&self) -> bool {
                self.0.node.is_present()
            }

            /// Whether it is a member, now and at every change, as a stream.
            pub fn presence(&self) -> Changes<Presence> {
                self.0.node.changes()
            }

            /// The identifiers of all members.
            ///
            /// # Errors
            /// [`Error::NoAuth`], [`Error::Path`]; those of a lost connection.
            pub fn members(&self) -> Pending<Vec<String>> {
                let Member { client, path, kind, .. } = self.0.clone();
                Pending::new(&self.0.client, async move { members(&client, &path, kind).await })
            }

            /// How many members there are.
            ///
            /// # Errors
            /// As [`members`](Self::members).
            pub fn len(&self) -> Pending<usize> {
                let Member { client, path, kind, .. } = self.0.clone();
                Pending::new(&self.0.client, async move {
                    let names = list(&client, &path).await?;
                    Ok(names.map_or(0, |names| kind.nodes(&names).count()))
                })
            }

            /// The identifiers of all members, now and whenever one has come or gone, as a stream.
            pub fn members_changes(&self) -> Changes<Vec<String>> {
                self.0.members_changes()
            }
        }

        impl fmt::Debug for $party {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($party))
                    .field("path", &self.0.path)
                    .field("identifier", &self.0.identifier)
                    .field("participating", &self.participating())
                    .finish_non_exhaustive()
            }
        }
    )+};
}

parties! {
    Party of Deep
    ShallowParty of Shallow
}

impl ShallowParty {
    /// The name of its node.
    pub(crate) fn node_name(&self) -> &str {
        let path = self.0.node.path();
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }
}

impl Member {
    fn new(client: &Client, path: &str, kind: Kind) -> Self {
        let path = path.trim_end_matches('/');
        let member = Self {
            client: client.clone(),
            path: path.to_owned(),
            unique: client.unique_id(),
            identifier: client.identity().to_owned(),
            rejoining: false,
            kind,
            node: PersistentNode::new(client, path, ""),
        };
        member.with(|_| {})
    }

    /// The same member, refined.
    fn with(mut self, refine: impl FnOnce(&mut Self)) -> Self {
        refine(&mut self);
        let name = match self.kind {
            Kind::Deep => format!("{}{}", self.unique, layout::PARTY),
            Kind::Shallow => format!("{}-{}", self.unique, self.identifier),
        };
        let path = format!("{}/{name}", self.path);
        let node = PersistentNode::new(&self.client, &path, self.identifier.as_str());
        self.node = if self.rejoining {
            node
        } else {
            node.within_session()
        };
        self
    }

    fn join(&self) -> Pending<()> {
        let (node, client) = (self.node.clone(), &self.client);
        if matches!(self.kind, Kind::Shallow) && self.identifier.contains('/') {
            let error = RecipeError::OutOfBounds {
                what: "the identifier",
                bounds: "it must not have a slash, as it is part of a node's name",
            };
            return Pending::new(client, async move { Err(error.into()) });
        }
        node.start()
    }

    fn members_changes(&self) -> Changes<Vec<String>> {
        let (path, kind) = (above(&self.path).to_owned(), self.kind);
        let mut lists = ChildrenWatch::new(&self.client, &path).changes();
        Changes::new(&self.client, |weak, outlet| async move {
            while let Some(change) = lists.next().await {
                let names = change?.children;
                let names: Vec<String> = match names {
                    Some(names) => kind.nodes(&names).map(str::to_owned).collect(),
                    None => Vec::new(),
                };
                let members = match kind {
                    Kind::Shallow => kind.identifiers(names),
                    Kind::Deep => loop {
                        let reads = reads(&alive(&weak)?, &path, &names).await;
                        match gather(reads).await {
                            Ok(members) => break members,
                            Err(error) => crate::again::after(&weak, error).await?,
                        }
                    },
                };
                outlet.put(members).await;
            }
            Ok(())
        })
    }
}

impl Kind {
    /// The nodes of members.
    fn nodes(self, names: &Children) -> impl Iterator<Item = &str> {
        names.iter().filter(move |name| match self {
            Self::Deep => name.contains(layout::PARTY),
            Self::Shallow => name.contains('-'),
        })
    }

    /// What stands in the names of a shallow party, sorted.
    fn identifiers(self, names: Vec<String>) -> Vec<String> {
        let parts = names.iter().filter_map(|name| name.split_once('-'));
        let mut identifiers: Vec<_> = parts.map(|(_, identifier)| identifier.to_owned()).collect();
        identifiers.sort();
        identifiers
    }
}

fn above(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

async fn list(client: &Client, path: &str) -> Result<Option<Children>, Error> {
    match client.get_children(above(path)).await {
        Ok(names) => Ok(Some(names)),
        Err(Error::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn members(client: &Client, path: &str, kind: Kind) -> Result<Vec<String>, Error> {
    let Some(names) = list(client, path).await? else {
        return Ok(Vec::new());
    };
    let names: Vec<String> = kind.nodes(&names).map(str::to_owned).collect();
    match kind {
        Kind::Shallow => Ok(kind.identifiers(names)),
        Kind::Deep => gather(reads(client, above(path), &names).await).await,
    }
}

type Reading = AsyncResult<(zk_client::Payload, zk_client::Stat)>;

/// Asks for the data of all these nodes, in one flight.
async fn reads(client: &Client, path: &str, names: &[String]) -> Vec<Reading> {
    let mut reads = Vec::with_capacity(names.len());
    let above = path.trim_end_matches('/');
    for name in names {
        let path = format!("{above}/{name}");
        reads.push(client.get(&path).launched().await);
    }
    reads
}

/// The identifiers, in the order in which the members have joined. Those that left meanwhile are
/// left out.
async fn gather(reads: Vec<Reading>) -> Result<Vec<String>, Error> {
    let mut members = Vec::with_capacity(reads.len());
    for read in reads {
        match read.await {
            Ok((data, stat)) => {
                members.push((stat.czxid, String::from_utf8_lossy(&data).into_owned()));
            }
            Err(Error::NoNode) => {}
            Err(error) => return Err(error),
        }
    }
    members.sort();
    Ok(members
        .into_iter()
        .map(|(_, identifier)| identifier)
        .collect())
}
