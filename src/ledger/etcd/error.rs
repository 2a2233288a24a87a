//! The errors of an etcd cluster. Their messages say what to do.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::{LedgerId, RunId};
use crate::ports::LedgerError;

/// The cause inside a [`LedgerError`].
#[derive(Debug, Error)]
pub(super) enum EtcdError {
    #[error("`[ledger] {key}` in fleet.toml: the file {} cannot be read", path.display())]
    File {
        key: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`[ledger] endpoints` in fleet.toml: {endpoint} is not an address such as https://etcd-1.example.com:2379")]
    Address {
        endpoint: String,
        #[source]
        source: tonic::transport::Error,
    },
    #[error(
        "{endpoint}: the connection is refused or closed during TLS: `ca` must have signed the server's certificate, which must name this address and not \
         have run out; `cert` and `key` must be a client's that the cluster trusts"
    )]
    Certificate {
        endpoint: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{endpoint}: no connection: look whether etcd runs there and can be reached from here")]
    NoConnection {
        endpoint: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "{endpoint}: no answer in time: more than half of the cluster's members must be up and reach each \
         other (etcdctl endpoint status --cluster)"
    )]
    NoAnswer { endpoint: String },
    #[error("{endpoint}: the cluster could not answer (etcdctl endpoint health --cluster)")]
    NoQuorum {
        endpoint: String,
        #[source]
        source: Box<tonic::Status>,
    },
    #[error(
        "{endpoint}: etcd does not allow it: the user (the common name of the certificate in `[ledger] cert`) needs a \
         role with readwrite on the prefix (etcdctl role grant-permission ROLE readwrite --prefix=true {prefix}/)"
    )]
    Denied {
        endpoint: String,
        prefix: String,
        #[source]
        source: Box<tonic::Status>,
    },
    #[error(
        "{endpoint}: etcd's database is full, and nothing was written: compact and defragment it, then disarm the \
         alarm (etcdctl compact, defrag, alarm disarm)"
    )]
    Full {
        endpoint: String,
        #[source]
        source: Box<tonic::Status>,
    },
    #[error(
        "the record is larger than etcd takes: nothing was written. Raise etcd's --max-request-bytes on every member"
    )]
    TooLarge(#[source] Box<tonic::Status>),
    #[error("{endpoint}: etcd refuses")]
    Refused {
        endpoint: String,
        #[source]
        source: Box<tonic::Status>,
    },
    #[error("{endpoint}: another etcd cluster answers than when this process began: {began:x}, now {now:x}")]
    AnotherCluster { endpoint: String, began: u64, now: u64 },
    #[error("it was opened to be read only")]
    OpenedToRead,
    #[error("it is gone, and it was there when this process began: a new one would coordinate nothing")]
    Gone,
    #[error("it was replaced: this process began with ledger {opened}, and now it is {found}")]
    Replaced { opened: LedgerId, found: String },
    #[error("the key {0} is missing, and others of the ledger are there")]
    Incomplete(String),
    #[error("the key {0} does not hold what a ledger writes there")]
    Unreadable(String),
    #[error("the record is of another fleet or ledger than its place says")]
    Misfiled,
    #[error("the journal of run {run} is not whole: record {seq} comes, and the one before it is not there")]
    Gap { run: RunId, seq: u64 },
}

impl EtcdError {
    /// Converts to the port's error, for a case in which nothing was written.
    pub(super) fn at(self, place: &str, tried: &'static str) -> LedgerError {
        let place = place.to_owned();
        let source = Box::new(self);
        match *source {
            Self::AnotherCluster { .. }
            | Self::Gone
            | Self::Replaced { .. }
            | Self::Incomplete(_)
            | Self::Unreadable(_)
            | Self::Misfiled
            | Self::Gap { .. } => LedgerError::Corrupt { place, source },
            _ => LedgerError::Unreachable { place, tried, source },
        }
    }
}
