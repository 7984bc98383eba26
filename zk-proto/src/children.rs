//! The names of the children of a node, of which there can be very many.

use std::{fmt, iter::FusedIterator};

use crate::{DecodeError, Reader, put_len, put_text, text};

/// The names of the children of a node, in the order in which the server listed them, which means
/// nothing.
///
/// All names lie in one piece of memory: ten thousand of them cost two allocations.
///
/// ```
/// # use zk_proto::Children;
/// let children: Children = ["b", "a"].into_iter().collect();
/// assert_eq!(children.get(0), Some("b"));
/// assert_eq!(children.sorted(), ["a", "b"]);
/// ```
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Children {
    /// All names, one after the other.
    names: String,
    /// Where each name ends, on a character boundary of `names`.
    ends: Vec<u32>,
}

/// Names are hardly ever longer than this, in bytes. Longer ones cost a reallocation.
const USUAL_NAME: usize = 64;

impl Children {
    /// The number of names.
    #[inline]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no names.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The name at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.names[start as usize..end as usize])
    }

    /// The names.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            names: &self.names,
            cut: 0,
            ends: self.ends.iter(),
        }
    }

    /// The names in memory of their own.
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }

    /// The names in alphabetical order.
    pub fn sorted(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.iter().collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.len());
        out.reserve(self.names.len() + 4 * self.len());
        for name in self {
            put_text(out, name);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.vector_len("children", 4)?;
        // The names are the whole rest of the frame, or most of it, unless there are many lists in it:
        // then what is reserved stays in proportion to the count, which the frame has paid for.
        let rest = reader.remaining() - 4 * count;
        let mut names = Vec::with_capacity(rest.min(count.saturating_mul(USUAL_NAME)));
        let mut ends = Vec::with_capacity(count);
        for _ in 0..count {
            names.extend_from_slice(reader.buffer("child")?.unwrap_or_default());
            ends.push(names.len() as u32);
        }
        let is_ascii = names.is_ascii();
        match String::from_utf8(names) {
            Ok(names)
                if is_ascii || ends.iter().all(|end| names.is_char_boundary(*end as usize)) =>
            {
                Ok(Self { names, ends })
            }
            Ok(names) => Ok(lossy(names.as_bytes(), &ends)),
            Err(error) => Ok(lossy(error.as_bytes(), &ends)),
        }
    }
}

/// The names of which some are not UTF-8. Servers do not let such names in.
#[cold]
fn lossy(names: &[u8], ends: &[u32]) -> Children {
    let mut start = 0;
    let name = |&end: &u32| {
        text::decode(&names[std::mem::replace(&mut start, end as usize)..end as usize])
    };
    ends.iter().map(name).collect()
}

impl<S: AsRef<str>> FromIterator<S> for Children {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut children = Self::default();
        children.extend(names);
        children
    }
}

impl<S: AsRef<str>> Extend<S> for Children {
    /// # Panics
    /// If the names are longer than 4 GiB together, more than any frame holds.
    fn extend<I: IntoIterator<Item = S>>(&mut self, names: I) {
        for name in names {
            self.names.push_str(name.as_ref());
            let end = u32::try_from(self.names.len()).expect("names are shorter than a frame");
            self.ends.push(end);
        }
    }
}

impl<'a> IntoIterator for &'a Children {
    type Item = &'a str;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// The names of [`Children`], from either end.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    names: &'a str,
    /// Where the first name that is left begins.
    cut: u32,
    ends: std::slice::Iter<'a, u32>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let end = *self.ends.next()?;
        let start = std::mem::replace(&mut self.cut, end);
        Some(&self.names[start as usize..end as usize])
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ends.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let end = *self.ends.next_back()?;
        let start = self.ends.as_slice().last().copied().unwrap_or(self.cut);
        Some(&self.names[start as usize..end as usize])
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}

#[cfg(test)]
mod tests;
