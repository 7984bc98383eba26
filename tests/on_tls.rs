//! A part of the suite with TLS between clients and server, on every handler.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Runtime;
use zk::Handler;
use zk::threads::ThreadsHandler;
use zk_handler_smol::SmolHandler;
use zk_handler_tokio::TokioHandler;

use crate::support::Server;

fn threads(_: &Server) -> Arc<dyn Handler> {
    Arc::new(ThreadsHandler::new())
}

fn tokio(_: &Server) -> Arc<dyn Handler> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
    Arc::new(TokioHandler::new(runtime.handle().clone()))
}

fn smol(_: &Server) -> Arc<dyn Handler> {
    Arc::new(SmolHandler::new())
}

/// What depends on how bytes travel: how much of it, in which order, what is lost with a connection.
macro_rules! mount_part {
    ($($module:ident by $make:path),* $(,)?) => {$(
        mod $module {
            use crate::support::{self, Env, Place};

            fn run(place: Place, name: &str, test: fn(&Env)) {
                support::run(place, name, $make, test);
            }

            $crate::suite::mount! { @ []
                Place::Secured(zk_server::Release::V3_9), crate::on_tls::$module::run;
                children {
                    ten_thousand_children_are_listed
                }
                close {
                    calls_race_with_the_close
                    closing_an_expired_session_is_fine
                    closing_deletes_the_ephemerals_at_once
                    closing_sends_what_was_submitted_before
                    closing_while_the_connection_is_away_reaches_the_next
                }
                commands {
                    long_answers_are_whole
                    silence_is_given_up
                    the_connected_server_is_asked
                    the_version_is_known
                    words_are_answered
                    words_without_an_answer_are_told
                }
                data {
                    half_a_mebibyte_is_fine
                    null_is_not_empty
                }
                errors {
                    a_large_write_may_break_off
                    all_that_was_submitted_fails_with_the_connection
                }
                limits {
                    a_reply_beyond_the_limit_fails_alone
                    ten_thousand_calls_are_in_flight
                }
                order {
                    a_change_by_others_is_heard_of_before_it_is_seen
                    an_event_comes_before_the_reply_that_reveals_it
                    completions_are_called_in_order
                    requests_are_carried_out_in_order
                }
                session {
                    a_lost_connection_keeps_the_session
                    an_expiry_is_lost_then_connected
                }
                transactions {
                    each_write_has_its_result
                }
                watches {
                    thousands_of_watches_survive
                    watches_survive_a_lost_connection
                    what_happened_while_away_is_caught_up_with
                }
            }
        }
    )*};
}

mount_part! {
    on_smol by crate::on_tls::smol,
    on_threads by crate::on_tls::threads,
    on_tokio by crate::on_tls::tokio,
}
