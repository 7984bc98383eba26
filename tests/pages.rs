//! `docs/from-kazoo.md` is whole, and the README has what examples have. That their lines compile is a
//! matter of the facade's doc tests.

/// What kazoo's users call: of the client, its results, its recipes.
const CALLS: &str = "\
    hosts= timeout= client_id= handler= default_acl= auth_data= sasl_options= read_only= randomize_hosts= \
    connection_retry= command_retry= logger= keyfile keyfile_password certfile ca use_ssl verify_certs \
    check_hostname max_retries retry_delay retry_backoff retry_max_delay \
    start( start_async( stop( restart( close( connected client_id state client_state chroot hosts last_zxid \
    unchroot( add_listener( remove_listener( set_hosts( add_auth( command( server_version( \
    create( makepath= ephemeral= sequence= include_data= ensure_path( exists( get( get_children( get_acls( \
    set_acls( set( delete( recursive= sync( watch= reconfig( retry( transaction( check( set_data( commit( \
    make_digest_acl( get_async( ready( successful( wait( get_nowait( rawlink( \
    Lock( extra_lock_patterns= acquire( blocking= release( is_acquired contenders( cancel( ReadLock( \
    WriteLock( Semaphore( max_leases= lease_holders( Election( run( Barrier( create( remove( \
    DoubleBarrier( enter( leave( participating Counter( support_curator= pre_value post_value value default= \
    Party( join( iter( len( ShallowParty( SetPartitioner Queue( put( LockingQueue( put_all( holds_lock( consume( \
    NonBlockingLease( obtained MultiNonBlockingLease( DataWatch( ChildrenWatch( send_event= allow_session_lost= \
    PatientChildrenWatch( TreeCache( listen( listen_fault( get_data( expire_session( lose_connection(";

#[test]
fn every_call_of_kazoo_is_on_the_page() {
    let page = include_str!("../docs/from-kazoo.md");
    // What is code here does not count, only what is said of kazoo.
    let said: Vec<&str> = page
        .lines()
        .filter_map(|line| match line.split_once("//") {
            Some((_, comment)) => Some(comment),
            None if line.starts_with(['`', '*']) || line.contains('`') => Some(line),
            None => None,
        })
        .collect();
    let missing: Vec<&str> = CALLS
        .split_whitespace()
        .filter(|call| !said.iter().any(|line| line.contains(call)))
        .collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
}

/// The loop in the README is the one that is run, and no longer than is said of it.
#[test]
fn the_loop_on_the_front_page_is_the_example() {
    let example = include_str!("../examples/embedding.rs");
    let start = example.find("fn drive(").unwrap();
    let length = example[start..].find("\n}\n").unwrap();
    let code = &example[start..start + length + 2];
    assert!(include_str!("../README.md").contains(code));
    let lines = code.lines().filter(|line| line.trim().len() > 3);
    assert!(lines.count() <= 20);
}
