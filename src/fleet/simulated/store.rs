//! [`Store`]: the state file, shared by several processes.
//!
//! One lock file guards the state and the clock together, so that a call's deadline is checked at the very instant at
//! which the call takes effect. Readers and writers hold it for a few milliseconds at most; the operating system
//! releases it when a process dies. The state file is only ever replaced whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::state::{SCHEMA, State};
use crate::ports::FleetError;

/// A process that holds the lock longer was stopped in the middle of a call: give up and say so.
const WAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The wait between two attempts to lock: short compared with a write to disk, long compared with the attempt itself.
const RETRY: Duration = Duration::from_millis(1);

/// The paths of a simulated fleet's files.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    /// `fleet.json`
    pub(crate) state: PathBuf,
    /// `fleet.json.lock`
    pub(crate) lock: PathBuf,
    /// `fleet.json.clock`
    pub(crate) clock: PathBuf,
    /// `fleet.json.processes/`
    pub(crate) processes: PathBuf,
}

impl Paths {
    pub(super) fn of(state: &Path) -> Self {
        let beside = |suffix: &str| {
            let mut name = state.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self {
            state: state.to_owned(),
            lock: beside(".lock"),
            clock: beside(".clock"),
            processes: beside(".processes"),
        }
    }

    /// The directory to delete in order to start over.
    pub(super) fn directory(&self) -> &Path {
        match self.state.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }
}

/// Why the simulated fleet's files cannot be used.
#[derive(Debug, Error)]
pub(super) enum StoreError {
    #[error("cannot {tried} {}", path.display())]
    Io { tried: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is held by another process for {WAKE_TIMEOUT:?}: is one stopped?", .0.display())]
    Busy(PathBuf),
    #[error("{} is corrupt", path.display())]
    Corrupt { path: PathBuf, source: serde_json::Error },
    #[error("{} is of schema `{found}`, this version knows `{SCHEMA}`", path.display())]
    Schema { path: PathBuf, found: String },
    #[error("{} is gone: the fleet was deleted", .0.display())]
    Gone(PathBuf),
    #[error("{} holds another fleet than when it was opened", .0.display())]
    Replaced(PathBuf),
    #[error("{} was interrupted", .0)]
    Interrupted(&'static str),
}

impl StoreError {
    pub(super) fn io(tried: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { tried, path, source }
    }

    /// Converts to the port's error; `tried` is what the fleet was asked to do.
    pub(super) fn into_fleet_error(self, tried: &str, directory: &Path) -> FleetError {
        let start_over = || {
            Some(format!("to start over, delete the whole state directory {}, ledger included", directory.display()))
        };
        let hint = match &self {
            Self::Corrupt { .. } | Self::Schema { .. } | Self::Gone(_) | Self::Replaced(_) => start_over(),
            Self::Busy(_) => Some("continue or end the process that holds the lock".to_owned()),
            Self::Io { .. } | Self::Interrupted(_) => None,
        };
        FleetError::Provider { tried: format!("the simulated fleet did not {tried}"), hint, source: Box::new(self) }
    }
}

/// A write that failed.
#[derive(Debug)]
pub(super) struct SaveError {
    /// Whether the new state is in place; then only its survival of a power failure is unknown.
    pub(crate) in_place: bool,
    pub(crate) cause: StoreError,
}

impl From<SaveError> for StoreError {
    fn from(error: SaveError) -> Self {
        error.cause
    }
}

/// The state file of one fleet.
#[derive(Debug)]
pub(super) struct Store {
    pub(crate) paths: Paths,
    cache: Mutex<Option<Cached>>,
}

/// The state that was last read. The file is kept open, so that its inode cannot come to mean another file.
#[derive(Debug)]
struct Cached {
    file: File,
    state: Arc<State>,
}

impl Cached {
    fn read(mut file: File, path: &Path) -> Result<Self, StoreError> {
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(StoreError::io("read", path))?;
        let state = Arc::new(parse(&text, path)?);
        Ok(Self { file, state })
    }
}

impl Store {
    pub(super) fn new(paths: Paths) -> Self {
        Self { paths, cache: Mutex::new(None) }
    }

    /// Reads a state file that is there already, so that [`Locked::load`] need not, unless it is replaced meanwhile: such
    /// a file is only ever replaced whole. What is wrong with it, `load` finds and tells.
    pub(super) fn read_ahead(&self) {
        if let Ok(file) = File::open(&self.paths.state)
            && let Ok(cached) = Cached::read(file, &self.paths.state)
        {
            *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = Some(cached);
        }
    }

    /// Waits for the lock that excludes this process's other threads and all other processes.
    pub(super) fn lock(&self) -> Result<Locked<'_>, StoreError> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let path = &self.paths.lock;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(StoreError::io("open the lock", path))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Locked { paths: &self.paths, cache, _lock: file }),
                Err(TryLockError::WouldBlock) if begun.elapsed() < WAKE_TIMEOUT => std::thread::sleep(RETRY),
                Err(TryLockError::WouldBlock) => return Err(StoreError::Busy(path.clone())),
                Err(TryLockError::Error(e)) => return Err(StoreError::io("lock", path)(e)),
            }
        }
    }
}

/// The fleet while nobody else can read or change it. Dropping it releases the lock.
#[must_use]
#[derive(Debug)]
pub(super) struct Locked<'a> {
    pub(crate) paths: &'a Paths,
    cache: MutexGuard<'a, Option<Cached>>,
    /// Closing the file releases the lock.
    _lock: File,
}

impl Locked<'_> {
    /// The state; `None` where there is no fleet yet.
    pub(super) fn load(&mut self) -> Result<Option<Arc<State>>, StoreError> {
        let path = &self.paths.state;
        let inode = |m: &fs::Metadata| (m.dev(), m.ino());
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io("read", path)(e)),
        };
        if let Some(cached) = &*self.cache {
            let held = cached.file.metadata().map_err(StoreError::io("read", path))?;
            if inode(&held) == inode(&found) {
                return Ok(Some(Arc::clone(&cached.state)));
            }
        }
        let cached = Cached::read(File::open(path).map_err(StoreError::io("open", path))?, path)?;
        let state = Arc::clone(&cached.state);
        *self.cache = Some(cached);
        Ok(Some(state))
    }

    /// Replaces the state: writes another file, syncs it, and renames it.
    pub(super) fn save(&mut self, state: State) -> Result<Arc<State>, SaveError> {
        let not_done = |cause| SaveError { in_place: false, cause };
        let path = &self.paths.state;
        let text = serde_json::to_vec(&state)
            .map_err(|source| not_done(StoreError::Corrupt { path: path.clone(), source }))?;
        let file = replace(path, &text)?;
        let state = Arc::new(state);
        *self.cache = Some(Cached { file, state: Arc::clone(&state) });
        Ok(state)
    }
}

fn parse(text: &[u8], path: &Path) -> Result<State, StoreError> {
    #[derive(serde::Deserialize)]
    struct Schema {
        schema: String,
    }
    // A newer state is newer, not corrupt.
    let read = serde_json::from_slice(text);
    let schema = |state: &State| Some(state.schema.clone());
    let found = read.as_ref().map_or_else(|_| Some(serde_json::from_slice::<Schema>(text).ok()?.schema), schema);
    match found.filter(|schema| schema != SCHEMA) {
        Some(found) => Err(StoreError::Schema { path: path.to_owned(), found }),
        None => read.map_err(|source| StoreError::Corrupt { path: path.to_owned(), source }),
    }
}

/// Replaces a file, or leaves it as it is. Returns the new file.
pub(super) fn replace(path: &Path, text: &[u8]) -> Result<File, SaveError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let not_done = |cause| SaveError { in_place: false, cause };
    let written = || -> io::Result<File> {
        let mut file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&beside)?;
        file.write_all(text)?;
        file.sync_all()?;
        Ok(file)
    };
    let file = written().map_err(StoreError::io("write", &beside)).map_err(not_done)?;
    fs::rename(&beside, path).map_err(StoreError::io("replace", path)).map_err(not_done)?;
    let directory = Paths::of(path);
    File::open(directory.directory())
        .and_then(|d| d.sync_all())
        .map_err(StoreError::io("force to disk", path))
        .map_err(|cause| SaveError { in_place: true, cause })?;
    Ok(file)
}
