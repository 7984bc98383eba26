//! The tests, for whatever handler drives the clients. `mount!` makes all of them tests of one
//! handler and one version of the server; a function that is not listed there is a warning.

pub(crate) mod close;
pub(crate) mod session;

/// Makes every test of the suite one of the module it is used in: `$run` gets the version, the
/// name, and the function.
macro_rules! mount {
    ($version:ident, $run:path) => {
        $crate::suite::mount! { @ $version, $run;
            close {
                a_client_may_be_closed_in_its_own_callbacks
                a_closed_client_refuses_everything
                closing_again_is_harmless
                closing_an_expired_session_is_fine
                closing_deletes_the_ephemerals_at_once
                closing_right_after_the_start_works
                closing_sends_what_was_submitted_before
                closing_while_the_connection_is_away_reaches_the_next
                closing_without_a_server_says_so
                the_last_clone_closes_in_the_background
                watches_and_streams_end_with_the_client
                what_is_sent_outlives_the_last_clone
            }
            session {
                a_bogus_session_is_replaced
                a_listener_may_use_the_client
                a_lost_connection_keeps_the_session
                a_missing_root_path_is_warned_of
                a_name_that_does_not_resolve_is_named
                a_new_client_knows_its_session
                a_panic_in_a_listener_is_contained
                a_port_where_nobody_listens_is_named
                a_restart_begins_a_new_session
                a_restarted_client_does_not_resume_what_it_once_resumed
                a_server_that_hangs_up_is_named
                a_session_is_not_resumed_with_a_wrong_password
                a_session_without_contact_is_given_up
                a_silent_server_is_named
                a_tls_server_is_named
                an_expiry_is_lost_then_connected
                an_http_server_is_named
                changes_come_as_a_stream_too
                detached_sessions_can_be_resumed
                garbage_is_survived
                giving_up_a_connect_leaves_no_session
                hosts_are_tried_in_the_given_order_if_asked_for
                limited_tries_end_the_client
                listeners_are_called_in_order_until_removed
                listeners_hear_each_change_once
                malformed_options_are_refused_at_once
                names_are_resolved
                one_client_serves_many_threads
                one_handler_drives_two_hundred_clients
                servers_bound_the_session_timeout
                set_hosts_moves_the_connection_not_the_session
                the_deadline_moves_on_while_a_sync_keeps_alive
                threads_make_and_close_clients_at_once
                what_is_asked_after_the_loss_waits_for_the_next_session
                what_is_asked_before_the_first_connection_waits
                what_is_asked_while_suspended_waits
                what_waits_fails_unsent_if_the_session_has_expired
            }
        }
    };
    (@ $version:ident, $run:path; $($module:ident { $($test:ident)* })*) => {$(
        mod $module {$(
            #[test]
            #[ignore = "needs a real ZooKeeper: cargo xtask test"]
            fn $test() {
                let name = concat!(stringify!($module), "::", stringify!($test));
                $run(zk_testkit::Version::$version, name, $crate::suite::$module::$test);
            }
        )*}
    )*};
}

pub(crate) use mount;
