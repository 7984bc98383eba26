//! Recipes on every handler and server. What becomes of them when much goes wrong is tried in
//! universes, in `zk-recipes/tests`.

pub(crate) mod barriers;
pub(crate) mod caches;
pub(crate) mod counters;
pub(crate) mod locks;
pub(crate) mod parties;
pub(crate) mod partitions;
pub(crate) mod queues;
pub(crate) mod watching;
