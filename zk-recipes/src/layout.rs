//! Everything that recipes leave on a server, in one place: names, kinds of znodes, formats.
//!
//! Unless said otherwise this is what kazoo 2.11 writes and reads, to the byte. `U` is 32 lower-case
//! hexadecimal digits ([`Client::unique_id`](zk_client::Client::unique_id)), `N` the counter of ten
//! digits that the server appends; E is ephemeral, P persistent, S sequential. Parents are made with
//! the client's default list of permissions and without data.
//!
//! | recipe | znode | kind | data |
//! |---|---|---|---|
//! | `Lock`, `WriteLock`, `Election` | `PATH/U__lock__N` | E, S | identifier |
//! | `ReadLock` | `PATH/U__rlock__N` | E, S | identifier |
//! | `Semaphore` | `PATH` | P | the number of leases, in decimal |
//! | | `PATH/U` | E | identifier |
//! | | `PATH-__lock__/U__lock__N` | E, S | the inner lock |
//! | `NonBlockingLease` | `PATH/lease_holder` | P | JSON |
//! | | `PATH/U__lock__N` | E, S | the inner lock |
//! | `MultiNonBlockingLease` | `PATH/I/…` | | a `NonBlockingLease` each, `I` from 0 |
//! | `Barrier` | `PATH` | P | none |
//! | `DoubleBarrier` | `PATH/U` | E | identifier |
//! | | `PATH/ready` | P | none |
//! | `Counter` | `PATH` | P | a number in decimal, or four bytes for Curator |
//! | `Party` | `PATH/U__party__` | E | identifier |
//! | `ShallowParty` | `PATH/U-IDENTIFIER` | E | identifier |
//! | `SetPartitioner` | `PATH/locks/ITEM/U__lock__N` | E, S | none |
//! | | `PATH/party/U-IDENTIFIER` | E | identifier |
//! | `Queue` | `PATH/entry-PPP-N` | P, S | the item; `PPP` is its priority |
//! | `LockingQueue` | `PATH/entries/entry-PPP-N` | P, S | the item |
//! | | `PATH/taken/ENTRY` | E | `U` of the taker |

/// What stands in the names of a party's members.
pub const PARTY: &str = "__party__";

/// The child of a double barrier that says that all are there.
pub const READY: &str = "ready";

/// What the names of items begin with; the priority, a dash and the counter follow.
pub const ENTRY: &str = "entry";

/// Where a locking queue has its items.
pub const ENTRIES: &str = "entries";

/// Where a locking queue has its claims, under the names of the items.
pub const TAKEN: &str = "taken";
