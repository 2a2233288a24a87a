//! The errors of the file. Their messages say what to do.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::model::{LedgerId, RunId};
use crate::ports::LedgerError;

use super::holder::Holder;

/// The cause inside a [`LedgerError`].
#[derive(Debug, Error)]
pub(super) enum SqliteError {
    #[error(
        "another process kept it locked for ten seconds; see with `fuser` or `lsof` which one, and let it go on or \
         end it"
    )]
    Locked(#[source] rusqlite::Error),
    #[error("{holder}")]
    LockedBy {
        holder: Holder,
        #[source]
        source: rusqlite::Error,
    },
    #[error(
        "it is read-only: file and directory must be on a writable disk and writable by this account (accounts that \
         share a ledger share a group: chmod -R g+rwX and g+s on its directory)"
    )]
    ReadOnly(#[source] rusqlite::Error),
    #[error(
        "this account may not read or write in {0}. Accounts that share a ledger share a group. Who owns the directory \
         gives it to that group: chgrp -R GROUP {0} && chmod -R g+rwX {0} && chmod g+s {0}", directory.display()
    )]
    NotAllowed {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the disk is full, and nothing was written: make room on it and try again")]
    Full(#[source] rusqlite::Error),
    #[error(
        "it cannot be opened: look at the permissions of the file and of every directory above it \
         (accounts that share a ledger share a group)"
    )]
    CannotOpen(#[source] rusqlite::Error),
    #[error("the disk refused a read or a write: look at its free space, its quota and the system's log")]
    Disk(#[source] rusqlite::Error),
    #[error("the file or its directory cannot be made or looked at: see `[ledger] path` in fleet.toml")]
    Directory(#[source] io::Error),
    #[error("its contents are damaged: restore it from a copy, or see what is left with `sqlite3 FILE .recover`")]
    Damaged(#[source] rusqlite::Error),
    #[error("SQLite refuses")]
    Other(#[source] rusqlite::Error),
    #[error("it is gone, and it was there when this process began: a new one would coordinate nothing, so put it back")]
    Gone,
    #[error("nothing is in it, but something was when this process began: put the old file back")]
    Blank,
    #[error("the file is a database of another program: see `[ledger] path` in fleet.toml")]
    NotALedger,
    #[error("it was opened to be read only")]
    OpenedToRead,
    #[error("it was replaced: this process began with ledger {opened}, and now it is {found}")]
    Replaced { opened: LedgerId, found: String },
    #[error("the record is of another fleet or ledger than its place says")]
    Misfiled,
    #[error("{} cannot be read or written: it says how far the ledger has come, beside it", path.display())]
    Progress {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "its file is gone, and {} says that there was one: put the newest copy of it back and export that, or, where \
         nothing of it is needed any more, remove what says so", progress.display()
    )]
    Vanished { progress: PathBuf },
    #[error("it is of file layout 1, which does not know its place and cannot be told from a copy")]
    Homeless,
    #[error("it belongs to another machine, where it is {}", was.display())]
    OtherMachine { was: PathBuf },
    #[error("this is not the file that it was: that one is, or was, {}", was.display())]
    Copied { was: PathBuf },
    #[error(
        "it is an older state of itself: {here} writes are in it, and it had taken {beside} by what {} says",
        progress.display()
    )]
    WentBack { here: u64, beside: u64, progress: PathBuf },
    #[error("{} is gone: whether an older state of the ledger was put back is not known", progress.display())]
    NoProgress { progress: PathBuf },
    #[error(
        "{} is a copy of the file that was there: whether an older state of the ledger was put back is not known",
        progress.display()
    )]
    ProgressCopied { progress: PathBuf },
    #[error("{} cannot be understood ({why}): whether an older state was put back is not known", progress.display())]
    ProgressUnreadable { progress: PathBuf, why: String },
    #[error("it was not moved: {0}")]
    NotMoved(String),
    #[error("{} tells of another ledger, or of this one at another time", progress.display())]
    OfAnother { progress: PathBuf },
    #[error("the journal of run {run} is not whole: record {seq} where {next} comes next")]
    Gap { run: RunId, seq: u64, next: u64 },
}

impl SqliteError {
    pub(super) fn from_sqlite(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(cause, _) => match cause.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Locked(error),
                ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::ReadOnly(error),
                ErrorCode::DiskFull => Self::Full(error),
                ErrorCode::CannotOpen => Self::CannotOpen(error),
                ErrorCode::SystemIoFailure => Self::Disk(error),
                ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => Self::Damaged(error),
                _ => Self::Other(error),
            },
            // A value of a type or range that the layout does not allow.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => Self::Damaged(error),
            _ => Self::Other(error),
        }
    }

    /// Whether a file that was moved on purpose can show this, and one that went back need not.
    pub(super) fn may_be_a_move(&self) -> bool {
        matches!(self, Self::Homeless | Self::OtherMachine { .. } | Self::Copied { .. } | Self::NoProgress { .. })
    }

    pub(super) fn at(self, place: String, tried: &'static str) -> LedgerError {
        let source = Box::new(match self {
            Self::Locked(source) => match Holder::of(Path::new(&place)) {
                Some(holder) => Self::LockedBy { holder, source },
                None => Self::Locked(source),
            },
            other => other,
        });
        match *source {
            Self::Damaged(_)
            | Self::Replaced { .. }
            | Self::Misfiled
            | Self::Gap { .. }
            | Self::Blank
            | Self::NotALedger => LedgerError::Corrupt { place, source },
            Self::Homeless
            | Self::OtherMachine { .. }
            | Self::Copied { .. }
            | Self::WentBack { .. }
            | Self::NoProgress { .. }
            | Self::ProgressCopied { .. }
            | Self::ProgressUnreadable { .. }
            | Self::NotMoved(_)
            | Self::OfAnother { .. } => LedgerError::PutBack { place, source },
            _ => LedgerError::Unreachable { place, tried, source },
        }
    }
}
