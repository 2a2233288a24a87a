//! What several tests need.

#[cfg(feature = "aws")]
pub(crate) mod cloud;
#[cfg(feature = "etcd")]
pub(crate) mod etcd;
#[cfg(feature = "aws")]
pub(crate) mod moto;
#[cfg(feature = "etcd")]
pub(crate) mod proxy;
