//! Which handler was tested on which server: the matrix at the end of `cargo xtask test`.
//!
//! Names of tests say where they run: the modules of `tests/on_*.rs` are handlers and in them servers.
//! What runs elsewhere, and what is about something else, is not in the matrix.

use std::collections::BTreeMap;
use std::fmt;

use crate::tally::Cases;

/// What became of a test.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Fate {
    LeftOut,
    Passed,
    Failed,
}

/// Handlers, by the modules of their tests. The first that fits counts.
const HANDLERS: [(&str, Handler); 8] = [
    ("on_threads::", Handler::Threads),
    ("on_tokio::current_thread::", Handler::TokioCurrentThread),
    ("on_tokio::", Handler::TokioMultiThread),
    ("on_smol::on_an_executor::", Handler::SmolExecutor),
    ("on_smol::", Handler::SmolThread),
    ("on_sim::", Handler::Simulator),
    // Those tests are older than the other handlers.
    ("faults::v3_", Handler::Threads),
    ("faults::on_zk_server::", Handler::Threads),
];

/// Servers, by a module or by the end of a name.
const SERVERS: [(&str, Server); 8] = [
    ("on_zk_server_as_before", Server::Ours38),
    ("on_zk_server", Server::Ours39),
    ("as_3_8", Server::Simulated),
    ("as_3_9", Server::Simulated),
    ("on_3_8", Server::Real38),
    ("on_3_9", Server::Real39),
    ("v3_8", Server::Real38),
    ("v3_9", Server::Real39),
];

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Handler {
    Threads,
    TokioCurrentThread,
    TokioMultiThread,
    SmolThread,
    SmolExecutor,
    Simulator,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Server {
    Ours38,
    Ours39,
    Simulated,
    Real38,
    Real39,
}

const ROWS: [Handler; 6] = [
    Handler::Threads,
    Handler::TokioCurrentThread,
    Handler::TokioMultiThread,
    Handler::SmolThread,
    Handler::SmolExecutor,
    Handler::Simulator,
];

const COLUMNS: [Server; 5] = [
    Server::Ours38,
    Server::Ours39,
    Server::Simulated,
    Server::Real38,
    Server::Real39,
];

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Threads => "threads",
            Self::TokioCurrentThread => "tokio, current thread",
            Self::TokioMultiThread => "tokio, multi thread",
            Self::SmolThread => "smol, own thread",
            Self::SmolExecutor => "smol, executor",
            Self::Simulator => "simulator",
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ours38 => "zk-server 3.8",
            Self::Ours39 => "zk-server 3.9",
            Self::Simulated => "simulated",
            Self::Real38 => "ZooKeeper 3.8",
            Self::Real39 => "ZooKeeper 3.9",
        })
    }
}

/// What became of all tests that are of some handler on some server.
#[derive(Debug, Default)]
pub(crate) struct Matrix(BTreeMap<String, Fate>);

impl Matrix {
    /// Takes what became of tests in one step. What a step leaves out another one may run.
    pub(crate) fn add(&mut self, fates: &BTreeMap<String, Fate>) {
        for (name, fate) in fates {
            if place(name).is_some() {
                let known = self.0.entry(name.clone()).or_insert(*fate);
                *known = (*known).max(*fate);
            }
        }
    }

    fn cells(&self) -> BTreeMap<(Handler, Server), Cases> {
        let mut cells = BTreeMap::<_, Cases>::new();
        for (name, fate) in &self.0 {
            let Some(place) = place(name) else { continue };
            let cell = cells.entry(place).or_default();
            *match fate {
                Fate::LeftOut => &mut cell.skipped,
                Fate::Passed => &mut cell.passed,
                Fate::Failed => &mut cell.failed,
            } += 1;
        }
        cells
    }

    /// Where something was left out, and where nothing was run.
    pub(crate) fn gaps(&self) -> Vec<String> {
        let cells = self.cells();
        let mut gaps = Vec::new();
        for (handler, server) in pairs().filter(|pair| fits(*pair)) {
            let what = match cells.get(&(handler, server)) {
                None => "nothing was run".to_owned(),
                Some(cell) if cell.skipped > 0 => format!("{} left out", cell.skipped),
                Some(_) => continue,
            };
            gaps.push(format!("{handler} on {server}: {what}"));
        }
        gaps
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.cells();
        write!(f, "{:21}", "passed/failed/left out")?;
        for server in COLUMNS {
            write!(f, "  {server:>13}")?;
        }
        for handler in ROWS {
            write!(f, "\n{handler:22}")?;
            for server in COLUMNS {
                let text = match cells.get(&(handler, server)) {
                    Some(cell) => format!("{}/{}/{}", cell.passed, cell.failed, cell.skipped),
                    None if fits((handler, server)) => "none".to_owned(),
                    None => "-".to_owned(),
                };
                write!(f, "  {text:>13}")?;
            }
        }
        Ok(())
    }
}

/// What a line of a test program's progress says: `test name ... ok`.
pub(crate) fn progress(line: &str) -> Option<(&str, Fate)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let fate = match result.split([',', ' ']).next()? {
        "ok" => Fate::Passed,
        "FAILED" => Fate::Failed,
        "ignored" => Fate::LeftOut,
        _ => return None,
    };
    Some((name, fate))
}

/// Whose test on which server it is, by its name.
fn place(name: &str) -> Option<(Handler, Server)> {
    let (_, handler) = HANDLERS
        .iter()
        .find(|(module, _)| name.starts_with(module))?;
    let (modules, test) = name.rsplit_once("::")?;
    let is_here = |mark: &str| {
        let named = test
            .strip_suffix(mark)
            .is_some_and(|rest| rest.ends_with('_'));
        named || modules.split("::").any(|module| module == mark)
    };
    let (_, server) = SERVERS.iter().find(|(mark, _)| is_here(mark))?;
    Some((*handler, *server))
}

fn pairs() -> impl Iterator<Item = (Handler, Server)> {
    ROWS.into_iter()
        .flat_map(|handler| COLUMNS.map(|server| (handler, server)))
}

/// The simulator has its own servers, and nobody else has those.
fn fits((handler, server): (Handler, Server)) -> bool {
    (handler == Handler::Simulator) == (server == Server::Simulated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(tests: &[(&str, Fate)]) -> Matrix {
        let mut matrix = Matrix::default();
        for (name, fate) in tests {
            matrix.add(&BTreeMap::from([((*name).to_owned(), *fate)]));
        }
        matrix
    }

    #[test]
    fn names_say_handler_and_server() {
        for (name, handler, server) in [
            ("on_threads::on_3_8::acl::a", "threads", "ZooKeeper 3.8"),
            (
                "on_threads::on_zk_server_as_before::faults::a",
                "threads",
                "zk-server 3.8",
            ),
            ("on_threads::threads_end_on_3_9", "threads", "ZooKeeper 3.9"),
            (
                "on_tokio::current_thread::on_zk_server::a::b",
                "tokio, current thread",
                "zk-server 3.9",
            ),
            (
                "on_tokio::multi_thread::on_3_9::a::b",
                "tokio, multi thread",
                "ZooKeeper 3.9",
            ),
            (
                "on_tokio::a_runtime_ends_on_zk_server",
                "tokio, multi thread",
                "zk-server 3.9",
            ),
            (
                "on_smol::on_a_thread::on_3_8::a::b",
                "smol, own thread",
                "ZooKeeper 3.8",
            ),
            (
                "on_smol::nothing_is_left_on_zk_server",
                "smol, own thread",
                "zk-server 3.9",
            ),
            (
                "on_smol::on_an_executor::on_3_8::a::b",
                "smol, executor",
                "ZooKeeper 3.8",
            ),
            ("on_sim::as_3_8::a::b", "simulator", "simulated"),
            (
                "faults::v3_9::all_watches_survive_a_cut",
                "threads",
                "ZooKeeper 3.9",
            ),
            ("faults::on_zk_server::a", "threads", "zk-server 3.9"),
        ] {
            let (h, s) = place(name).unwrap();
            assert_eq!(
                (h.to_string(), s.to_string()),
                (handler.to_owned(), server.to_owned())
            );
        }
        for name in [
            "differential::on_3_9::a",
            "on_threads::a",
            "on_threads::on_3_90::a",
            "faults::quickstart::the_tour_needs_nothing",
            "on_3_9",
        ] {
            assert_eq!(place(name), None, "{name}");
        }
    }

    #[test]
    fn progress_is_understood() {
        assert_eq!(progress("test a::b ... ok"), Some(("a::b", Fate::Passed)));
        assert_eq!(
            progress("test a::b ... FAILED"),
            Some(("a::b", Fate::Failed))
        );
        let ignored = "test a::b ... ignored, needs a real ZooKeeper";
        assert_eq!(progress(ignored), Some(("a::b", Fate::LeftOut)));
        assert_eq!(
            progress("test a::b ... ok <0.2s>"),
            Some(("a::b", Fate::Passed))
        );
        for line in [
            "",
            "test result: ok. 1 passed",
            "test a::b has been running",
            "a ... ok",
        ] {
            assert_eq!(progress(line), None, "{line}");
        }
    }

    #[test]
    fn a_later_step_fills_what_an_earlier_one_left_out() {
        let name = "on_threads::on_3_8::a::b";
        let ran = matrix(&[
            (name, Fate::LeftOut),
            (name, Fate::Passed),
            (name, Fate::LeftOut),
        ]);
        assert!(ran.to_string().contains("1/0/0"));
        let failed = matrix(&[(name, Fate::Failed), (name, Fate::Passed)]);
        assert!(failed.to_string().contains("0/1/0"));
    }

    #[test]
    fn gaps_are_left_outs_and_cells_without_a_test() {
        let mut all = Vec::new();
        for handler in [
            "on_threads",
            "on_tokio::current_thread",
            "on_tokio::multi_thread",
        ]
        .into_iter()
        .chain(["on_smol::on_a_thread", "on_smol::on_an_executor"])
        {
            for server in ["on_3_8", "on_3_9", "on_zk_server", "on_zk_server_as_before"] {
                all.push((format!("{handler}::{server}::a::b"), Fate::Passed));
            }
        }
        all.push(("on_sim::as_3_9::a::b".to_owned(), Fate::Passed));
        let all: Vec<_> = all.iter().map(|(name, fate)| (&**name, *fate)).collect();
        assert_eq!(matrix(&all).gaps(), Vec::<String>::new());

        let mut one_less = matrix(&all[1..]);
        assert_eq!(
            one_less.gaps(),
            ["threads on ZooKeeper 3.8: nothing was run"]
        );
        let left_out = BTreeMap::from([(all[0].0.to_owned(), Fate::LeftOut)]);
        one_less.add(&left_out);
        assert_eq!(one_less.gaps(), ["threads on ZooKeeper 3.8: 1 left out"]);
    }

    #[test]
    fn it_is_printed_with_a_line_for_each_handler() {
        let matrix = matrix(&[
            ("on_threads::on_zk_server::a::b", Fate::Passed),
            ("on_threads::on_zk_server::a::c", Fate::Failed),
            ("on_sim::as_3_9::a::b", Fate::LeftOut),
        ]);
        let text = matrix.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 1 + ROWS.len());
        let words: Vec<_> = lines[1].split_whitespace().collect();
        assert_eq!(words, ["threads", "none", "1/1/0", "-", "none", "none"]);
        assert!(lines[6].ends_with(&format!("{:>13}  {:>13}  {:>13}", "0/0/1", "-", "-")));
    }
}
