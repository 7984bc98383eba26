//! Exports the figures of [`zk_client`]'s clients through the [`metrics`] facade, to whatever
//! recorder the program has installed.
//!
//! ```
//! # let server = zk_server::Server::builder().quiet().start()?;
//! # let hosts = server.hosts();
//! // Install a recorder first, such as that of metrics-exporter-prometheus.
//! let client = zk_handler_threads::connect(hosts).wait()?;
//! let exported = zk_metrics::export(&client);
//! client.exists("/").wait()?;
//! client.close().wait()?; // the last figures are exported; keep `exported` until then
//! # drop(exported);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # When
//!
//! [`export`] updates the metrics with every change of the client's state, every
//! [`INTERVAL`], and once more when the client is closed. It has no thread: it is a background task
//! of the client's handler, which sleeps by the client's timers. Nothing is counted twice for it,
//! and nothing is added to what a request costs: a client keeps its figures anyway
//! ([`Client::stats`](zk_client::Client::stats)), an update reads them under its lock.
//!
//! Who would rather update when the metrics are read, as at each scrape, makes an [`Exporter`] and
//! calls [`update`](Exporter::update) by himself.
//!
//! # What
//!
//! Every metric has the label `client`: the number of the client in this process
//! ([`Client::id`](zk_client::Client::id)), or [what it is called](Exporter::named). Counters begin
//! at zero with the exporter's first update, which counts what was before. When a client is
//! [closed](zk_client::Client::close), gauges go to zero; after a restart, export it anew.
//!
#![doc = include_str!("table.md")]
#![forbid(unsafe_code)]

mod exporter;
mod table;

pub use exporter::{Export, Exporter, INTERVAL, export};
pub use table::names;
