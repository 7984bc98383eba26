//! ZooKeeper client.
