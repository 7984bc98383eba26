//! Recipes on every handler and server. What becomes of them when much goes wrong is tried in
//! universes, in `zk-recipes/tests`.
//!
//! # What kazoo's own tests assert, and where it is asserted here
//!
//! Names without a crate are of the suite; `zk-recipes::` stands for the modules of `zk-recipes/tests`.
//!
//! | kazoo's tests | here |
//! |---|---|
//! | **Lock, ReadLock, WriteLock** | |
//! | contenders have the identifiers of all; granted in their order | `locks::contenders_are_served_in_their_order` |
//! | holder and waiter live through an expiry | `locks::holders_and_waiters_live_through_losses` |
//! | not blocking on a busy lock: no, and no node is left; a timeout; `cancel` from outside | `locks::a_busy_lock_is_given_up_in_every_way` |
//! | acquired again by whoever holds it: no, and it is still held | the same |
//! | twenty try one object: one has it; twenty wait: all have it, one by one | `locks::twenty_try_one_lock`, `twenty_share_one_lock` |
//! | acquire and release can be repeated | `locks::a_busy_lock_is_given_up_in_every_way`, `zk-recipes::locks::a_free_lock_takes_two_round_trips_and_three_requests` |
//! | readers share, a writer waits; behind it a reader does; and none of them for ever | `locks::readers_share_and_writers_wait_their_turn` |
//! | nodes of others are passed over, or waited for by a pattern | `zk-recipes::locks::nodes_of_others_are_left_out_or_waited_for`, unit tests of `line` |
//! | `ephemeral=False`: the node survives | `locks::a_node_that_no_session_owns_is_waited_for`, as others make it; see below |
//! | **Semaphore** | |
//! | so many leases, and no more; who has them; cancel; timeout; another limit is refused | `locks::a_semaphore_counts_its_leases` |
//! | a waiter's session expires; data that is no number; a cancel while nothing waits | `locks::a_semaphore_goes_on_after_losses` |
//! | **Election** | |
//! | in turn, one of them cancelled; again; an exception moves on | `locks::leaders_are_elected_in_turn` |
//! | **Barriers** | |
//! | wait on none, on one, until it is removed; remove none | `barriers::a_barrier_keeps_all_until_it_is_removed` |
//! | one, two, three enter and leave together | `barriers::all_enter_and_leave_a_double_barrier_together` |
//! | below an ephemeral node | `barriers::entering_can_be_given_up`: an error, not silence |
//! | **Party, ShallowParty** | |
//! | members and their number follow | `parties::members_and_their_number_follow`, `shallow_members_follow_too` |
//! | joining twice, leaving what is gone | `parties::joining_twice_and_leaving_what_is_gone_is_fine` |
//! | **Counter** | |
//! | whole, float, Curator's and its extremes; values before and after | `counters::counters_count_in_every_format` |
//! | **Leases** | |
//! | renewed by the holder, refused to others, obtained by them after the end, renewed by them | `leases::a_lease_is_renewed_and_taken_over` |
//! | a record of another version | `leases::a_record_of_another_version_is_left_alone` |
//! | one and two slots: renewed, refused, free again | `leases::several_leases_are_for_several` |
//! | **SetPartitioner** | |
//! | one has all, two share, a third comes, one goes | `partitions::members_share_and_hand_over`, `zk-recipes::partitions::one_member_gets_all_and_more_share_round_robin` |
//! | more members than items | `zk-recipes::partitions::more_members_than_items_leave_some_without` |
//! | a failure is final; a lost connection is a release | `partitions::a_loss_is_a_release_or_the_end` |
//! | a member that comes while locks are slow; a lock that others have | `zk-recipes::partitions::a_member_that_comes_while_locks_are_slow_is_heard_of`, `quirk_a_lock_that_others_hold_is_never_taken_for_ours` |
//! | **Queue, LockingQueue** | |
//! | empty; in order, and by priority; bounds of the priority | `queues::a_queue_is_in_order` |
//! | the same item until it is consumed; those that are held count; released ones come again | `queues::an_item_is_claimed_until_it_is_consumed` |
//! | three at once get one item | `queues::three_at_once_get_one_item` |
//! | **DataWatch, ChildrenWatch, PatientChildrenWatch** | |
//! | a missing node, also without parents; created, deleted, created again; what the event is | `watching::a_missing_node_is_seen_to_come_and_go` |
//! | called at once, and until it says no | `watching::functions_are_called_at_once_and_until_they_say_no` |
//! | across an expiry | `watching::what_changes_while_away_is_seen` |
//! | not across one | `watching::a_watch_within_a_session_ends_with_it` |
//! | stopping the client with a watch | `watching::streams_end_with_the_client` |
//! | children of what is deleted | `watching::children_are_watched_beyond_the_end_of_their_parent` |
//! | patience: quiet, a change after it, a missing node, changes that go on | `watching::patience_waits_for_quiet` |
//! | **TreeCache** | |
//! | makes its root; once; closed | `caches::a_tree_cache_is_started_once_and_closed` |
//! | close leaves watches of others alone, and nothing behind | the same, and what is looked at after each test |
//! | events of nodes, with data and version; the root deleted and made again; after a reconnect | `caches::a_tree_cache_tells_what_kazoos_does` |
//! | parents first, leaves first; subtrees leave nothing | `zk-recipes::caches::parents_come_before_children_and_go_after_them`, `a_dropped_cache_leaves_no_watch_and_no_requests` |
//! | answers from memory; outside of the root; unknown | `caches::a_tree_cache_is_started_once_and_closed` |
//! | errors reach fault listeners, none after close, `INITIALIZED` all the same | `caches::a_tree_cache_tells_of_what_it_cannot_read` |
//!
//! Not here, and why:
//!
//! | kazoo's tests | reason |
//! |---|---|
//! | wrong argument types: what is put, priorities, deltas, functions to call | do not compile |
//! | releasing what is not held; `consume` and `holds_lock` before `get`, `release` after `consume` | do not compile: what is held is a value, which releasing takes |
//! | values before and after a change that was not made | belong to the change |
//! | an object that is acquired twice and released once | each call takes its own |
//! | the own node of a double barrier exists before | each call has a name that nobody else has; a create that was not answered: `zk-recipes::double_barrier::a_lost_reply_makes_no_second_member` |
//! | a second function on one watch; functions as decorators; falsy functions | each call is a watch of its own; there is nothing of the kind |
//! | a missing node is never watched for children | it is: `zk-recipes::watches::quirk_children_of_a_missing_node_are_watched` |
//! | no leaked node objects, an operation count that is never negative | nodes are values in one map; unit tests of `cache::plan` |
//! | `acquire(ephemeral=False)` | not offered: see `docs/from-kazoo.md` |

pub(crate) mod barriers;
pub(crate) mod caches;
pub(crate) mod counters;
pub(crate) mod leases;
pub(crate) mod locks;
pub(crate) mod parties;
pub(crate) mod partitions;
pub(crate) mod queues;
pub(crate) mod watching;
