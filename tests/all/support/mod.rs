//! What several tests need.

pub(crate) mod chromium;
#[cfg(feature = "aws")]
pub(crate) mod cloud;
pub(crate) mod debian;
#[cfg(feature = "dynamodb")]
pub(crate) mod dynamo;
pub(crate) mod engines;
#[cfg(feature = "etcd")]
pub(crate) mod etcd;
#[cfg(feature = "aws")]
pub(crate) mod moto;
pub(crate) mod page;
pub(crate) mod prometheus;
#[cfg(any(feature = "dynamodb", feature = "etcd"))]
pub(crate) mod proxy;
#[cfg(any(feature = "aws", feature = "dynamodb"))]
pub(crate) mod python;
#[cfg(feature = "aws")]
pub(crate) mod sources;
pub(crate) mod terminal;
pub(crate) mod watched;

/// The timeout of one attempt of a ledger's call, where a policy says nothing of it.
#[cfg(any(feature = "dynamodb", feature = "etcd"))]
pub(crate) const ATTEMPT: std::time::Duration = std::time::Duration::from_millis(1500);

/// The directory below `target/` for what tests install and write.
pub(crate) fn tmp() -> std::path::PathBuf {
    std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}
