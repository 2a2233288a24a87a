//! Providers of hosts, one folder each. They are known to others only through the port [`crate::ports::Fleet`].

#[cfg(feature = "aws")]
pub mod aws;
pub(crate) mod simulated;
