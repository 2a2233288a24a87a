//! [`Life`]: how the process of a run stands, as far as that can be told from here.

/// The life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It runs here.
    Running,
    /// It was stopped, here: it does nothing until somebody lets it go on.
    Stopped,
    /// It ended, here.
    Dead,
    /// It cannot be seen from here: what it writes is all that can be told.
    Elsewhere,
}
