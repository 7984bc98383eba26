//! Corpora as they are kept: one file a target, `fuzz/corpora/TARGET.bin`, with the inputs one after
//! the other, each behind its length in four bytes, the highest first. They are in the order of their
//! bytes, so that equal corpora are equal files.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// Takes a file apart.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if it ends within an input.
pub fn unpack(mut bytes: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let mut inputs = Vec::new();
    while !bytes.is_empty() {
        let cut = || io::Error::new(io::ErrorKind::InvalidData, "it ends within an input");
        let (length, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (input, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        inputs.push(input.to_vec());
        bytes = rest;
    }
    Ok(inputs)
}

/// Puts a file together.
pub fn pack(inputs: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let inputs: BTreeSet<Vec<u8>> = inputs.into_iter().collect();
    let mut bytes = Vec::new();
    for input in inputs {
        let length = u32::try_from(input.len()).expect("inputs are short");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&input);
    }
    bytes
}

/// Writes each input as a file of its own, as libFuzzer wants them. The names come from the inputs.
///
/// # Errors
/// Those of the file system.
pub fn spread(inputs: &[Vec<u8>], dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for input in inputs {
        fs::write(dir.join(format!("{:016x}", fingerprint(input))), input)?;
    }
    Ok(())
}

/// Reads what [`spread`] or libFuzzer wrote.
///
/// # Errors
/// Those of the file system.
pub fn gather(dir: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            inputs.push(fs::read(entry.path())?);
        }
    }
    Ok(inputs)
}

/// FNV-1a, which is the same everywhere.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again_in_order() {
        let inputs = [vec![2, 1], Vec::new(), vec![0; 300], vec![2]];
        let packed = pack(inputs.clone());
        let mut sorted = inputs.to_vec();
        sorted.sort();
        assert_eq!(unpack(&packed).unwrap(), sorted);
        assert_eq!(pack(sorted), packed);
        assert!(unpack(&packed[..packed.len() - 1]).is_err());
        assert!(unpack(&[0, 0]).is_err());
    }
}
