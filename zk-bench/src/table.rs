//! All contenders, interleaved, and a table of their medians.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use serde_json::Value;

use crate::args::{HandlerName, Table, Workload, name};
use crate::error::Error;
use crate::process::{Served, own};
use crate::tls::AuthorityFile;

/// One measured phase of one run.
struct Figure {
    rate: f64,
    cpu_us: f64,
    p50: Option<f64>,
    p99: Option<f64>,
    rss_mb: f64,
}

/// By phase, in the order of the workloads, then by contender.
type Figures = BTreeMap<(usize, String, usize), Vec<Figure>>;

/// Measures, and prints the table.
pub(crate) fn run(options: &Table) -> Result<(), Error> {
    let stub = match &options.hosts {
        Some(hosts) => {
            own(&["setup", hosts])?
                .status()
                .map_err(Error::io("set up"))?;
            None
        }
        None => Some(Served::start("stub")?),
    };
    let server = match (&options.hosts, &stub) {
        (Some(hosts), _) => hosts.clone(),
        (None, Some(stub)) => stub.address().to_owned(),
        (None, None) => String::new(),
    };
    let secure = options.tls.then(Secure::start).transpose()?;
    let contenders = contenders(options, secure.as_ref());
    let workloads = match options.workloads.as_slice() {
        [] => Workload::value_variants(),
        some => some,
    };
    let mut figures = Figures::new();
    for (order, workload) in workloads.iter().enumerate() {
        // The watches take long, and once is enough.
        let rounds = if *workload == Workload::W7 {
            1
        } else {
            options.rounds
        };
        for _ in 0..rounds {
            for (index, contender) in contenders.iter().enumerate() {
                // Watches are fired by a raw loop, which knows no TLS.
                if contender.server.is_some() && *workload == Workload::W7 {
                    continue;
                }
                let server = contender.server.as_ref().unwrap_or(&server).clone();
                let arguments = [server, name(workload), options.seconds.to_string()];
                for (phase, figure) in measure(&contender.program, &arguments)? {
                    // The stub fires a watch as it is set.
                    if stub.is_none() || phase != "w7f" {
                        figures
                            .entry((order, phase, index))
                            .or_default()
                            .push(figure);
                    }
                }
            }
        }
    }
    print(&contenders, &figures).map_err(Error::io("print the table"))
}

/// The stub once more, by TLS.
struct Secure {
    served: Served,
    authority: AuthorityFile,
}

impl Secure {
    fn start() -> Result<Self, Error> {
        let authority = AuthorityFile::new();
        let served = Served::with("stub", &["--tls", &authority.argument()])?;
        Ok(Self { served, authority })
    }
}

/// Who is measured.
struct Contender {
    title: String,
    /// The program and its first arguments.
    program: Vec<String>,
    /// Its own server, if it is not that of the others.
    server: Option<String>,
}

/// All of them; the raw loop first.
fn contenders(options: &Table, secure: Option<&Secure>) -> Vec<Contender> {
    let handlers = match options.handlers.as_slice() {
        [] => HandlerName::value_variants(),
        some => some,
    };
    let own = std::env::current_exe().unwrap_or_default();
    let own = own.display().to_string();
    let contender = |title: String, words: &[&str]| Contender {
        title,
        program: words.iter().map(|word| (*word).to_owned()).collect(),
        server: None,
    };
    let mut contenders = vec![contender("raw".to_owned(), &[&own, "raw"])];
    for handler in handlers {
        let title = name(handler);
        let words = [&own, "peer", "--handler", &title];
        contenders.push(contender(title.clone(), &words));
        if let Some(Secure { served, authority }) = secure {
            let file = authority.argument();
            let words = [words.as_slice(), &["--tls", &file]].concat();
            let plain = contender(format!("{title}, TLS"), &words);
            contenders.push(Contender {
                server: Some(served.address().to_owned()),
                ..plain
            });
        }
    }
    contenders.extend(options.extra.iter().map(|program| {
        let title = program.file_name().unwrap_or(program.as_os_str());
        let title = title.to_string_lossy().into_owned();
        contender(title, &[&program.display().to_string()])
    }));
    contenders
}

/// Runs a contender once.
fn measure(program: &[String], arguments: &[String]) -> Result<Vec<(String, Figure)>, Error> {
    let failed = |why: String| Error::Program {
        program: program.join(" "),
        why,
    };
    let [first, more @ ..] = program else {
        return Ok(Vec::new());
    };
    let output = Command::new(first)
        .args(more)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(said.trim().to_owned()));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| {
            let record: Value = serde_json::from_str(line).map_err(|e| failed(e.to_string()))?;
            figure(&record).ok_or_else(|| failed(format!("it printed {line}")))
        })
        .collect()
}

fn figure(record: &Value) -> Option<(String, Figure)> {
    let number = |key: &str| record[key].as_f64();
    let (ops, wall) = (number("ops")?, number("wall")?);
    let figure = Figure {
        rate: ops / wall,
        cpu_us: number("cpu")? / ops * 1e6,
        p50: number("p50_us"),
        p99: number("p99_us"),
        rss_mb: number("rss_kb")? / 1024.0,
    };
    Some((record["w"].as_str()?.to_owned(), figure))
}

fn print(contenders: &[Contender], figures: &Figures) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| work | client | ops/s | CPU µs/op | spread | of raw | p50 µs | p99 µs | peak MB |"
    )?;
    writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|--:|")?;
    for ((order, phase, index), runs) in figures {
        let cpu = median(runs, |run| Some(run.cpu_us)).unwrap_or_default();
        let (least, most) = runs.iter().fold((f64::MAX, 0_f64), |(least, most), run| {
            (least.min(run.cpu_us), most.max(run.cpu_us))
        });
        let raw = figures.get(&(*order, phase.clone(), 0));
        let raw = raw.and_then(|raw| median(raw, |run| Some(run.cpu_us)));
        let optional = |value: Option<f64>, digits: usize| {
            value.map_or_else(String::new, |value| format!("{value:.digits$}"))
        };
        writeln!(
            out,
            "| {phase} | {} | {} | {cpu:.2} | {:.0} % | {} | {} | {} | {} |",
            contenders[*index].title,
            optional(median(runs, |run| Some(run.rate)), 0),
            (most - least) / cpu * 100.0,
            optional(raw.map(|raw| cpu / raw), 2),
            optional(median(runs, |run| run.p50), 0),
            optional(median(runs, |run| run.p99), 0),
            optional(median(runs, |run| Some(run.rss_mb)), 1),
        )?;
    }
    Ok(())
}

fn median(runs: &[Figure], of: impl Fn(&Figure) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = runs.iter().filter_map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
