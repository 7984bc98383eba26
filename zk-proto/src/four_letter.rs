//! Four-letter words: the questions of operators (ZooKeeper Administrator's Guide, The Four Letter
//! Words), sent as the first bytes of a connection in place of a frame.

/// Every word that a server knows.
const WORDS: [&[u8; 4]; 18] = [
    b"conf", b"cons", b"crst", b"dirs", b"dump", b"envi", b"gtmk", b"hash", b"isro", b"mntr",
    b"ruok", b"srst", b"srvr", b"stat", b"stmk", b"wchc", b"wchp", b"wchs",
];

/// Whether the first four bytes of a connection are a four-letter word rather than the length of a
/// frame.
///
/// ```
/// assert!(zk_proto::is_four_letter(b"ruok"));
/// assert!(!zk_proto::is_four_letter(&[0, 0, 0, 45]));
/// ```
pub fn is_four_letter(word: &[u8; 4]) -> bool {
    WORDS.contains(&word)
}
