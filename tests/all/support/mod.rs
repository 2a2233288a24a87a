//! What several tests need.

#[cfg(feature = "aws")]
pub(crate) mod cloud;
#[cfg(feature = "aws")]
pub(crate) mod moto;
