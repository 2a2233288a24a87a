//! Policy files: what each subsystem must keep, and how fast it may lose hosts.
//!
//! [`PolicySet`] is the validated whole of one policy directory; there is no other way to get one than
//! [`load`], so nothing downstream meets an unchecked value. Reading the files is [`files`]' thin shell;
//! everything else here is pure.

mod types;

pub use types::*;
