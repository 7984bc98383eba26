//! `cargo xtask ci`: every check, with nothing left out.

use crate::details::Reader;
use crate::error::Error;
use crate::process::{LONGER, SHORT, cargo, run, succeeded, watch};
use crate::report::{Done, Report};
use crate::test::STRICT;
use crate::workspace::Workspace;
use crate::{deny, features, files, fuzz, instructions, loom, msrv, native, package, pure, sim};

/// A step: its name, and what it does.
type Step = (&'static str, fn(&Workspace) -> Result<Done, Error>);

/// Quick ones first. Each can be asked for by its name.
const STEPS: [Step; 14] = [
    ("format", format),
    ("files", files::files),
    ("msrv", msrv::msrv),
    ("clippy", features::clippy),
    ("features", features::features),
    ("docs", docs),
    ("pure", pure::pure),
    ("instructions", instructions::instructions),
    ("loom", loom::loom),
    ("package", |workspace| package::package(workspace, false)),
    ("deny", deny::deny),
    ("fuzz", fuzz::short),
    ("sim", sim::step),
    ("test", test),
];

/// Runs the steps named, or all.
pub(crate) fn ci(workspace: &Workspace, names: &[&str]) -> Result<Report, Error> {
    let known = |name: &&&str| STEPS.iter().any(|(step, _)| step == *name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        return Err(Error::Usage(format!("ci {name}")));
    }
    let mut report = Report::new(true);
    for (name, step) in STEPS {
        if names.is_empty() || names.contains(&name) {
            report.step(name, || step(workspace));
        }
    }
    Ok(report)
}

fn format(_: &Workspace) -> Result<Done, Error> {
    let check = ["fmt", "--all", "--check", "--", "--color", "never"];
    run(&mut cargo(&check), SHORT)?;
    Ok(Done::Passed(String::new()))
}

/// The docs that users read, and with the private items those that developers read.
fn docs(workspace: &Workspace) -> Result<Done, Error> {
    let base = ["doc", "--workspace", "--no-deps", "--keep-going"];
    let of = |package| {
        let features = native::features(workspace, package).into_iter();
        features.map(|feature| format!("{}/{feature}", package.name))
    };
    let features: Vec<String> = workspace.packages.iter().flat_map(of).collect();
    let results = [&[][..], &["--document-private-items"]].map(|private| {
        let mut doc = cargo(&base);
        doc.args(["--features", &features.join(",")]);
        doc.args(private).env("RUSTDOCFLAGS", "-D warnings");
        run(&mut doc, SHORT)
    });
    let good: Result<Vec<()>, Error> = results.into_iter().collect();
    good.map(|_| Done::Passed(native::note(workspace)))
}

/// The test command of the README, as it stands there.
fn test(_: &Workspace) -> Result<Done, Error> {
    let mut test = cargo(&["xtask", "test"]);
    let (mut last, mut failures) = (String::new(), Reader::default());
    let ended = watch(test.env(STRICT, "1"), LONGER, |line| {
        if !failures.line(line) {
            println!("{line}");
            line.clone_into(&mut last);
        }
    });
    match ended.and_then(|status| succeeded(&test, status)) {
        Ok(()) => Ok(Done::Passed(last)),
        Err(error) => Err(match failures.finish() {
            details if details.is_empty() => error,
            details => Error::Tests(last).with(details),
        }),
    }
}
