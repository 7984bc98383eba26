//! What many nodes say of who they belong to.

use std::collections::VecDeque;

use zk_client::{Client, Error};

use crate::node::steady;

/// Reads in flight at once.
const WINDOW: usize = 128;

/// The data of these nodes as texts, in their order, without those that are gone.
pub(crate) async fn texts(
    client: &Client,
    mut paths: impl Iterator<Item = String>,
) -> Result<Vec<String>, Error> {
    let mut texts = Vec::new();
    let mut in_flight = VecDeque::new();
    loop {
        while in_flight.len() < WINDOW {
            let Some(path) = paths.next() else { break };
            let get = client.get(&path).launched().await;
            in_flight.push_back((path, get));
        }
        let Some((path, get)) = in_flight.pop_front() else {
            return Ok(texts);
        };
        let got = match get.await {
            Err(error) if error.is_retryable() => client.retry(&steady(), client.get(&path)).await,
            got => got,
        };
        match got {
            Ok((data, _)) => texts.push(String::from_utf8_lossy(&data).into_owned()),
            Err(Error::NoNode) => {}
            Err(error) => return Err(error),
        }
    }
}
