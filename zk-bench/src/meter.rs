//! What a phase of a workload has cost this process.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::error::Error;

/// Measures one phase.
pub(crate) struct Meter {
    begun: Instant,
    cpu: Duration,
    /// When to stop.
    end: Instant,
}

impl Meter {
    /// Begins.
    pub(crate) fn start(time: Duration) -> Self {
        let begun = Instant::now();
        Self {
            begun,
            cpu: cpu(),
            end: begun + time,
        }
    }

    /// Is there time left?
    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.end
    }

    /// When to stop.
    pub(crate) fn end(&self) -> Instant {
        self.end
    }

    /// Prints a line of JSON: the operations, seconds of wall clock and of processor time (user and
    /// system, all threads), the peak of the resident size in KiB, and the latencies if there are
    /// some, in microseconds.
    pub(crate) fn report(
        self,
        phase: &str,
        ops: u64,
        mut latencies: Vec<Duration>,
    ) -> Result<(), Error> {
        let wall = self.begun.elapsed().as_secs_f64();
        let cpu = (cpu() - self.cpu).as_secs_f64();
        let mut line = serde_json::json!({
            "w": phase, "ops": ops, "wall": wall, "cpu": cpu, "rss_kb": peak_rss()?,
        });
        if !latencies.is_empty() {
            latencies.sort_unstable();
            let last = latencies.len() - 1;
            let at = |percent: usize| latencies[last * percent / 100].as_secs_f64() * 1e6;
            line["p50_us"] = at(50).into();
            line["p99_us"] = at(99).into();
        }
        writeln!(std::io::stdout(), "{line}").map_err(Error::io("write the figures"))
    }
}

/// User and system time of all threads of this process.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// In KiB.
fn peak_rss() -> Result<u64, Error> {
    status("VmHWM:")
}

/// The present resident size, in KiB.
pub(crate) fn rss() -> Result<u64, Error> {
    status("VmRSS:")
}

fn status(key: &str) -> Result<u64, Error> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(Error::io("read /proc/self/status"))?;
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse().ok());
    Ok(value.unwrap_or_default())
}
