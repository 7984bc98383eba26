//! What one operation costs the client, from the call to its result, without sockets, threads and
//! clocks: to be run under callgrind.
//!
//! Takes a scenario, and how many operations to carry out, a hundred in flight at a time. The peer
//! copies replies that were made before, so nearly all that is counted is ours.
//!
//! | scenario | an operation is |
//! |---|---|
//! | `get` | a get of 9 bytes |
//! | `create` | a create |
//! | `watch` | a get with a one-shot watch, and its event |

#[path = "../tests/peer/mod.rs"]
mod peer;

use std::env;
use std::error::Error;

use peer::{Peer, WINDOW, created, data, framed, watched};
use zk_client::AsyncResult;
use zk_proto::OpCode;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let scenario = arguments.next().unwrap_or_else(|| "get".to_owned());
    let count = arguments.next().and_then(|count| count.parse().ok());
    let windows = count.unwrap_or(WINDOW).div_ceil(WINDOW);
    let mut peer = Peer::connected()?;
    match scenario.as_str() {
        "create" => creates(&mut peer, windows),
        "watch" => watches(&mut peer, windows),
        _ => gets(&mut peer, windows),
    }
}

fn gets(peer: &mut Peer, windows: usize) -> Result<(), Box<dyn Error>> {
    let reply = framed(OpCode::GET_DATA, &data());
    let mut under_way = Vec::with_capacity(WINDOW);
    for _ in 0..windows {
        under_way.extend((0..WINDOW).map(|_| peer.client.get("/config").send()));
        peer.answer(&reply);
        take(&mut under_way, |(data, _)| assert_eq!(data.len(), 9))?;
    }
    Ok(())
}

fn creates(peer: &mut Peer, windows: usize) -> Result<(), Box<dyn Error>> {
    let reply = framed(OpCode::CREATE, &created());
    let mut under_way = Vec::with_capacity(WINDOW);
    for _ in 0..windows {
        under_way.extend((0..WINDOW).map(|_| peer.client.create("/config", "some data").send()));
        peer.answer(&reply);
        take(&mut under_way, |path| assert_eq!(path, "/config"))?;
    }
    Ok(())
}

fn watches(peer: &mut Peer, windows: usize) -> Result<(), Box<dyn Error>> {
    let (paths, events) = watched();
    let reply = framed(OpCode::GET_DATA, &data());
    let mut under_way = Vec::with_capacity(WINDOW);
    let mut watchers = Vec::with_capacity(WINDOW);
    for _ in 0..windows {
        let client = &peer.client;
        under_way.extend(paths.iter().map(|path| client.get(path).watched().send()));
        peer.answer(&reply);
        take(&mut under_way, |(_, _, watcher)| watchers.push(watcher))?;
        peer.hear(&events);
        for mut watcher in watchers.drain(..) {
            watcher.try_take().ok_or("a watch was not fired")??;
        }
    }
    Ok(())
}

/// All results, which have to be there.
fn take<T: Send + 'static>(
    under_way: &mut Vec<AsyncResult<T>>,
    mut each: impl FnMut(T),
) -> Result<(), Box<dyn Error>> {
    for mut result in under_way.drain(..) {
        each(result.try_take().ok_or("a result is missing")??);
    }
    Ok(())
}
