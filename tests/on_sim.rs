//! The suite in universes of the simulator: its handler, its network, and `zk-server` on one of its
//! machines, as 3.9 and as 3.8.
//!
//! The tests are the same: they block, on threads of their own, while a universe runs beside them
//! (`support::universe`). What they use of TCP has a twin there: proxies (`support::relay`),
//! strangers, ports where nobody listens, four-letter words. Nothing here is repeatable, as real
//! threads take part; what is shown is that a client in a universe does what one on threads and
//! sockets does.
//!
//! No test is left out. Two mean less than elsewhere, as names are those of machines:
//!
//! | test | here |
//! |---|---|
//! | `connecting::names_are_resolved` | shows that the name is asked for as it is, in lower case |
//! | `connecting::a_name_that_does_not_resolve_is_named` | shows the error for a machine that is not there |

use crate::suite::mount;
use crate::support::{self, Env, Place, Server};

fn run(place: Place, name: &str, test: fn(&Env)) {
    support::run(place, name, Server::simulated_handler, test);
}

mod as_3_9 {
    super::mount! { [] Place::Simulated(zk_server::Release::V3_9), crate::on_sim::run }
}

mod as_3_8 {
    super::mount! { [] Place::Simulated(zk_server::Release::V3_8), crate::on_sim::run }
}
