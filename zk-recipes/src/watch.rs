//! Watches that go on: [`DataWatch`], [`ChildrenWatch`], [`PatientChildrenWatch`].
//!
//! A watch of ZooKeeper tells once that something has changed, and not what. These read again, set
//! the next watch with the same request, and hand out what is new: as a stream, or by calling back.
//!
//! ```
//! # use std::sync::{Arc, Mutex};
//! use zk_client::{Client, Listen};
//! use zk_recipes::watch::{ChildrenWatch, DataWatch};
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let machine = sim.machine("app");
//! # let (hosts, handler) = (server.hosts(), machine.handler());
//! # sim.block_on(async {
//! let client = Client::builder(hosts).connect(handler).await?;
//!
//! // As a stream. The node need not exist.
//! let mut config = DataWatch::new(&client, "/config").changes();
//! let first = config.next().await.expect("the client is open")?;
//! assert!(first.node.is_none());
//! client.create("/config", "on").await?;
//! let second = config.next().await.expect("the client is open")?;
//! let (data, stat) = second.node.expect("it is there now");
//! assert_eq!((&*data, stat.version), (&b"on"[..], 0));
//!
//! // Calling back, as kazoo does.
//! let seen = Arc::new(Mutex::new(Vec::new()));
//! let list = Arc::clone(&seen);
//! let calls = ChildrenWatch::new(&client, "/config")
//!     .call(move |change| {
//!         let names = change.children.map(|children| children.to_vec());
//!         list.lock().expect("nobody panics").push(names);
//!         Listen::Keep
//!     })
//!     .await?;
//! assert_eq!(*seen.lock().expect("nobody panics"), [Some(vec![])]);
//! calls.detach();
//! # Ok::<(), zk_client::Error>(()) }).unwrap().unwrap();
//! ```
//!
//! # What happens to the session
//!
//! *Suspended*: nothing is seen, nothing is lost: the watch is put back, and what has changed
//! meanwhile is seen when the connection is there again. *Lost*: the node is read again in the next
//! session, and reported if it differs. The order is that of the changes; some may be left out where
//! several follow each other quickly, the last never is.
//!
//! # Cost
//!
//! One read for each change that is seen, two while there is no node, none while nothing changes.
//!
//! # Where kazoo differs
//!
//! | kazoo | here |
//! |---|---|
//! | a `ChildrenWatch` of a missing node is never called | is told that there is none, and of its creation |
//! | it ends silently when the node is deleted | is told, and goes on |
//! | `allow_session_lost=False` ends it with any lost connection | [`within_session`](ChildrenWatch::within_session) ends it with the session, and says so |
//! | lists are reported that have not changed | only if a child came or went, or the node is another |
//! | a dropped connection is passed on as an event | only changes are |
//! | a failing function with three arguments is called again with two | it is called once |
//! | errors of reads end it, and are logged | they end it, and are the last item |

mod children;
mod data;
mod patient;

pub use children::{ChildrenChange, ChildrenWatch};
pub use data::{DataWatch, NodeChange};
pub use patient::{PatientChildrenWatch, Settled};
