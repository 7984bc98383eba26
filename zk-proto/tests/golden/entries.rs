//! The entries of `testdata/golden.json`.

use bytes::Bytes;
use serde_json::Value;

use crate::json::unhex;

/// One entry of the file.
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) frame: String,
    pub(crate) server: String,
    pub(crate) scenario: String,
    pub(crate) conn: Value,
    pub(crate) bytes: Vec<u8>,
    pub(crate) decoded: Value,
}

impl Golden {
    pub(crate) fn body(&self) -> Bytes {
        Bytes::copy_from_slice(&self.bytes[4..])
    }

    pub(crate) fn is(&self, frame: &str) -> bool {
        self.frame == frame
    }

    pub(crate) fn same_connection(&self, other: &Self) -> bool {
        (&self.server, &self.scenario, &self.conn) == (&other.server, &other.scenario, &other.conn)
    }
}

/// All of them.
pub(crate) fn golden() -> Vec<Golden> {
    let text = include_str!("../../testdata/golden.json");
    let entries: Vec<Value> = serde_json::from_str(text).unwrap();
    let golden: Vec<_> = entries
        .into_iter()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap().to_owned();
            Golden {
                name: text("name"),
                frame: entry["decoded"]["frame"].as_str().unwrap().to_owned(),
                server: text("server_version"),
                scenario: text("scenario"),
                conn: entry["conn"].clone(),
                bytes: unhex(&text("hex")),
                decoded: entry["decoded"].clone(),
            }
        })
        .collect();
    assert_eq!(golden.len(), 2243);
    golden
}

/// The frames that come and go as frames, that is neither four-letter words nor observations.
pub(crate) fn frames() -> Vec<Golden> {
    let kinds = [
        "ConnectRequest",
        "ConnectResponse",
        "Request",
        "Reply",
        "WatcherEvent",
    ];
    let frames: Vec<_> = golden()
        .into_iter()
        .filter(|g| kinds.contains(&&*g.frame))
        .collect();
    assert_eq!(frames.len(), 152 + 137 + 866 + 859 + 147);
    frames
}
