//! Following the ensemble's configuration.
//!
//! A one-shot watch is enough: the session puts it back after a reconnect, and the server fires it
//! if the configuration has changed meanwhile.

use std::net::IpAddr;
use std::time::Duration;

use zk_proto::{EnsembleConfig, ServerAddr};

use crate::{Client, Error, State, WeakClient};

/// The pause before another attempt where there was no room for a request.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads the configuration, applies it, waits for its change, and begins again; until the client
/// ends. Does not keep it open.
pub(crate) async fn follow(weak: WeakClient) {
    let mut newest = 0;
    loop {
        let Some(client) = weak.upgrade() else {
            return;
        };
        let mut states = client.state_changes();
        let read = client.get_config().watched().until(None).send();
        drop(client);
        match read.await {
            Ok((data, _, watch)) => {
                let Some(client) = weak.upgrade() else {
                    return;
                };
                apply(&client, &data, &mut newest);
                drop(client);
                // Changed, or the session has ended: it is read again either way.
                drop(watch.await);
            }
            Err(Error::Full { .. }) => {
                let Some(pause) = weak.upgrade().map(|client| client.sleep(PAUSE)) else {
                    return;
                };
                drop(pause.await);
            }
            Err(Error::Closed { .. } | Error::AuthFailed { .. }) => return,
            // The next read waits for a connection.
            Err(Error::ConnectionLoss { .. } | Error::SessionExpired { .. }) => {}
            Err(error) => {
                // An old server, perhaps, or one that does not let everybody read it.
                tracing::debug!(%error, "the ensemble's configuration cannot be read");
                // Changes up to the answer led to the connection that it came by.
                while states.try_next().is_some() {}
                loop {
                    match states.next().await {
                        None => return,
                        Some(change) if matches!(change.to, State::Connected { .. }) => break,
                        Some(_) => {}
                    }
                }
            }
        }
    }
}

/// Uses a configuration that is newer than all before.
fn apply(client: &Client, data: &[u8], newest: &mut i64) {
    let text = String::from_utf8_lossy(data);
    let config = match EnsembleConfig::parse(&text) {
        Ok(config) => config,
        Err(error) => {
            let span = client.core().span();
            tracing::warn!(parent: span, %error, "the ensemble's configuration is not used");
            return;
        }
    };
    if config.version <= *newest {
        return;
    }
    *newest = config.version;
    let configured = client.configured_servers();
    let layered = client.config().is_layered();
    let members = usable(&config, &configured, layered);
    tracing::info!(
        parent: client.core().span(),
        version = config.version,
        ?members,
        "the ensemble has changed"
    );
    client
        .core()
        .enter(|inner| inner.session.set_fallback_servers(&members));
}

/// The members that clients can connect to, and that were not configured.
fn usable(config: &EnsembleConfig, configured: &[ServerAddr], layered: bool) -> Vec<ServerAddr> {
    let at_home = configured.iter().all(|server| is_loopback(server.host()));
    let mut members: Vec<ServerAddr> = Vec::new();
    for member in &config.servers {
        let address = if layered {
            &member.secure_client_address
        } else {
            &member.client_address
        };
        let Some(address) = address else {
            continue;
        };
        let host = address.host();
        let elsewhere = is_unspecified(host) || (is_loopback(host) && !at_home);
        if !elsewhere && !configured.contains(address) && !members.contains(address) {
            members.push(address.clone());
        }
    }
    members
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

fn is_unspecified(host: &str) -> bool {
    host.parse::<IpAddr>()
        .is_ok_and(|address| address.is_unspecified())
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn members(text: &str, configured: &[&str], layered: bool) -> Vec<String> {
        let config = EnsembleConfig::parse(text).unwrap();
        let configured: Vec<_> = configured
            .iter()
            .map(|host| ServerAddr::new(host, 2181))
            .collect();
        let members = usable(&config, &configured, layered);
        members.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_of_no_use_are_left_out() {
        let text = "server.1=a:2888:3888:participant;0.0.0.0:2181\n\
                    server.2=b:2888:3888:participant\n\
                    server.3=c:2888:3888:participant;127.0.0.1:2181\n\
                    server.4=d:2888:3888:observer;d.example:2182;e.example:2281\n\
                    server.5=0.0.0.0:2888:3888;0.0.0.0:2181\n\
                    version=100000000";
        assert_eq!(members(text, &["x"], false), ["a:2181", "d.example:2182"]);
        assert_eq!(members(text, &["a", "x"], false), ["d.example:2182"]);
        assert_eq!(members(text, &["x"], true), ["e.example:2281"]);
    }

    #[test]
    fn loopback_is_for_clients_that_know_no_other() {
        let text = "server.1=127.0.0.1:2888:3888;127.0.0.1:2182\n\
                    server.2=localhost:2889:3889;2183\nversion=1";
        assert_eq!(
            members(text, &["localhost", "::1"], false),
            ["127.0.0.1:2182", "localhost:2183"]
        );
        assert_eq!(
            members(text, &["localhost", "h"], false),
            Vec::<String>::new()
        );
    }
}
