//! What it costs to connect, without TLS and with it.

use std::sync::mpsc;

use zk_tls::{Handshakes, Tls};

use super::say;
use crate::args::HandlerName;
use crate::error::{Error, check};
use crate::handlers::{self, Hosts, Place};
use crate::meter::cpu;
use crate::process::Served;
use crate::tls::{AuthorityFile, client, trusting};

/// Connects so many clients one after the other, in each way, and prints what each has cost.
pub(super) fn run(handler: HandlerName, count: usize) -> Result<(), Error> {
    let plain = Served::start("stub")?;
    let authority = AuthorityFile::new();
    let secure = Served::with("stub", &["--tls", &authority.argument()])?;
    let full = client(trusting(authority.path()).resumption(0))?;
    let resumed = client(&trusting(authority.path()))?;
    for (how, server, tls) in [
        ("plain", &plain, None),
        ("TLS, in full", &secure, Some(&full)),
        ("TLS, resumed", &secure, Some(&resumed)),
    ] {
        let hosts = Hosts::new(server.address(), tls.cloned());
        let before = tls.map(Tls::handshakes).unwrap_or_default();
        let (figure, figures) = mpsc::channel();
        handlers::run(handler, &hosts, |place| async move {
            // The first one makes what the others resume.
            connect(&place).await?;
            let begun = cpu();
            for _ in 0..count {
                connect(&place).await?;
            }
            figure.send(cpu() - begun).ok();
            Ok(())
        })?;
        let cost = figures.recv().unwrap_or_default();
        let each = cost.as_secs_f64() * 1e6 / count as f64;
        say(&format!(
            "{how}: {each:.0} µs of CPU to connect and to close"
        ))?;
        let after = tls.map(Tls::handshakes).unwrap_or_default();
        check_handshakes(how, count, before, after)?;
    }
    Ok(())
}

async fn connect(place: &Place) -> Result<(), Error> {
    let client = place.connect().await?;
    client.close().await?;
    Ok(())
}

/// Were they made as they were meant to be?
fn check_handshakes(
    how: &str,
    count: usize,
    before: Handshakes,
    after: Handshakes,
) -> Result<(), Error> {
    let found = |now: u64, then: u64| usize::try_from(now - then).unwrap_or_default();
    let (full, resumed) = (
        found(after.full, before.full),
        found(after.resumed, before.resumed),
    );
    let expected = match how {
        "plain" => (0, 0),
        "TLS, resumed" => (1, count),
        _ => (count + 1, 0),
    };
    check("handshakes in full", expected.0, full)?;
    check("handshakes that were resumed", expected.1, resumed)
}
