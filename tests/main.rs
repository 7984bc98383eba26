//! The client against ZooKeeper servers, of which it must not matter which: one suite, mounted once
//! for each handler and each kind of server.
//!
//! `suite` holds the tests, which know neither handler nor server.
//!
//! | mounted as | handler | network | server |
//! |---|---|---|---|
//! | `on_threads::on_zk_server`, `..._as_before` | threads | TCP | `zk-server` in this process, as 3.9 and as 3.8 |
//! | `on_threads::on_3_9`, `on_3_8` | threads | TCP | real ones, in Java |
//! | `on_tokio::current_thread`, `multi_thread`, the same | tokio, on both kinds of runtime | TCP | both |
//! | `on_smol::on_a_thread`, `on_an_executor`, the same | smol, on a thread of its own and on an executor | TCP | both |
//! | `on_tls` | all three | TCP with TLS on it | `zk-server`; a part of the suite |
//! | `on_sim::as_3_9`, `as_3_8` | simulator | simulated | `zk-server` on a simulated machine |
//!
//! Beside the suite, in the same modules, `faults` are what becomes of a loaded client when its server
//! is killed or paused, its connection cut, its session ended, and `handlers` what each of them has to do
//! by itself. The matrix that `cargo xtask test` prints
//! is made of these names.
//!
//! The tests on TCP share one server of each kind, which starts with the first test that needs it; a
//! simulated one has a universe for itself. Those with real servers are ignored unless asked for, as
//! they need Java and the servers.
//!
//! ```text
//! cargo test --test main                                  # all that needs Rust alone
//! cargo test --test main -- --include-ignored             # everything
//! cargo test --test main -- --include-ignored on_3_9      # one version
//! cargo test --test main -- watches::                     # one topic
//! ```
//!
//! `campaigns` go on for minutes, on an ensemble: `cargo xtask campaign`.
//!
//! `names` is about how servers are found, `observed` about the log. `differential` is about something else: the server of
//! this project, against real ones.
//!
//! Whatever a test is about, when it is over each of its clients is looked at for what it still
//! holds, the server for watches and sessions that were left behind, and then once more after the
//! close.
//!
//! # What kazoo's own tests assert, and where it is asserted here
//!
//! | kazoo's tests | here |
//! |---|---|
//! | states on stop, start, injected expiry; called once, only on change | `session::listeners_hear_each_change_once`, `an_expiry_is_lost_then_connected` |
//! | chroot in the hosts; unchroot of results, events, foreign paths | `chroot::*` |
//! | start against a dead port, an unknown name, an empty host | `connecting::a_port_where_nobody_listens_is_named`, `a_name_that_does_not_resolve_is_named`, `malformed_options_are_refused_at_once` |
//! | `randomize_hosts=False` | `connecting::hosts_are_tried_in_the_given_order_if_asked_for` |
//! | retry options are used | `connecting::limited_tries_end_the_client`, `retry::the_client_has_a_policy_of_its_own` |
//! | digest: `add_auth`, constructor, special characters, unknown scheme, kept for reconnects | `auth::*` |
//! | missing chroot warns | `connecting::a_missing_root_path_is_warned_of` |
//! | listeners: raising, removed by their answer | `session::a_panic_in_a_listener_is_contained`, `listeners_are_called_in_order_until_removed` |
//! | after stop: not connected, no id, calls refused; second stop; restart | `close::a_closed_client_refuses_everything`, `closing_again_is_harmless`, `session::a_restart_begins_a_new_session` |
//! | stop during a drop; requests racing with close; results while stopping | `close::closing_while_the_connection_is_away_reaches_the_next`, `calls_race_with_the_close`, `completions_are_called_though_the_client_closes` |
//! | a one-shot watch is called on expiry | `watches::watches_end_with_the_session` |
//! | `server_version`, `command`, also when stopped | `commands::*`; malformed answers: unit tests |
//! | `client_id`, `connected` | `session::a_new_client_knows_its_session` |
//! | create: path, modes, sequence names, `makepath`, `include_data`, errors | `create::*` |
//! | null and empty data; 512 KiB; over the limit | `data::null_is_not_empty`, `half_a_mebibyte_is_fine`, `limits::what_servers_would_not_take_is_refused_here` |
//! | non-ASCII, relative, malformed paths | `chroot::names_may_be_in_any_language`, `paths_are_put_in_order`, `malformed_paths_are_refused_here` |
//! | ACLs: round trip, duplicates, empty, errors, `default_acl` | `acl::*`, `transactions::the_default_list_is_used` |
//! | set, get, exists, sync, delete, recursive delete, get_children | `data::*`, `children::*` |
//! | watches: fire with unchrooted path, exceptions harmless | `watches::*`, `chroot::events_are_below_the_root_path` |
//! | requests while failed for authentication | `auth::a_refused_configured_credential_ends_the_client` |
//! | `set_hosts` with another chroot; with other servers | `connecting::set_hosts_moves_the_connection_not_the_session` |
//! | requests while suspended: recovered, expired | `session::what_is_asked_while_suspended_waits`, `what_waits_fails_unsent_if_the_session_has_expired` |
//! | transactions: results, failures, errors | `transactions::*` |
//! | bogus `client_id` | `session::a_bogus_session_is_replaced` |
//! | undecodable connect reply | `connecting::garbage_is_survived`, `an_http_server_is_named`, `a_tls_server_is_named` |
//! | close, then start again | `session::a_restart_begins_a_new_session` |
//! | drop during a large set | `errors::a_large_write_may_break_off` |
//! | TLS with CA, certificate and key; SNI, `check_hostname` | `tls::*`, `on_tls` |
//! | handlers: start and stop, callbacks that raise, `spawn` | `on_threads::threads_end_with_the_last_client_on_3_9`, `limits::a_panic_in_a_completion_is_contained`, `background_work_runs_and_can_be_dropped` |
//! | async results: `get`, `wait`, `rawlink`, timeouts | `limits::results_can_be_looked_at_in_every_way`, `results_wake_threads_that_wait` |
//!
//! What they assert of recipes: `suite::recipes`.
//!
//! Not here, and why:
//!
//! | kazoo's tests | reason |
//! |---|---|
//! | wrong argument types, non-callable listeners and watches, handler classes for instances | do not compile |
//! | a second commit of a transaction; errors in a `with` block | do not compile: committing takes the transaction |
//! | `unlink` of a callback | a result has one owner, who gives it away with `on_complete` |
//! | a server that stops, is paused, or has lost its quorum; read-only mode; observers that come and go | need servers of their own: `faults` |
//! | out-of-order xids, undecodable replies | need a server that lies: the session's own tests |
//! | wake sockets; `select` above 1,024 descriptors; `gevent` and `eventlet` | there is nothing of the kind |

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod campaigns;
mod curator;
mod differential;
mod faults;
mod handlers;
mod names;
mod observed;
mod on_sim;
mod on_smol;
mod on_threads;
mod on_tls;
mod on_tokio;
mod pages;
mod peers;
mod suite;
mod support;
mod tls;
