//! [`Exporter`]: from a client's figures to metrics.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use metrics::{Counter, Gauge, describe_counter, describe_gauge};
use zk_client::{AsyncResult, Client, Error, StateStream, Stats, WeakClient};

use crate::table::{COUNTERS, GAUGES, Look};

/// How often [`export`] updates the metrics at least.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// Updates the metrics of a client with every change of its state, and every [`INTERVAL`], until it
/// is closed or what this returns is dropped.
///
/// Install the recorder before: metrics that are made without one are never seen.
pub fn export(client: &Client) -> Export {
    Exporter::new(client).every(INTERVAL)
}

/// The metrics of one client, to be updated by whoever holds it. It does not keep the client.
pub struct Exporter {
    client: WeakClient,
    counters: [Counter; COUNTERS.len()],
    gauges: [Gauge; GAUGES.len()],
    /// What is in the counters already.
    counted: [u64; COUNTERS.len()],
}

impl Exporter {
    /// Registers the metrics with the recorder that is installed. The label `client` is the
    /// client's number.
    pub fn new(client: &Client) -> Self {
        Self::named(client, client.id().as_u64().to_string())
    }

    /// The same with a name of your choice in the label `client`: one that is the same whenever the
    /// program runs, and no other client has.
    pub fn named(client: &Client, name: impl Into<String>) -> Self {
        let name: String = name.into();
        Self {
            client: client.downgrade(),
            counters: COUNTERS.each_ref().map(|it| {
                describe_counter!(it.name, it.unit, it.text);
                metrics::counter!(it.name, "client" => name.clone())
            }),
            gauges: GAUGES.each_ref().map(|it| {
                describe_gauge!(it.name, it.unit, it.text);
                metrics::gauge!(it.name, "client" => name.clone())
            }),
            counted: [0; COUNTERS.len()],
        }
    }

    /// Brings the metrics up to date. `false`: the client was dropped, its gauges are at zero, and
    /// there is nothing more to come.
    pub fn update(&mut self) -> bool {
        let Some(client) = self.client.upgrade() else {
            self.gauges.iter().for_each(|gauge| gauge.set(0.0));
            return false;
        };
        let (state, stats) = (client.state(), client.stats());
        self.set(&Look { state, stats });
        true
    }

    /// Updates them in the background: with every change of the client's state, at that interval,
    /// and when the client is closed.
    pub fn every(mut self, interval: Duration) -> Export {
        let Some(client) = self.client.upgrade() else {
            self.update();
            return Export(None);
        };
        let changes = client.state_changes();
        Export(Some(client.run(self.run(changes, interval))))
    }

    async fn run(mut self, mut changes: StateStream, interval: Duration) -> Result<(), Error> {
        while self.update() {
            let Some(pause) = self.client.upgrade().map(|client| client.sleep(interval)) else {
                continue;
            };
            let mut pause = pin!(pause);
            let goes_on = poll_fn(|cx| match changes.poll_next(cx) {
                Poll::Ready(change) => Poll::Ready(change.is_some()),
                // It ends early only with the client, and so do the changes.
                Poll::Pending => pause.as_mut().poll(cx).map(|slept| slept.is_ok()),
            });
            if !goes_on.await {
                self.update();
                break;
            }
        }
        Ok(())
    }

    fn set(&mut self, look: &Look) {
        self.count(&look.stats);
        for (gauge, it) in self.gauges.iter().zip(&GAUGES) {
            gauge.set((it.of)(look));
        }
    }

    fn count(&mut self, stats: &Stats) {
        let counters = self.counters.iter().zip(&COUNTERS);
        for ((counter, it), counted) in counters.zip(&mut self.counted) {
            let now = (it.of)(stats);
            // A restarted client counts from zero.
            counter.increment(now.checked_sub(*counted).unwrap_or(now));
            *counted = now;
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

/// Keeps the metrics of a client up to date until it is dropped.
#[must_use = "dropping it ends the updates"]
pub struct Export(Option<AsyncResult<()>>);

impl Export {
    /// Has the client been closed, and its last figures been exported?
    pub fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(AsyncResult::is_ready)
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("is_over", &self.is_over())
            .finish()
    }
}

#[cfg(test)]
mod tests;
