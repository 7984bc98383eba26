//! [`live`]: a program whose calls take several requests, so that no checker knows them: protected
//! creates, retries, trees. What it makes bears a mark, and is looked for in the servers' log.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use zk_client::{Client, Error, Outcome};
use zk_sim::check::{CommittedLog, Effect, Txn};
use zk_sim::{Machine, Rng};

use crate::actor::{Phase, Scene};
use crate::setup::Style;

/// How a marked create ended for its caller.
#[derive(Clone, Debug)]
enum Fate {
    Made(String),
    NotApplied,
    Unknown,
    /// The caller gave up waiting.
    Dropped,
}

/// What guests of a run have done.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    fates: Mutex<Vec<(String, Fate)>>,
    working: AtomicBool,
}

impl Guests {
    /// Everybody has closed.
    pub(crate) fn rest(&self) -> bool {
        !self.working.load(Ordering::Relaxed)
    }

    fn note(&self, mark: String, fate: Fate) {
        let mut fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        fates.push((mark, fate));
    }

    /// Each create has made one node or none, as its caller was told.
    pub(crate) fn check(&self, log: &CommittedLog) -> Result<usize, String> {
        let mut made: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut alive: BTreeMap<&str, String> = BTreeMap::new();
        for entry in &log.entries {
            let Txn::Change(effects) = &entry.txn else {
                continue;
            };
            for effect in effects {
                match effect {
                    Effect::Create { path, data, .. } => {
                        let mark = String::from_utf8_lossy(data).into_owned();
                        made.entry(mark.clone()).or_default().push(path);
                        alive.insert(path, mark);
                    }
                    Effect::Delete { path } => {
                        alive.remove(path.as_str());
                    }
                    Effect::SetData { .. } | Effect::SetAcl { .. } | _ => {}
                }
            }
        }
        let fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        for (mark, fate) in fates.iter() {
            let made = made.get(mark).map_or(&[][..], Vec::as_slice);
            let left: Vec<&str> = made
                .iter()
                .copied()
                .filter(|path| alive.get(path) == Some(mark))
                .collect();
            let good = match fate {
                // Nobody but the clean-up deletes these nodes by name, and it must spare this one.
                Fate::Made(path) => left == [path],
                Fate::NotApplied => left.is_empty(),
                Fate::Dropped => left.is_empty(),
                Fate::Unknown => left.len() <= 1,
            };
            if !good {
                return Err(format!(
                    "{mark} ended as {fate:?}, but made {made:?}, of which {left:?} are left"
                ));
            }
        }
        Ok(fates.len())
    }
}

/// Runs a guest until the end of its run. It is on a machine that does not crash.
pub(crate) async fn live(
    scene: Scene,
    machine: Machine,
    style: Style,
    mut rng: Rng,
    guests: Arc<Guests>,
) {
    guests.working.store(true, Ordering::Relaxed);
    let client = scene
        .setup
        .client(&scene.servers.hosts(), &style)
        .start(machine.handler())
        .expect("the options are valid");
    let mut count = 0;
    while scene.phase() == Phase::Faults {
        count += 1;
        let patience = rng
            .chance(0.25)
            .then(|| rng.pause(Duration::from_millis(30)));
        let call = act(
            &client,
            &mut rng,
            &guests,
            format!("guest-{count}"),
            patience,
            &machine,
        );
        call.await;
        machine.sleep(rng.pause(Duration::from_millis(300))).await;
    }
    client.until_connected().await.ok();
    // What was given up is put away by then.
    machine.sleep(Duration::from_secs(30)).await;
    if let Err(error) = client.close().await {
        let what = format!("a guest: close: {error:?}");
        scene.recorder.broken(machine.sim_now(), what);
    }
    guests.working.store(false, Ordering::Relaxed);
}

async fn act(
    client: &Client,
    rng: &mut Rng,
    guests: &Guests,
    mark: String,
    patience: Option<Duration>,
    machine: &Machine,
) {
    let ephemeral = rng.chance(0.5);
    let create = || {
        let op = client
            .create("/g/n-", mark.clone())
            .protected()
            .sequential()
            .make_path();
        if ephemeral { op.ephemeral() } else { op }
    };
    let made = match rng.below(6) {
        0 => {
            // None of these is judged, but by everything coming to rest.
            client.retry_default(client.set("/g", "new")).await.ok();
            client.delete("/tree").recursive().await.ok();
            client.ensure_path("/tree/a/b").await.ok();
            client.create("/tree/box", "").container().await.ok();
            return;
        }
        1 | 2 => within(patience, machine, create()).await,
        _ => within(patience, machine, client.retry_default(create())).await,
    };
    let fate = match made {
        None => Fate::Dropped,
        Some(Ok(path)) => Fate::Made(path),
        Some(Err(error)) => match error.outcome() {
            Some(Outcome::NotApplied) => Fate::NotApplied,
            Some(Outcome::Applied | Outcome::Unknown) | None => Fate::Unknown,
        },
    };
    // A session that ends takes its nodes along in a transaction that names none of them.
    let judged = !ephemeral || matches!(fate, Fate::Made(_));
    if judged {
        guests.note(mark, fate);
    }
}

/// The result, unless it takes too long.
async fn within<T>(
    patience: Option<Duration>,
    machine: &Machine,
    call: impl Future<Output = Result<T, Error>>,
) -> Option<Result<T, Error>> {
    let Some(patience) = patience else {
        return Some(call.await);
    };
    let (mut call, mut limit) = (pin!(call), pin!(machine.sleep(patience)));
    poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => limit.as_mut().poll(cx).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use zk_proto::{Payload, SessionId, Zxid};
    use zk_sim::check::Entry;

    use super::*;

    /// A log in which nodes of one mark are made, or deleted where there is a minus.
    fn log(changes: &[&str]) -> CommittedLog {
        let entries = changes.iter().zip(1..).map(|(change, number)| Entry {
            zxid: Zxid(number),
            session: SessionId(1),
            at: Duration::ZERO,
            millis: 0,
            txn: Txn::Change(vec![match change.strip_prefix('-') {
                Some(path) => Effect::Delete {
                    path: path.to_owned(),
                },
                None => Effect::Create {
                    path: (*change).to_owned(),
                    data: Payload::from("mark".as_bytes()),
                    owner: SessionId::NONE,
                },
            }]),
        });
        CommittedLog {
            entries: entries.collect(),
        }
    }

    fn is_good(fate: Fate, changes: &[&str]) -> bool {
        let guests = Guests::default();
        guests.note("mark".to_owned(), fate);
        guests.check(&log(changes)).is_ok()
    }

    #[test]
    fn the_node_that_was_handed_out_is_the_one_that_is_left() {
        let made = || Fate::Made("/g/2".to_owned());
        assert!(is_good(made(), &["/g/2"]));
        assert!(is_good(made(), &["/g/1", "/g/2", "-/g/1"]));
        assert!(!is_good(made(), &[]));
        assert!(!is_good(made(), &["/g/1"]));
        assert!(!is_good(made(), &["/g/1", "/g/2"]));
        assert!(!is_good(made(), &["/g/2", "-/g/2"]), "nothing is left");
        assert!(!is_good(made(), &["/g/1", "/g/2", "-/g/2"]), "the other");
    }

    #[test]
    fn nothing_is_left_of_what_nobody_has() {
        for (fate, one_is_good) in [
            (Fate::NotApplied, false),
            (Fate::Dropped, false),
            (Fate::Unknown, true),
        ] {
            assert!(is_good(fate.clone(), &[]));
            assert!(is_good(fate.clone(), &["/g/1", "-/g/1"]));
            assert_eq!(is_good(fate.clone(), &["/g/1"]), one_is_good, "{fate:?}");
            assert!(!is_good(fate, &["/g/1", "/g/2"]));
        }
    }
}
