//! ZooKeeper client.
pub use zk_proto as proto;
pub use zk_session as session;
