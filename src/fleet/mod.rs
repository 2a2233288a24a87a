//! Providers of hosts, one folder each; nothing but the port [`crate::ports::Fleet`] knows of them.

#[cfg(feature = "aws")]
pub mod aws;
pub(crate) mod simulated;
