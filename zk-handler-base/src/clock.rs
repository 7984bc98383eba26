//! The time, and who we are: what the handler asks of the operating system besides I/O.

use std::time::Instant;

/// The time on a clock that goes on while the machine is suspended.
///
/// `Instant` stands still then on Linux, and the servers' clocks do not. So this counts from one
/// instant of this process by `CLOCK_BOOTTIME`. All handlers of a process agree on the time.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn now() -> Instant {
    use std::sync::OnceLock;
    use std::time::Duration;

    static ANCHOR: OnceLock<(Instant, Duration)> = OnceLock::new();

    fn since_boot() -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
    }

    let (instant, boot) = *ANCHOR.get_or_init(|| (Instant::now(), since_boot()));
    instant + since_boot().saturating_sub(boot)
}

/// The time. Elsewhere than on Linux `Instant` is what there is.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn now() -> Instant {
    Instant::now()
}

/// Host name and process id, such as `web-7-4711`.
pub fn identity() -> String {
    format!("{}-{}", host_name(), std::process::id())
}

#[cfg(unix)]
fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    let name = std::env::var("COMPUTERNAME").or_else(|_| std::env::var("HOSTNAME"));
    name.unwrap_or_else(|_| "localhost".to_owned())
}

/// The seed of one client's random numbers.
pub fn entropy() -> [u8; 32] {
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        // Early in a boot, or in a sandbox without the system call. Better than nothing: the
        // standard library's keys come from a source of their own.
        tracing::warn!(%error, "the operating system gives no entropy; using a weaker seed");
        weaker(&mut seed);
    }
    seed
}

fn weaker(seed: &mut [u8; 32]) {
    use std::hash::{BuildHasher, RandomState};

    for part in seed.chunks_mut(8) {
        let number = RandomState::new().hash_one((now(), std::process::id()));
        part.copy_from_slice(&number.to_ne_bytes()[..part.len()]);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_clock_never_goes_back_and_keeps_pace() {
        let (start, plain) = (now(), Instant::now());
        let mut last = start;
        while plain.elapsed() < Duration::from_millis(20) {
            let time = now();
            assert!(time >= last);
            last = time;
        }
        let elapsed = plain.elapsed();
        assert!(now() - start >= elapsed - Duration::from_millis(1));
    }

    #[test]
    fn clocks_of_all_threads_agree() {
        let before = now();
        let there = std::thread::spawn(now).join().unwrap();
        assert!(before <= there && there <= now());
    }

    #[test]
    fn identities_end_in_the_process_id() {
        assert!(identity().ends_with(&format!("-{}", std::process::id())));
        assert!(identity().len() > 2);
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(entropy(), entropy());
        let (mut one, mut other) = ([0; 32], [0; 32]);
        weaker(&mut one);
        weaker(&mut other);
        assert_ne!(one, other);
    }
}
