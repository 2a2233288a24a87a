//! A real browser for the report's page: Chromium without a window.
//!
//! Found on PATH; else unpacked below `target/` from Debian's packages, with the libraries that this machine lacks, which
//! needs no root. No Chromium is a failed test, never a skipped one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::debian::{apt, by_some_lists, unpacked};
use super::tmp;

const HINT: &str = "the tests of the report's page need Chromium: as root, `apt-get install chromium`. Without root they \
                    unpack Debian's packages themselves, which needs apt-get, dpkg-deb and Debian's mirror for the first run";

/// What a browser made of a page.
pub(crate) struct Rendered {
    /// The document as the browser understood it.
    pub(crate) dom: String,
    /// What the page made it complain of.
    pub(crate) console: Vec<String>,
}

/// Loads a page, and shows what came of it.
pub(crate) fn render(page: &Path) -> Rendered {
    let answer = chromium(page, &["--dump-dom"]);
    let log = String::from_utf8_lossy(&answer.stderr);
    Rendered {
        dom: String::from_utf8_lossy(&answer.stdout).into_owned(),
        console: log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect(),
    }
}

/// Takes a picture of a page, so many pixels wide and high.
pub(crate) fn photograph(page: &Path, to: &Path, (wide, high): (u32, u32), dark: bool) {
    let (shot, size) = (format!("--screenshot={}", to.display()), format!("--window-size={wide},{high}"));
    let mut flags = vec![shot.as_str(), size.as_str(), "--hide-scrollbars"];
    if dark {
        flags.push("--blink-settings=preferredColorScheme=0");
    }
    chromium(page, &flags);
    assert!(to.metadata().is_ok_and(|file| file.len() > 0), "no picture of {}", page.display());
}

/// Prints a page to a PDF file.
pub(crate) fn print(page: &Path, to: &Path) {
    chromium(page, &[&format!("--print-to-pdf={}", to.display()), "--no-pdf-header-footer"]);
    assert!(to.metadata().is_ok_and(|file| file.len() > 0), "{} is not printed", page.display());
}

fn chromium(page: &Path, flags: &[&str]) -> Output {
    static PROGRAM: OnceLock<(PathBuf, String)> = OnceLock::new();
    let (program, libraries) = PROGRAM.get_or_init(program);
    // A profile of its own: calls at the same time do not disturb each other.
    let profile = TempDir::new_in(tmp()).expect("a directory below target/");
    let mut command = Command::new(program);
    command
        // Containers and root have no sandbox; the page is ours, and may run nothing.
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(flags)
        .arg(format!("file://{}", page.display()))
        .env("LD_LIBRARY_PATH", libraries)
        .env("HOME", profile.path())
        .stdin(Stdio::null());
    let answer = bounded(command);
    assert!(answer.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&answer.stderr));
    answer
}

/// A browser that hangs is ended after a minute.
fn bounded(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the browser");
    let pid = child.id().to_string();
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if ended.recv_timeout(Duration::from_secs(60)).is_err() {
            let _ = Command::new("kill").args(["-9", &pid]).status();
        }
    });
    let begun = Instant::now();
    let answer = child.wait_with_output().expect("the browser");
    let _ = done.send(());
    watch.join().expect("the watch");
    assert!(begun.elapsed() < Duration::from_secs(60), "the browser hangs");
    answer
}

/// The browser, and where its libraries are.
fn program() -> (PathBuf, String) {
    if Command::new("chromium").arg("--version").output().is_ok_and(|answer| answer.status.success()) {
        return (PathBuf::from("chromium"), String::new());
    }
    let home = unpacked("chromium", HINT, download);
    let program = home.join("usr/lib/chromium/chromium");
    let mut libraries = Vec::new();
    directories_with_libraries(&home.join("usr/lib"), &mut libraries);
    let libraries = libraries.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":");
    (program, libraries)
}

/// Downloads Chromium, and every package that it needs and this machine lacks.
fn download(into: &Path) -> Result<(), String> {
    by_some_lists(into, |lists| {
        // What would be installed is what is missing; nothing is.
        let plan = apt(into, lists, &["install", "--simulate", "--no-install-recommends", "chromium"])?;
        let missing: Vec<&str> =
            plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next()).collect();
        apt(into, lists, &[&["download"][..], &missing].concat()).map(drop)
    })
}

fn directories_with_libraries(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    if paths.iter().any(|path| path.to_string_lossy().contains(".so")) && !directory.ends_with("chromium") {
        found.push(directory.to_owned());
    }
    paths.iter().filter(|path| path.is_dir()).for_each(|path| directories_with_libraries(path, found));
}
