//! What there is below the path, and what must have happened since.

use std::collections::BTreeSet;

use zk_client::{Children, Stat};

use crate::layout;

/// What a look at the path shows.
pub(super) struct Look {
    /// All that is there, `ready` included.
    pub(super) names: BTreeSet<String>,
    /// Creations and deletions so far.
    changes: i32,
}

impl Look {
    pub(super) fn new(children: &Children, stat: &Stat) -> Self {
        Self {
            names: children.iter().map(str::to_owned).collect(),
            changes: stat.cversion,
        }
    }

    /// The members, in the order of their names.
    pub(super) fn members(&self) -> impl DoubleEndedIterator<Item = &str> {
        let names = self.names.iter().map(String::as_str);
        names.filter(|name| *name != layout::READY)
    }

    /// Did nothing come and go since, `ready` least of all?
    pub(super) fn follows(&self, earlier: &Self) -> bool {
        let kept = self.names.contains(layout::READY) == earlier.names.contains(layout::READY);
        let changed = self.names.symmetric_difference(&earlier.names).count();
        let counted = self.changes.wrapping_sub(earlier.changes);
        kept && usize::try_from(counted) == Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(names: &[&str], changes: i32) -> Look {
        Look {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            changes,
        }
    }

    #[test]
    fn what_came_and_went_is_noticed() {
        let before = look(&["a", "b"], i32::MAX);
        let after = |names: &[&str], changes: i32| {
            look(names, i32::MAX.wrapping_add(changes)).follows(&before)
        };
        assert!(after(&["a", "b"], 0));
        assert!(after(&["a", "c"], 2));
        assert!(after(&["a", "b", "c"], 1));
        assert!(!after(&["a", "b"], 2), "something came and went");
        assert!(!after(&["a"], 3));
        assert!(!after(&["a", "b", "ready"], 1));
    }

    #[test]
    fn ready_is_no_member() {
        let look = look(&["f", "ready", "0"], 0);
        assert_eq!(look.members().collect::<Vec<_>>(), ["0", "f"]);
    }
}
