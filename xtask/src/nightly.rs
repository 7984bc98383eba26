//! `cargo xtask nightly`: what takes too long for every change, or needs more than every machine has.
//!
//! Unlike in `ci`, a step may be left out, and then the table says why.

use crate::error::Error;
use crate::report::{Done, Report};
use crate::workspace::Workspace;
use crate::{campaign, fuzz, loom, sim};

mod minimal;
mod powerset;
mod servers;

/// A step: its name, and what it does.
type Step = (&'static str, fn(&Workspace) -> Result<Done, Error>);

/// Quick ones first. Each can be asked for by its name.
const STEPS: [Step; 10] = [
    ("minimal", minimal::minimal),
    ("powerset", powerset::powerset),
    ("loom", loom::loom),
    ("kerberos", servers::kerberos),
    ("next", servers::next),
    ("curator", servers::curator),
    ("mutants", sim::mutants),
    ("sim", sim::long),
    ("campaign", campaign::step),
    ("fuzz", fuzz::long),
];

/// Runs the steps named, or all.
pub(crate) fn nightly(workspace: &Workspace, names: &[&str]) -> Result<Report, Error> {
    let known = |name: &&&str| STEPS.iter().any(|(step, _)| step == *name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        return Err(Error::Usage(format!("nightly {name}")));
    }
    let mut report = Report::new(false);
    for (name, step) in STEPS {
        if names.is_empty() || names.contains(&name) {
            report.step(name, || step(workspace));
        }
    }
    Ok(report)
}
