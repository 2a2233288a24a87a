//! The file of the virtual clock, and the files that show which processes live. Everything here is done under the
//! store's lock.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use crate::fleet::simulated::store::{Locked, Paths, StoreError, replace};
use crate::model::Time;

/// The contents of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Face {
    /// The fleet that the clock belongs to.
    fleet: String,
    pub(crate) now: Time,
    pub(crate) processes: BTreeMap<String, ProcessTurn>,
}

/// The state of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessTurn {
    /// Raised whenever the process falls asleep or wakes.
    pub(crate) turn: u64,
    /// Its earliest wake-up. One that has been reached counts as awake.
    pub(crate) asleep_until: Option<Time>,
    /// The process has been awake for too long: it holds up nobody until it sleeps again.
    pub(crate) given_up: bool,
}

impl ProcessTurn {
    pub(super) fn next(self, asleep_until: Option<Time>) -> Self {
        Self { turn: self.turn.wrapping_add(1), asleep_until, given_up: false }
    }
}

#[derive(Debug)]
pub(super) struct SharedClock {
    paths: Paths,
    file: File,
}

impl SharedClock {
    pub(super) fn create(paths: &Paths, fleet: &str, origin: Time) -> Result<(), StoreError> {
        let face = Face { fleet: fleet.to_owned(), now: origin, processes: BTreeMap::new() };
        let corrupt = |source| StoreError::Corrupt { path: paths.clock.clone(), source };
        replace(&paths.clock, &serde_json::to_vec(&face).map_err(corrupt)?)?;
        Ok(())
    }

    pub(super) fn open(paths: &Paths, fleet: &str) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&paths.clock)
            .map_err(StoreError::io("open the fleet's clock", &paths.clock))?;
        let clock = Self { paths: paths.clone(), file };
        if clock.face()?.fleet != fleet {
            return Err(StoreError::Replaced(paths.clock.clone()));
        }
        Ok(clock)
    }

    pub(super) fn read(&self, _locked: &mut Locked<'_>) -> Result<Face, StoreError> {
        self.face()
    }

    fn face(&self) -> Result<Face, StoreError> {
        let path = &self.paths.clock;
        let text = || -> io::Result<Vec<u8>> {
            let size = usize::try_from(self.file.metadata()?.len()).map_err(io::Error::other)?;
            let mut text = vec![0; size];
            self.file.read_exact_at(&mut text, 0)?;
            Ok(text)
        };
        let text = text().map_err(StoreError::io("read", path))?;
        serde_json::from_slice(&text).map_err(|source| StoreError::Corrupt { path: path.clone(), source })
    }

    /// Writes once and in place, padded to the length of the old text: a process that is killed leaves either the old
    /// text or the new one. After a power failure the clock may be behind, which the ledger notices.
    pub(super) fn write(&self, _locked: &mut Locked<'_>, face: &Face) -> Result<(), StoreError> {
        let path = &self.paths.clock;
        let mut text = serde_json::to_vec(face).map_err(|source| StoreError::Corrupt { path: path.clone(), source })?;
        let write = |text: &mut Vec<u8>| -> io::Result<()> {
            let size = usize::try_from(self.file.metadata()?.len()).map_err(io::Error::other)?;
            text.resize(text.len().max(size), b' ');
            self.file.write_all_at(text, 0)
        };
        write(&mut text).map_err(StoreError::io("write", path))
    }

    /// Creates and locks the file that shows the others that this process lives.
    pub(super) fn announce(&self, token: &str) -> Result<File, StoreError> {
        let directory = &self.paths.processes;
        fs::create_dir_all(directory).map_err(StoreError::io("create", directory))?;
        let path = directory.join(token);
        let file = File::create_new(&path).map_err(StoreError::io("create", &path))?;
        file.try_lock().map_err(|e| StoreError::io("lock", &path)(e.into()))?;
        Ok(file)
    }

    /// Whether a process lives. Where that cannot be known it counts as alive; the others' timeout then ends the wait
    /// for it.
    pub(super) fn is_alive(&self, token: &str) -> bool {
        let alive = match File::open(self.paths.processes.join(token)) {
            Ok(file) => !matches!(file.try_lock(), Ok(())),
            Err(e) => e.kind() != io::ErrorKind::NotFound,
        };
        if !alive {
            self.bury(token);
        }
        alive
    }

    /// Removes the file of a dead process. A file that stays does no harm.
    pub(super) fn bury(&self, token: &str) {
        drop(fs::remove_file(self.paths.processes.join(token)));
    }

    /// Removes dead processes from the list, and files of processes that are not listed.
    pub(super) fn sweep(&self, face: &mut Face) -> Result<(), StoreError> {
        let directory = &self.paths.processes;
        face.processes.retain(|token, _| self.is_alive(token));
        for entry in fs::read_dir(directory).map_err(StoreError::io("list", directory))? {
            let entry = entry.map_err(StoreError::io("list", directory))?;
            if let Some(token) = entry.file_name().to_str() {
                self.is_alive(token);
            }
        }
        Ok(())
    }
}
