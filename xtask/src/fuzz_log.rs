//! Reads what libFuzzer prints.

use std::fmt;

/// The figures of a run.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Figures {
    executions: u64,
    /// In a second.
    rate: u64,
    /// Edges of the program that inputs have reached.
    edges: u64,
    /// The same, with how often and from where.
    features: u64,
    /// Inputs that were added to the corpus.
    new: u64,
}

impl Figures {
    /// Reads a log to its end; `None` if the run did not come to its end.
    pub(crate) fn read(log: &str) -> Option<Self> {
        let last = log.lines().rev().find(|line| line.contains(" cov: "))?;
        let words: Vec<&str> = last.split_whitespace().collect();
        let in_line = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1)?.parse().ok()
        };
        let stat = |name: &str| {
            let mut values = log.lines().filter_map(|line| {
                let rest = line.strip_prefix("stat::")?.strip_prefix(name)?;
                rest.strip_prefix(':')?.trim().parse().ok()
            });
            values.next()
        };
        Some(Self {
            executions: stat("number_of_executed_units")?,
            rate: stat("average_exec_per_sec")?,
            edges: in_line("cov:")?,
            features: in_line("ft:")?,
            new: stat("new_units_added")?,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            executions,
            rate,
            edges,
            features,
            new,
        } = self;
        write!(
            f,
            "{executions} runs, {rate}/s, {edges} edges, {features} features, {new} new"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_end() {
        let log = "\
INFO: seed corpus: files: 3
#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 26Mb
#80\tNEW    cov: 3969 ft: 16711 corp: 2087/1389Kb lim: 1526 exec/s: 3238 rss: 37Mb
#81\tDONE   cov: 3970 ft: 16712 corp: 2087/1389Kb lim: 1526 exec/s: 3238 rss: 37Mb
stat::number_of_executed_units: 81331
stat::average_exec_per_sec:     3253
stat::new_units_added:          2938
stat::slowest_unit_time_sec:    0
";
        let figures = Figures::read(log).unwrap();
        let text = "81331 runs, 3253/s, 3970 edges, 16712 features, 2938 new";
        assert_eq!(figures.to_string(), text);
        assert_eq!(Figures::read("#2\tINITED cov: 10 ft: 11\n"), None);
    }
}
