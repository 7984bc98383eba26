//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, by cargo-fuzz. See `docs/fuzzing.md`.
//!
//! The corpora that are kept are packed, a file each. A run unpacks them below `target/fuzz`, where
//! all that it adds stays, so that the next one goes on from there; `--minimise` takes what is worth
//! keeping back into the repository.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::fuzz_finding::Finding;
use crate::fuzz_log::Figures;
use crate::process::{LONG, SHORT, capture, cargo, run, succeeded, watch};
use crate::report::{Done, Report};
use crate::workspace::Workspace;

/// The version of cargo-fuzz.
const VERSION: &str = "0.13.2";

/// How long each target runs in `ci`.
const CI: Duration = Duration::from_secs(20);

/// How long each target runs in `nightly`.
const NIGHTLY: Duration = Duration::from_secs(10 * 60);

/// No input is longer. Deep states need many steps, but a mutation in a long input rarely matters.
const MAX_LEN: usize = 4096;

/// How long one input may take: much longer than any does, as machines pause.
const UNIT: Duration = Duration::from_secs(120);

/// What a run leaves behind beyond the limit on its time: it finishes an input, and reads a corpus.
const SLACK: Duration = Duration::from_secs(5 * 60);

/// What is asked of a run.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    /// How long each target runs.
    time: Duration,
    /// Afterwards, keep the smallest corpora that cover as much.
    minimise: bool,
    /// A directory with more inputs, in one directory for each target.
    more: Option<&'a Path>,
    /// All, if none is named.
    targets: Vec<&'a str>,
}

impl<'a> Options<'a> {
    /// Reads `[--minutes N] [--minimise] [--from DIR] [TARGET..]`.
    pub(crate) fn parse(words: &[&'a str]) -> Result<Self, Error> {
        let usage = || Error::Usage(format!("fuzz {}", words.join(" ")));
        let mut options = Self {
            time: Duration::from_secs(60),
            minimise: false,
            more: None,
            targets: Vec::new(),
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match *word {
                "--minutes" => {
                    let minutes = rest.next().and_then(|text| text.parse().ok());
                    let minutes = minutes.filter(|minutes: &f64| (0.0..1e6).contains(minutes));
                    options.time = Duration::from_secs_f64(minutes.ok_or_else(usage)? * 60.0);
                }
                "--minimise" => options.minimise = true,
                "--from" => options.more = Some(Path::new(*rest.next().ok_or_else(usage)?)),
                flag if flag.starts_with('-') => return Err(usage()),
                target => options.targets.push(target),
            }
        }
        Ok(options)
    }
}

/// Fuzzes the targets named, or all, one after the other.
pub(crate) fn fuzz(workspace: &Workspace, options: &Options<'_>) -> Result<Report, Error> {
    let known = targets(&workspace.root)?;
    if let Some(stranger) = options
        .targets
        .iter()
        .find(|name| !known.iter().any(|target| target == *name))
    {
        return Err(Error::Usage(format!("fuzz {stranger}")));
    }
    let chosen =
        |name: &&String| options.targets.is_empty() || options.targets.contains(&name.as_str());
    let mut report = Report::new(true);
    let mut bench = None;
    report.step("build", || {
        bench = Some(Bench::build(workspace)?);
        Ok(Done::Passed(String::new()))
    });
    let Some(bench) = bench else {
        return Ok(report);
    };
    for name in known.iter().filter(chosen) {
        report.step(name, || match bench.fuzz(name, options.time)? {
            Ran::Well(note) => Ok(Done::Passed(note)),
            Ran::Found(found) => {
                for finding in &found {
                    println!("{finding}");
                }
                let (target, count) = (name.clone(), found.len());
                let log = bench.log(name)?;
                let details = found.iter().flat_map(Finding::details);
                Err(Error::Findings { target, count, log }.with(details))
            }
        });
        if options.minimise {
            let name = format!("{name}, kept");
            report.step(&name, || {
                let name = name.trim_end_matches(", kept");
                bench.minimise(name, options.more).map(Done::Passed)
            });
        }
    }
    Ok(report)
}

/// The step of `ci`: every target for a short time.
pub(crate) fn short(workspace: &Workspace) -> Result<Done, Error> {
    each(workspace, CI)
}

/// The step of `nightly`: every target for a longer one.
pub(crate) fn long(workspace: &Workspace) -> Result<Done, Error> {
    each(workspace, NIGHTLY)
}

fn each(workspace: &Workspace, time: Duration) -> Result<Done, Error> {
    let bench = Bench::build(workspace)?;
    let mut notes = Vec::new();
    let mut findings = Vec::new();
    for name in targets(&workspace.root)? {
        match bench.fuzz(&name, time)? {
            Ran::Well(note) => notes.push(format!("{name}: {note}")),
            Ran::Found(found) => findings.extend(found),
        }
    }
    for note in &notes {
        println!("{note}");
    }
    if !findings.is_empty() {
        // All of each, as the files are often left behind on another machine.
        let all: Vec<String> = findings.iter().map(Finding::to_string).collect();
        let text = format!("{} finding(s)\n{}", all.len(), all.join("\n"));
        let details = findings.iter().flat_map(Finding::details);
        return Err(Error::Tests(text).with(details));
    }
    Ok(Done::Passed(format!(
        "{} targets, {time:?} each",
        notes.len()
    )))
}

/// What came of a target.
enum Ran {
    /// Nothing was found; with the figures.
    Well(String),
    Found(Vec<Finding>),
}

/// The programs in `fuzz/fuzz_targets`, sorted.
fn targets(root: &Path) -> Result<Vec<String>, Error> {
    let names = entries(&root.join("fuzz/fuzz_targets"))?;
    let names = names.iter().filter_map(|path| path.file_stem()?.to_str());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// Everything that a run needs, built.
struct Bench<'a> {
    workspace: &'a Workspace,
    /// Where the instrumented programs are.
    programs: PathBuf,
    /// The program that packs and unpacks corpora.
    corpus: PathBuf,
}

impl<'a> Bench<'a> {
    fn build(workspace: &'a Workspace) -> Result<Self, Error> {
        let tools = install(workspace)?;
        let dir = workspace.target.join("fuzz");
        let mut build = Command::new(tools.join("cargo-fuzz"));
        build.args(["fuzz", "build", "--release"]);
        // There is no `unsafe` here for it to look at, and without it, it goes twice as fast.
        build.args(["--sanitizer", "none"]);
        build.arg("--target-dir").arg(&dir);
        // The instrumentation is an option of the compiler that is not stable.
        build.env("RUSTC_BOOTSTRAP", "1");
        run(build.current_dir(&workspace.root), SHORT)?;
        run(&mut cargo(&["build", "--package", "zk-fuzz-bodies"]), SHORT)?;
        // They are in a directory that is named for the machine.
        let mut places = entries(&dir)?.into_iter();
        let programs = places.find_map(|place| {
            let release = place.join("release");
            release.join("session_bytes").exists().then_some(release)
        });
        Ok(Self {
            workspace,
            programs: programs.ok_or_else(|| Error::Unreadable {
                program: "cargo fuzz build".to_owned(),
                what: format!("no program below {}", dir.display()),
            })?,
            corpus: workspace.target.join("debug/corpus"),
        })
    }

    /// Fuzzes one target, and says what came of it.
    fn fuzz(&self, name: &str, time: Duration) -> Result<Ran, Error> {
        let corpus = self.unpack(name)?;
        let findings = self.dir("artifacts", name)?;
        let known = entries(&findings)?;
        let mut fuzz = self.program(name);
        fuzz.arg(&corpus).args([
            format!("-max_total_time={}", time.as_secs().max(1)),
            format!("-artifact_prefix={}/", findings.display()),
            format!("-max_len={MAX_LEN}"),
            "-rss_limit_mb=4096".to_owned(),
            format!("-timeout={}", UNIT.as_secs()),
            // How slow this machine is at times is no finding.
            format!("-report_slow_units={}", UNIT.as_secs()),
            "-print_final_stats=1".to_owned(),
        ]);
        let dictionary = self.packed(name).with_extension("dict");
        if dictionary.exists() {
            fuzz.arg(format!("-dict={}", dictionary.display()));
        }
        let log = self.log(name)?;
        fuzz.stderr(create(&log)?);
        let status = watch(&mut fuzz, time + SLACK, |line| println!("{line}"))?;
        let bytes = fs::read(&log).map_err(Error::io(format!("read {}", log.display())))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut found = entries(&findings)?;
        found.retain(|path| !known.contains(path));
        if !found.is_empty() {
            let corpus = self.corpus.display();
            for path in &found {
                println!("again: {corpus} run {name} {}", path.display());
            }
            let read = found.iter().map(|path| Finding::read(name, path, &text));
            return read.collect::<Result<_, _>>().map(Ran::Found);
        }
        succeeded(&fuzz, status)?;
        Figures::read(&text)
            .map(|figures| Ran::Well(figures.to_string()))
            .ok_or_else(|| Error::Unreadable {
                program: name.to_owned(),
                what: format!("no figures in {}", log.display()),
            })
    }

    /// Keeps the fewest inputs that reach every edge that all of them do. How often they do is not
    /// looked at: that would make a corpus five times as large.
    fn minimise(&self, name: &str, more: Option<&Path>) -> Result<String, Error> {
        let all = self.unpack(name)?;
        let seeds = self.fresh("seeds", name)?;
        run(
            Command::new(&self.corpus)
                .arg("seeds")
                .arg(name)
                .arg(&seeds),
            SHORT,
        )?;
        let least = self.fresh("least", name)?;
        let mut merge = self.program(name);
        merge.args([
            "-set_cover_merge=1",
            "-use_counters=0",
            "-rss_limit_mb=4096",
        ]);
        merge.arg(format!("-max_len={MAX_LEN}"));
        merge.arg(&least).arg(&all).arg(&seeds);
        merge.args(more.map(|more| more.join(name)));
        merge.stderr(create(&self.log(&format!("{name}.merge"))?)?);
        run(&mut merge, LONG)?;
        let mut pack = Command::new(&self.corpus);
        let said = capture(pack.arg("pack").arg(&least).arg(self.packed(name)), SHORT)?;
        Ok(said.trim().to_owned())
    }

    fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.programs.join(name));
        program.current_dir(&self.workspace.root);
        program
    }

    fn packed(&self, name: &str) -> PathBuf {
        let dir = self.workspace.root.join("fuzz/corpora");
        dir.join(name).with_extension("bin")
    }

    /// Lays the corpus that is kept beside what earlier runs have found. Of a target without one,
    /// the seeds.
    fn unpack(&self, name: &str) -> Result<PathBuf, Error> {
        let dir = self.dir("corpus", name)?;
        let mut corpus = Command::new(&self.corpus);
        let packed = self.packed(name);
        if packed.exists() {
            corpus.arg("unpack").arg(packed);
        } else {
            corpus.arg("seeds").arg(name);
        }
        run(corpus.arg(&dir), SHORT)?;
        Ok(dir)
    }

    fn dir(&self, kind: &str, name: &str) -> Result<PathBuf, Error> {
        let dir = self.workspace.target.join("fuzz").join(kind).join(name);
        fs::create_dir_all(&dir).map_err(Error::io(format!("make {}", dir.display())))?;
        Ok(dir)
    }

    /// The same, without what was in it.
    fn fresh(&self, kind: &str, name: &str) -> Result<PathBuf, Error> {
        let dir = self.dir(kind, name)?;
        fs::remove_dir_all(&dir).map_err(Error::io(format!("remove {}", dir.display())))?;
        self.dir(kind, name)
    }

    fn log(&self, name: &str) -> Result<PathBuf, Error> {
        let dir = self.workspace.target.join("fuzz/logs");
        fs::create_dir_all(&dir).map_err(Error::io(format!("make {}", dir.display())))?;
        Ok(dir.join(format!("{name}.log")))
    }
}

/// Makes sure of cargo-fuzz, and says where it is.
fn install(workspace: &Workspace) -> Result<PathBuf, Error> {
    let tools = workspace.target.join("tools");
    let bin = tools.join("bin");
    let installed = capture(
        Command::new(bin.join("cargo-fuzz")).args(["fuzz", "--version"]),
        SHORT,
    );
    if !installed.is_ok_and(|text| text.trim().ends_with(VERSION)) {
        let mut install = cargo(&["install", "cargo-fuzz", "--version", VERSION]);
        install.args(["--locked", "--debug", "--force"]);
        install.arg("--root").arg(&tools);
        run(install.env("CARGO_TARGET_DIR", tools.join("build")), LONG)?;
    }
    Ok(bin)
}

fn create(path: &Path) -> Result<File, Error> {
    File::create(path).map_err(Error::io(format!("write {}", path.display())))
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let doing = || Error::io(format!("list {}", dir.display()));
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(doing())? {
        paths.push(entry.map_err(doing())?.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_may_be_fractions() {
        let options = Options::parse(&["--minutes", "0.5", "session_ops"]).unwrap();
        assert_eq!(options.time, Duration::from_secs(30));
        assert_eq!(options.targets, ["session_ops"]);
        assert!(!options.minimise);
        assert!(Options::parse(&["--minimise"]).unwrap().minimise);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for words in [
            &["--minutes"][..],
            &["--minutes", "x"],
            &["--minutes", "-1"],
            &["--fast"],
        ] {
            assert!(
                matches!(Options::parse(words), Err(Error::Usage(_))),
                "{words:?}"
            );
        }
    }
}
