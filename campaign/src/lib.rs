//! Runs clients and servers under all faults, seed by seed, and judges what they did.

#![forbid(unsafe_code)]

mod actor;
mod acts;
mod campaign;
mod eyes;
mod guest;
mod mutants;
mod recipes;
mod record;
mod run;
mod servers;
mod setup;

pub use campaign::Campaign;
pub use mutants::{MUTANTS, Mutant};
pub use recipes::{RECIPES, Recipe};
pub use run::{Options, Outcome, run};
