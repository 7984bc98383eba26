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

/// Before the counter of a `Lock`, a `WriteLock`, an `Election`.
pub const LOCK: &str = "__lock__";

/// Before the counter of a `ReadLock`.
pub const READ_LOCK: &str = "__rlock__";

/// What is added to the path of a `Semaphore` for that of its inner lock, which so is beside it.
pub const SEMAPHORE_LOCK: &str = "-__lock__";

/// Before the counter of Curator's `InterProcessMutex`, and of its other recipes on the same queue.
pub const CURATOR_LOCK: &str = "-lock-";

/// How the nodes of a lock are named.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LockLayout {
    /// `U__lock__N`: kazoo's.
    #[default]
    Kazoo,
    /// `_c_UUID-lock-N`, the `UUID` with dashes: that of Curator's `InterProcessMutex`.
    Curator,
}

/// A name, up to its counter, that nobody else has: of 32 hexadecimal digits and what the layout
/// has around them.
pub(crate) fn lock_name(layout: LockLayout, suffix: &str, id: &str) -> String {
    match layout {
        LockLayout::Kazoo => format!("{id}{suffix}"),
        LockLayout::Curator => {
            let mut uuid = id.to_owned();
            // Version 4, variant 1, as Java's `UUID.randomUUID`.
            uuid.replace_range(12..13, "4");
            uuid.replace_range(16..17, "a");
            for dash in [20, 16, 12, 8] {
                uuid.insert(dash, '-');
            }
            format!("_c_{uuid}{suffix}")
        }
    }
}

/// Is this the name of a lease of a semaphore?
pub(crate) fn is_lease(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The child of a lease that has its record.
pub const LEASE_HOLDER: &str = "lease_holder";

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_those_of_kazoo_and_curator() {
        assert_eq!(
            lock_name(LockLayout::Kazoo, LOCK, ID),
            "0123456789abcdef0123456789abcdef__lock__"
        );
        assert_eq!(
            lock_name(LockLayout::Curator, CURATOR_LOCK, ID),
            "_c_01234567-89ab-4def-a123-456789abcdef-lock-"
        );
    }

    #[test]
    fn leases_are_ids() {
        assert!(is_lease(ID));
        assert!(!is_lease("config") && !is_lease(&ID[1..]) && !is_lease(&format!("{ID}0")));
    }
}
