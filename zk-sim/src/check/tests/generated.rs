//! What a world that keeps its promises leaves behind is accepted, and refused with a small change.

use proptest::prelude::*;

use super::super::testing::{Plan, run};
use super::super::*;
use super::*;

/// Figures, for whoever changes a check: run it with `--release --run-ignored only --no-capture`.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures, and says what it has measured"
)]
#[test]
#[ignore = "by hand: says how long things take"]
fn how_long_five_thousand_operations_take() {
    for (faults, seed) in [(0, 1), (10, 2), (25, 3), (25, 4), (50, 5), (50, 6)] {
        let plan = Plan {
            clients: 10,
            operations: 5_000,
            faults,
            ..Plan::new(seed)
        };
        let (history, log) = run(plan);
        let unanswered = |event: &Event| {
            matches!(
                event,
                Event::Ended {
                    ended: Ended::Unknown,
                    ..
                }
            )
        };
        let events = history.events().iter();
        let unanswered = events.filter(|(_, event)| unanswered(event)).count();
        let judge = |budget| {
            let options = Options {
                budget,
                ..Options::default()
            };
            let begun = std::time::Instant::now();
            let summary = check_all(&history, &log, options).unwrap();
            (begun.elapsed(), summary)
        };
        let ((all, summary), (rest, _)) = (judge(100_000), judge(0));
        println!("{unanswered} unanswered: {all:?}, of which {rest:?} without search: {summary:?}");
    }
}

#[test]
fn five_thousand_operations_of_ten_clients_are_judged() {
    for seed in [2, 3] {
        let plan = Plan {
            clients: 10,
            operations: 5_000,
            ..Plan::new(seed)
        };
        let (history, log) = run(plan);
        let summary = check_all(&history, &log, options()).unwrap();
        assert_eq!(summary.operations, 5_000);
        assert!(summary.parts > 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_right_world_leaves_behind_is_accepted(seed: u64) {
        let (history, log) = run(Plan::new(seed));
        match check_all(&history, &log, options()) {
            Ok(summary) => prop_assert!(summary.undecided == 0 && (summary.parts > 0 || summary.applied == 0)),
            Err(violation) => panic!("{history}\n{log}\n{violation}"),
        }
    }

    #[test]
    fn a_write_that_was_answered_is_missed(seed: u64, pick: usize) {
        let (history, mut log) = run(Plan { faults: 0, ..Plan::new(seed) });
        let operations = history.operations().unwrap();
        let matching = outcomes::match_up(&history, &operations, &log, Unrecorded::Nothing).unwrap();
        let answered: Vec<usize> = matching
            .entries
            .iter()
            .filter(|(at, _)| matches!(operations[**at].ended, Some((_, Ended::Reply(_)))))
            .map(|(_, entry)| *entry)
            .collect();
        prop_assume!(!answered.is_empty());
        log.entries.remove(answered[pick % answered.len()]);
        prop_assert!(check_all(&history, &log, options()).is_err());
    }

    #[test]
    fn a_result_of_another_write_is_noticed(seed: u64, pick: usize) {
        let (mut history, log) = run(Plan::new(seed));
        let with_stat = |event: &Event| matches!(event,
            Event::Ended { ended: Ended::Reply(Reply::Set(Some(_)) | Reply::Data { .. }), .. });
        let places: Vec<usize> = (0..history.events().len())
            .filter(|at| with_stat(&history.events()[*at].1))
            .collect();
        prop_assume!(!places.is_empty());
        let place = places[pick % places.len()];
        if let Event::Ended { ended: Ended::Reply(Reply::Set(Some(stat)) | Reply::Data { stat, .. }), .. } =
            &mut history.events_mut()[place].1
        {
            stat.version += 1;
        }
        prop_assert!(check_all(&history, &log, options()).is_err());
    }

    #[test]
    fn an_event_that_is_taken_away_is_missed(seed: u64, pick: usize) {
        let (mut history, log) = run(Plan { faults: 0, headers: true, ..Plan::new(seed) });
        let places: Vec<usize> = (0..history.events().len())
            .filter(|at| matches!(history.events()[*at].1, Event::Watched { .. }))
            .collect();
        prop_assume!(!places.is_empty());
        history.events_mut().remove(places[pick % places.len()]);
        prop_assert!(check_all(&history, &log, options()).is_err());
    }
}
