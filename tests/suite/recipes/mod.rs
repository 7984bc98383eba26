//! Recipes on every handler and server. What becomes of them when much goes wrong is tried in
//! universes, in `zk-recipes/tests`.

pub(crate) mod caches;
pub(crate) mod parties;
pub(crate) mod watching;
