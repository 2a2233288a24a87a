//! The ledger: what every engine must do, what each can suffer, and what operators do with one.

mod accounts;
mod archive;
mod conformance;
mod cost;
#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "etcd")]
mod etcd;
mod home;
#[cfg(feature = "etcd")]
mod members;
mod prune;
#[cfg(any(feature = "etcd", feature = "dynamodb"))]
mod put_back;
mod sqlite;
mod storage;
