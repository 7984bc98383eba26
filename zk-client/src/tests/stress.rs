//! Many threads and a driver that really sleeps: no wake is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use zk_proto::{ErrorCode, Reply};

use super::Rig;
use crate::{Client, Error};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the loop is a thread of its own")]
fn blocked_threads_are_all_served_by_a_loop_that_sleeps() {
    const THREADS: usize = 4;
    const CALLS: usize = 300;

    // Room for fewer calls than there are threads, so that they wait for it, too.
    let mut rig = Rig::with(Client::builder("h1").max_queued(2, 1 << 20)).connect();
    let client = rig.client.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let driver = thread::spawn(move || {
        rig.core
            .set_waker(Waker::from(Arc::new(Unpark(thread::current()))));
        while !stopped.load(Ordering::Acquire) {
            let batch = rig.asked();
            // Answering may have fetched more requests: sleep only after an empty look.
            let idle = batch.is_empty();
            for asked in batch {
                let stat = Rig::stat(asked.path().len() as i32);
                match asked.path().as_str() {
                    "/missing" => rig.reply(&asked, Err(ErrorCode::NO_NODE)),
                    _ => rig.reply(&asked, Ok(Reply::Stat(stat))),
                }
            }
            // No time-out: a lost wake would hang here for ever.
            if idle && rig.core.prepare_sleep() {
                thread::park();
            }
        }
        rig
    });
    let called_back = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (client, called_back) = (&client, &called_back);
            scope.spawn(move || {
                for call in 0..CALLS {
                    let path = format!("/{}", "x".repeat(number + 1));
                    match call % 3 {
                        0 => assert_eq!(client.exists("/missing").wait(), Ok(None)),
                        1 => {
                            let stat = client.exists(&path).wait().unwrap().unwrap();
                            assert_eq!(stat.version as usize, number + 2);
                        }
                        _ => {
                            let called_back = Arc::clone(called_back);
                            client.set(&path, "").send().on_complete(move |result| {
                                assert!(matches!(result, Ok(_) | Err(Error::Full { .. })));
                                called_back.fetch_add(1, Ordering::Relaxed);
                            });
                        }
                    }
                }
            });
        }
    });
    // Behind everything that was submitted before.
    client.exists("/missing").wait().unwrap();
    stop.store(true, Ordering::Release);
    client.exists("/missing").send().detach();
    driver.thread().unpark();
    let rig = driver.join().unwrap();
    rig.run_callbacks();
    assert_eq!(called_back.load(Ordering::Relaxed), THREADS * CALLS / 3);
    assert_eq!(client.stats().waiting_for_room, 0);
}
