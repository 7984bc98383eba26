//! The primitive encodings, called jute in ZooKeeper: big endian numbers, and buffers, strings and
//! vectors behind a 4-byte length of which -1 means null.
//!
//! Reading is a cursor, [`Reader`]; writing is a set of functions that append to a `Vec<u8>`.

use std::{borrow::Cow, fmt, mem, ops::Range};

use bytes::Bytes;

use crate::{Acl, DecodeError, Payload, text};

/// A cursor over one frame.
///
/// It knows the shared buffer that the frame lies in, so a [payload](Self::payload) is a slice of
/// that buffer at the price of one reference count; nothing else touches the count. The `what` of
/// each method names the value in errors.
#[derive(Clone)]
pub struct Reader<'a> {
    chunk: &'a Bytes,
    rest: &'a [u8],
    null_path: bool,
    null_acl: bool,
}

impl<'a> Reader<'a> {
    /// Reads the whole of `frame`.
    #[inline]
    pub fn new(frame: &'a Bytes) -> Self {
        Self {
            chunk: frame,
            rest: frame,
            null_path: false,
            null_acl: false,
        }
    }

    /// Reads the part of `chunk` that `range` covers; what lies outside `chunk` is left out.
    #[inline]
    pub fn within(chunk: &'a Bytes, range: Range<usize>) -> Self {
        let end = range.end.min(chunk.len());
        let start = range.start.min(end);
        Self {
            chunk,
            rest: &chunk[start..end],
            null_path: false,
            null_acl: false,
        }
    }

    /// The number of bytes not read yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Reads one byte; any value but zero is true.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn boolean(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        self.array::<1>(what).map(|[byte]| byte != 0)
    }

    /// Reads a 4-byte number.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn int(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        self.array(what).map(i32::from_be_bytes)
    }

    /// Reads an 8-byte number.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn long(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        self.array(what).map(i64::from_be_bytes)
    }

    /// Reads a buffer; `None` is null, which is not the same as empty.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::NegativeLength`].
    #[inline]
    pub fn buffer(&mut self, what: &'static str) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.length(what)? {
            Some(length) => self.take(length, what).map(Some),
            None => Ok(None),
        }
    }

    /// Reads a buffer as a slice of the chunk, without a copy.
    ///
    /// # Errors
    /// As [`buffer`](Self::buffer).
    #[inline]
    pub fn payload(&mut self, what: &'static str) -> Result<Payload, DecodeError> {
        Ok(match self.buffer(what)? {
            Some(bytes) => Payload::from(self.chunk.slice_ref(bytes)),
            None => Payload::null(),
        })
    }

    /// Reads a string; null reads as empty.
    ///
    /// Bytes that are not UTF-8 become what they stand for in the CESU-8 that Java servers write for
    /// characters above U+FFFF, else U+FFFD: a strange name must not cost the connection.
    ///
    /// # Errors
    /// As [`buffer`](Self::buffer).
    #[inline]
    pub fn text(&mut self, what: &'static str) -> Result<Cow<'a, str>, DecodeError> {
        self.text_or_null(what).map(Option::unwrap_or_default)
    }

    /// Reads a string of which null has a meaning of its own. Otherwise as [`text`](Self::text).
    ///
    /// # Errors
    /// As [`buffer`](Self::buffer).
    #[inline]
    pub fn text_or_null(
        &mut self,
        what: &'static str,
    ) -> Result<Option<Cow<'a, str>>, DecodeError> {
        Ok(self.buffer(what)?.map(text::decode))
    }

    /// Reads the number of items of a vector; null reads as 0.
    ///
    /// `least_item_size` is the number of bytes that the shortest item takes (0 counts as 1). A count
    /// that cannot fit in the rest of the frame is an error here, before anything is allocated for it.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::NegativeLength`], [`DecodeError::TooManyItems`].
    #[inline]
    pub fn vector_len(
        &mut self,
        what: &'static str,
        least_item_size: usize,
    ) -> Result<usize, DecodeError> {
        self.vector_len_or_null(what, least_item_size)
            .map(Option::unwrap_or_default)
    }

    /// Reads the number of items of a vector of which null has a meaning of its own. Otherwise as
    /// [`vector_len`](Self::vector_len).
    ///
    /// # Errors
    /// As [`vector_len`](Self::vector_len).
    pub fn vector_len_or_null(
        &mut self,
        what: &'static str,
        least_item_size: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let Some(count) = self.length(what)? else {
            return Ok(None);
        };
        let left = self.remaining();
        if count > left / least_item_size.max(1) {
            return Err(DecodeError::TooManyItems { what, count, left });
        }
        Ok(Some(count))
    }

    /// Takes the next `count` bytes as they are.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.truncated(what, count));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// Reads the path of a request. Null reads as empty, and is noted for
    /// [`take_nulls`](Self::take_nulls), as servers never take it for a path.
    #[inline]
    pub(crate) fn path(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        let path = self.text_or_null("path")?;
        self.null_path |= path.is_none();
        Ok(path.unwrap_or_default())
    }

    /// Reads the access control list of a request. Null reads as empty, and is noted for
    /// [`take_nulls`](Self::take_nulls).
    pub(crate) fn acl(&mut self) -> Result<Vec<Acl>, DecodeError> {
        self.null_acl |= self.rest.starts_with(&[0xff; 4]);
        Acl::decode_list(self)
    }

    /// Whether a path, and whether an access control list, was null since this was last asked.
    #[inline]
    pub(crate) fn take_nulls(&mut self) -> (bool, bool) {
        (
            mem::take(&mut self.null_path),
            mem::take(&mut self.null_acl),
        )
    }

    #[inline]
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated(what, N));
        };
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    fn length(&mut self, what: &'static str) -> Result<Option<usize>, DecodeError> {
        match self.int(what)? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => Ok(Some(length)),
                Err(_) => Err(DecodeError::NegativeLength { what, length }),
            },
        }
    }

    #[cold]
    fn truncated(&self, what: &'static str, needed: usize) -> DecodeError {
        DecodeError::Truncated {
            what,
            needed,
            left: self.remaining(),
        }
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({} bytes left)", self.remaining())
    }
}

/// Appends one byte, 1 or 0.
#[inline]
pub fn put_boolean(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// Appends a 4-byte number.
#[inline]
pub fn put_int(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends an 8-byte number.
#[inline]
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a length or count.
///
/// A length above `i32::MAX` is written as `i32::MAX`. No frame can hold that many bytes, so callers
/// that check the size of a frame before they send it never let such a length out.
#[inline]
pub fn put_len(out: &mut Vec<u8>, length: usize) {
    put_int(out, i32::try_from(length).unwrap_or(i32::MAX));
}

/// Appends a buffer; `None` is null.
#[inline]
pub fn put_buffer(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(bytes) => {
            put_len(out, bytes.len());
            out.extend_from_slice(bytes);
        }
        None => put_int(out, -1),
    }
}

/// Appends a string.
#[inline]
pub fn put_text(out: &mut Vec<u8>, value: &str) {
    put_buffer(out, Some(value.as_bytes()));
}

/// Appends a string; `None` is null.
#[inline]
pub fn put_text_or_null(out: &mut Vec<u8>, value: Option<&str>) {
    put_buffer(out, value.map(str::as_bytes));
}

/// Appends a vector of strings.
pub fn put_texts<T: AsRef<str>>(out: &mut Vec<u8>, values: &[T]) {
    put_len(out, values.len());
    for value in values {
        put_text(out, value.as_ref());
    }
}

/// Appends a frame: `body` writes it, the 4-byte length in front of it is filled in afterwards.
///
/// ```
/// let mut out = Vec::new();
/// zk_proto::frame(&mut out, |out| zk_proto::put_int(out, 7));
/// assert_eq!(out, [0, 0, 0, 4, 0, 0, 0, 7]);
/// ```
pub fn frame(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_int(out, 0);
    body(out);
    let length = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests;
