//! The names of items, and their order.

use std::collections::VecDeque;

use zk_client::{Children, Error, RecipeError};
use zk_proto::Sequence;

use crate::layout::ENTRY;

/// The priority of items that are put without one.
pub(crate) const PRIORITY: u16 = 100;

/// The path by which an item is made: the server appends its counter.
///
/// # Errors
/// [`RecipeError::OutOfBounds`]
pub(crate) fn path(parent: &str, priority: u16) -> Result<String, Error> {
    if priority > 999 {
        return Err(Error::Recipe(RecipeError::OutOfBounds {
            what: "the priority",
            bounds: "0 to 999",
        }));
    }
    Ok(format!("{parent}/{ENTRY}-{priority:03}-"))
}

/// The names in the order in which they are to be taken: by their texts, as kazoo sorts them, and
/// by their counters around the wrap.
pub(crate) fn in_order(names: &Children) -> VecDeque<String> {
    // Any of them: all were made within half of the counter's range.
    let origin = names.iter().find_map(|name| split(name).1);
    let mut names: Vec<&str> = names.iter().collect();
    names.sort_by_cached_key(|name| {
        let (text, counter) = split(name);
        let distance = counter.zip(origin).map(|(a, b)| a.distance_from(b));
        (text, distance, *name)
    });
    names.into_iter().map(str::to_owned).collect()
}

/// What the client chose, and the counter, of an item of a queue; all of another name.
fn split(name: &str) -> (&str, Option<Sequence>) {
    let prefix = ENTRY.len() + "-000-".len();
    let parts = name.split_at_checked(prefix);
    let parts = parts.and_then(|(text, _)| Some((text, Sequence::parse_after(text, name)?)));
    match parts {
        Some((text, counter)) if text.starts_with(ENTRY) => (text, Some(counter)),
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&str]) -> Vec<String> {
        let names = Children::from_iter(names.iter().copied());
        in_order(&names).into()
    }

    #[test]
    fn lower_priorities_come_first_and_then_older_items() {
        assert_eq!(
            sorted(&[
                "entry-100-0000000003",
                "entry-100-0000000001",
                "entry-999-0000000000",
                "entry-005-0000000004",
            ]),
            [
                "entry-005-0000000004",
                "entry-100-0000000001",
                "entry-100-0000000003",
                "entry-999-0000000000",
            ]
        );
    }

    #[test]
    fn the_order_goes_on_when_the_counter_wraps() {
        assert_eq!(
            sorted(&[
                "entry-100--2147483648",
                "entry-100-2147483647",
                "entry-100--2147483647"
            ]),
            [
                "entry-100-2147483647",
                "entry-100--2147483648",
                "entry-100--2147483647"
            ]
        );
    }

    #[test]
    fn whatever_is_there_is_an_item() {
        assert_eq!(
            sorted(&["x", "entry-100-0000000001", "a", "entry-100-"]),
            ["a", "entry-100-", "entry-100-0000000001", "x"]
        );
    }

    #[test]
    fn priorities_have_three_digits() {
        assert_eq!(path("/q", 7).unwrap(), "/q/entry-007-");
        assert!(path("/q", 1000).is_err());
    }
}
