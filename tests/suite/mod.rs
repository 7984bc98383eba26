//! The tests, for whatever handler drives the clients. `mount!` makes all of them tests of one
//! handler and one version of the server; a function that is not listed there is a warning.

pub(crate) mod acl;
pub(crate) mod auth;
pub(crate) mod children;
pub(crate) mod chroot;
pub(crate) mod close;
pub(crate) mod commands;
pub(crate) mod connecting;
pub(crate) mod create;
pub(crate) mod data;
pub(crate) mod errors;
pub(crate) mod limits;
pub(crate) mod order;
pub(crate) mod recipes;
pub(crate) mod retry;
pub(crate) mod sasl;
pub(crate) mod session;
pub(crate) mod streams;
pub(crate) mod transactions;
pub(crate) mod watches;

pub(crate) use recipes::{
    barriers, caches, counters, leases, locks, parties, partitions, queues, watching,
};

/// Makes every test of the suite one of the module it is used in: `$run` gets the version, the
/// name, and the function.
macro_rules! mount {
    ([$($mark:meta)?] $place:expr, $run:path) => {
        $crate::suite::mount! { @ [$($mark)?] $place, $run;
            acl {
                an_empty_list_means_the_default
                every_permission_counts
                lists_are_read_back_as_written
                malformed_lists_are_refused_here
                servers_drop_duplicates
                set_acls_replaces_and_counts
                the_default_list_is_used_everywhere
                unreadable_nodes_are_told_by_version
            }
            auth {
                a_refused_add_auth_fails_alone
                a_refused_configured_credential_ends_the_client
                any_characters_may_be_in_a_password
                configured_credentials_come_before_everything
                creators_own_what_they_create
                credentials_are_presented_again
                digest_opens_what_others_cannot_see
                listeners_hear_which_credential_was_refused
                no_credential_is_ever_logged_or_printed
                the_super_user_may_do_everything
                who_am_i_lists_the_identities
            }
            barriers {
                a_barrier_keeps_all_until_it_is_removed
                a_lost_connection_does_not_hide_the_removal
                all_enter_and_leave_a_double_barrier_together
                entering_can_be_given_up
            }
            caches {
                a_cache_catches_up_after_losses
                a_cache_is_filled_and_follows
                a_cache_that_is_held_up_is_not_current
                a_thousand_nodes_take_few_requests
                a_tree_cache_is_started_once_and_closed
                a_tree_cache_tells_of_what_it_cannot_read
                a_tree_cache_tells_what_kazoos_does
            }
            children {
                all_below_are_counted
                ephemerals_of_the_session_are_listed
                names_are_listed
                ten_thousand_children_are_listed
                the_stat_comes_along_if_wanted
                trees_are_walked
            }
            chroot {
                each_view_sees_events_its_own_way
                events_are_below_the_root_path
                everything_is_below_the_root_path
                malformed_paths_are_refused_here
                names_may_be_in_any_language
                paths_are_put_in_order
                the_configuration_is_not_below_the_root_path
                the_root_path_is_taken_from_the_hosts
                views_share_the_session
            }
            close {
                a_client_may_be_closed_in_its_own_callbacks
                a_closed_client_refuses_everything
                calls_race_with_the_close
                closing_again_is_harmless
                closing_an_expired_session_is_fine
                closing_deletes_the_ephemerals_at_once
                closing_right_after_the_start_works
                closing_sends_what_was_submitted_before
                closing_while_the_connection_is_away_reaches_the_next
                closing_without_a_server_says_so
                completions_are_called_though_the_client_closes
                the_last_clone_closes_in_the_background
                watches_and_streams_end_with_the_client
                what_is_sent_outlives_the_last_clone
            }
            commands {
                long_answers_are_whole
                silence_is_given_up
                the_connected_server_is_asked
                the_version_is_known
                words_are_answered
                words_without_an_answer_are_told
            }
            connecting {
                a_missing_root_path_is_warned_of
                a_name_that_does_not_resolve_is_named
                a_port_where_nobody_listens_is_named
                a_server_that_hangs_up_is_named
                a_silent_server_is_named
                a_tls_server_is_named
                an_http_server_is_named
                garbage_is_survived
                giving_up_a_connect_leaves_no_session
                hosts_are_tried_in_the_given_order_if_asked_for
                limited_tries_end_the_client
                malformed_options_are_refused_at_once
                names_are_resolved
                set_hosts_moves_the_connection_not_the_session
            }
            counters {
                a_lost_reply_does_not_add_twice
                counters_count_in_every_format
                nobodys_addition_is_lost
            }
            create {
                a_node_exists_once
                a_node_is_there_with_its_data
                a_node_needs_its_parent
                containers_go_after_their_last_child
                ensure_path_makes_all_levels
                ephemeral_nodes_belong_to_the_session
                ephemeral_sequential_nodes_are_both
                make_path_gives_parents_the_same_list
                make_path_makes_the_parents
                many_make_the_same_path_at_once
                nodes_with_a_time_to_live_go_by_themselves
                sequential_nodes_are_numbered
                the_last_mode_counts
                the_stat_of_the_reply_is_that_of_the_node
            }
            data {
                a_tree_is_deleted_while_others_add_to_it
                all_kinds_of_data_are_taken
                delete_deletes_leaves_only
                exists_tells_what_there_is
                fresh_reads_see_what_others_wrote
                half_a_mebibyte_is_fine
                null_is_not_empty
                quotas_are_told_apart
                set_replaces_and_counts
                several_reads_are_one_request
                sync_gives_the_path
                versions_guard_against_others
                whole_trees_are_deleted
            }
            errors {
                a_large_write_may_break_off
                a_lost_reply_leaves_the_outcome_unknown
                a_lost_request_leaves_the_outcome_unknown
                a_standalone_server_does_not_reconfigure
                all_that_was_submitted_fails_with_the_connection
                errors_read_well_and_keep_their_code
                special_nodes_are_protected_by_the_server
                the_reason_of_a_loss_is_told
            }
            leases {
                a_lease_is_renewed_and_taken_over
                a_lease_outlives_connections_and_sessions
                a_record_of_another_version_is_left_alone
                several_leases_are_for_several
            }
            limits {
                a_deadline_ends_a_call_that_was_not_sent
                a_deadline_ends_a_call_that_was_sent
                a_panic_in_a_completion_is_contained
                a_polled_call_can_be_dropped
                a_reply_beyond_the_limit_fails_alone
                background_work_runs_and_can_be_dropped
                calls_are_futures_that_run_together
                calls_wait_for_room
                dropping_forgets_what_is_sent
                dropping_takes_back_what_is_not_sent
                every_call_can_have_a_deadline_by_default
                names_and_numbers_are_unique
                results_can_be_looked_at_in_every_way
                results_wake_threads_that_wait
                sleeping_takes_its_time
                ten_thousand_calls_are_in_flight
                the_limit_for_requests_can_be_set
                the_queue_is_bounded
                what_servers_would_not_take_is_refused_here
            }
            locks {
                a_busy_lock_is_given_up_in_every_way
                a_latch_leads_again_after_its_session
                a_node_that_no_session_owns_is_waited_for
                a_semaphore_counts_its_leases
                a_semaphore_goes_on_after_losses
                contenders_are_served_in_their_order
                holders_and_waiters_live_through_losses
                leaders_are_elected_in_turn
                readers_share_and_writers_wait_their_turn
                several_locks_are_one
                twenty_share_one_lock
                twenty_try_one_lock
            }
            order {
                a_callback_may_block_on_its_own_client
                a_change_by_others_is_heard_of_before_it_is_seen
                a_gap_comes_before_the_connection_can_be_used
                an_event_comes_before_the_reply_that_reveals_it
                callbacks_of_all_kinds_come_in_order_and_one_at_a_time
                callbacks_of_different_clients_do_not_wait_for_each_other
                completions_are_called_in_order
                requests_are_carried_out_in_order
                the_state_changes_before_the_failures_it_causes
                waiting_where_results_come_from_is_refused
            }
            parties {
                a_lost_session_is_no_member
                a_persistent_node_is_made_again
                joining_twice_and_leaving_what_is_gone_is_fine
                members_and_their_number_follow
                shallow_members_follow_too
            }
            queues {
                a_queue_is_in_order
                an_item_is_claimed_until_it_is_consumed
                every_item_of_a_queue_is_taken_once
                three_at_once_get_one_item
                waiting_goes_on_after_losses
            }
            partitions {
                a_loss_is_a_release_or_the_end
                members_share_and_hand_over
            }
            retry {
                a_delete_that_was_carried_out_is_done
                a_new_session_is_used_only_by_what_does_not_depend_on_the_old
                a_plain_node_may_be_anybodys
                a_protected_create_that_is_given_up_leaves_nothing
                an_ephemeral_node_of_its_own_is_found
                answers_of_servers_end_it_at_once
                any_code_can_be_called_again
                it_ends_well_when_the_server_comes_back
                protected_nodes_are_made_just_once
                the_client_has_a_policy_of_its_own
                the_reply_to_a_protected_create_is_looked_for_without_a_retry
                transactions_are_known_by_a_protected_create
                tries_are_counted
                what_can_be_repeated_is
                writes_with_a_version_are_left_to_the_caller
            }
            sasl {
                a_mechanism_that_blocks_is_in_nobodys_way
                a_password_that_has_become_wrong_ends_the_client_at_the_next_connection
                a_user_signs_in_before_anything_else_on_every_connection
                a_wrong_password_ends_the_client
                work_that_is_quickly_done_is_not_missed
            }
            session {
                a_bogus_session_is_replaced
                a_listener_may_use_the_client
                a_lost_connection_keeps_the_session
                a_new_client_knows_its_session
                a_panic_in_a_listener_is_contained
                a_restart_begins_a_new_session
                a_restarted_client_does_not_resume_what_it_once_resumed
                a_session_is_not_resumed_with_a_wrong_password
                a_session_without_contact_is_given_up
                an_expiry_is_lost_then_connected
                changes_come_as_a_stream_too
                detached_sessions_can_be_resumed
                listeners_are_called_in_order_until_removed
                listeners_hear_each_change_once
                one_client_serves_many_threads
                one_handler_drives_two_hundred_clients
                servers_bound_the_session_timeout
                the_deadline_moves_on_while_a_sync_keeps_alive
                threads_make_and_close_clients_at_once
                what_is_asked_after_the_loss_waits_for_the_next_session
                what_is_asked_before_the_first_connection_waits
                what_is_asked_while_suspended_waits
                what_waits_fails_unsent_if_the_session_has_expired
            }
            streams {
                a_full_stream_says_that_it_missed_something
                a_persistent_watch_does_not_end_a_watched_get
                a_persistent_watch_sees_everything_on_its_node
                a_recursive_watch_sees_everything_below
                a_watch_below_a_recursive_one_is_its_own
                a_watched_get_does_not_end_a_persistent_watch
                persistent_and_recursive_watches_share_a_path
                streams_can_be_read_in_every_way
            }
            transactions {
                a_lost_reply_leaves_the_outcome_unknown
                an_empty_transaction_is_a_barrier
                each_write_has_its_result
                every_kind_of_failure_is_told
                later_writes_see_earlier_ones
                mistakes_are_told_before_anything_is_sent
                nothing_is_done_if_one_fails
                root_paths_are_put_on_and_taken_off
                sequences_and_ephemerals_can_be_mixed
                stats_come_along_where_the_server_tells_them
                the_default_list_is_used
                watches_see_the_writes_in_order
            }
            watches {
                a_dropped_call_leaves_no_watch
                a_failed_read_sets_no_watch
                a_panic_in_a_watch_is_contained
                a_shared_registration_lives_with_its_last_user
                a_watch_can_be_asked_again_and_again
                a_watch_dropped_while_away_is_not_put_back
                a_watched_exists_sees_what_comes
                a_watched_get_sees_one_change
                check_watches_asks_the_server
                dropping_a_watch_removes_it_from_the_server
                many_watches_on_a_path_each_see_the_change
                streams_are_removed_from_the_server
                streams_go_on_after_a_gap
                thousands_of_watches_survive
                unreadable_changes_are_not_seen
                watched_children_are_seen_to_come_and_go
                watches_can_call_back
                watches_end_with_the_session
                watches_survive_a_lost_connection
                what_happened_while_away_is_caught_up_with
            }
            watching {
                a_function_may_block_on_its_own_client
                a_missing_node_is_seen_to_come_and_go
                a_panic_in_a_function_is_contained
                a_watch_within_a_session_ends_with_it
                children_are_watched_beyond_the_end_of_their_parent
                functions_are_called_at_once_and_until_they_say_no
                patience_waits_for_quiet
                streams_end_with_the_client
                what_changes_while_away_is_seen
            }
        }
    };
    (@ $mark:tt $place:expr, $run:path; $($module:ident { $($test:ident)* })*) => {$(
        mod $module {$(
            $crate::suite::mount! { @ $mark $place, $run, $module::$test }
        )*}
    )*};
    (@ [$($mark:meta)?] $place:expr, $run:path, $module:ident::$test:ident) => {
        #[test]
        $(#[$mark])?
        fn $test() {
            use $crate::support::Place;
            let name = concat!(stringify!($module), "::", stringify!($test));
            $run($place, name, $crate::suite::$module::$test);
        }
    };
}

/// Makes every test of the suite, and those of faults under load, one of the module it is used in,
/// once for each server that there is on TCP. `more` are tests of faults on ours.
macro_rules! mount_on_all {
    ($run:path, $kind:expr $(; $more:ident)*) => {
        mod on_3_8 {
            $crate::suite::mount! {
                [ignore = "needs a real ZooKeeper: cargo xtask test"]
                Place::Real(zk_testkit::Version::V3_8), $run
            }
            $crate::faults::load::mount_faults! { real $kind, zk_testkit::Version::V3_8 }
        }

        mod on_3_9 {
            $crate::suite::mount! {
                [ignore = "needs a real ZooKeeper: cargo xtask test"]
                Place::Real(zk_testkit::Version::V3_9), $run
            }
            $crate::faults::load::mount_faults! { real $kind, zk_testkit::Version::V3_9 }
        }

        mod on_zk_server {
            $crate::suite::mount! { [] Place::Embedded(zk_server::Release::V3_9), $run }
            $crate::handlers::mount_handlers! { $kind }
            $crate::faults::load::mount_faults! {
                ours $kind, zk_server::Release::V3_9 $(; $more)*
            }
        }

        mod on_zk_server_as_before {
            $crate::suite::mount! { [] Place::Embedded(zk_server::Release::V3_8), $run }
            $crate::faults::load::mount_faults! {
                ours $kind, zk_server::Release::V3_8 $(; $more)*
            }
        }
    };
}

pub(crate) use {mount, mount_on_all};
