//! What may listen where a ZooKeeper server was expected.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;

/// Listens on a port of its own until the test process ends. Each connection is given to `serve`
/// once it has sent its first bytes.
pub(crate) fn stranger(serve: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut first = [0; 4096];
            if stream.read(&mut first).is_ok_and(|read| read > 0) {
                serve(stream);
            }
        }
    });
    address
}

/// Answers everything with these bytes, then closes.
pub(crate) fn answers(bytes: &'static [u8]) -> SocketAddr {
    stranger(move |mut stream| drop(stream.write_all(bytes)))
}

/// Takes connections and never says a word.
pub(crate) fn silent() -> SocketAddr {
    let open = Mutex::new(Vec::new());
    stranger(move |stream| open.lock().unwrap().push(stream))
}

/// A port where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
