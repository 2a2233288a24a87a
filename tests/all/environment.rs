//! [`TestEnvironment`]: a directory of its own, a cleared environment, a fleet whose clock stands at a fixed time.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use safe_remove::model::Time;
use serde_json::Value;
use tempfile::TempDir;

/// Where the fleets' clocks begin: the day this tool answers to.
pub(crate) const START: &str = "2017-02-28T17:37:00Z";

/// A place in which the binary runs and finds nothing but what the test put there.
pub(crate) struct TestEnvironment {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

/// How one call of the binary ended.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// The arguments.
    pub(crate) arguments: String,
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// What it wrote, [`unbroken`].
    pub(crate) stdout: String,
    /// What it wrote, [`unbroken`].
    pub(crate) stderr: String,
}

impl Ran {
    /// stdout as one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{self:?}"))
    }

    /// stdout as one JSON document, or its last line where it is ndjson.
    pub(crate) fn last_line_or_all(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| self.last_line())
    }

    /// The last line of stdout as a JSON document.
    pub(crate) fn last_line(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {error}\n{self:?}"))
    }

    /// Fails unless it ended so.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "safe-remove {}\n{}\n{}", self.arguments, self.stdout, self.stderr);
        self
    }
}

impl TestEnvironment {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().expect("a directory for the test"), variables: Vec::new() }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file below the directory, with the permissions that policy files need.
    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("below the directory")).expect("a directory");
        fs::write(&path, text).expect("a file");
        set_mode(&path, 0o644);
        path
    }

    /// Changes a file below the directory, which has such text.
    pub(crate) fn replace(&self, path: &str, text: &str, with: &str) {
        let whole = fs::read_to_string(self.path().join(path)).expect("a file");
        assert!(whole.contains(text), "{path} has no {text:?}:\n{whole}");
        self.write(path, &whole.replace(text, with));
    }

    /// Sets a variable for every call from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Leaves a variable out from now on.
    #[cfg(feature = "aws")]
    pub(crate) fn unset(&mut self, name: &str) {
        self.variables.retain(|(of, _)| of != name);
    }

    /// The binary with arguments, ready to start; stdin is empty.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.interactive(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The binary with arguments, to be started on a terminal.
    pub(crate) fn interactive(&self, arguments: &[&str]) -> Command {
        let mut command = heeding_signals(env!("CARGO_BIN_EXE_safe-remove"));
        command.args(arguments);
        self.isolate(&mut command);
        command
    }

    /// A shell that runs a script around the binary, to be started on a terminal.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = heeding_signals("/bin/sh");
        command.args(["-c", script]);
        self.isolate(&mut command);
        command
    }

    /// Any program, in this directory and with a cleared environment.
    pub(crate) fn isolate(&self, command: &mut Command) {
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path())
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    /// Runs the binary to its end, stdin empty.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().expect("the binary starts");
        ran(arguments, output)
    }

    /// Runs the binary to its end with a text on stdin.
    pub(crate) fn run_with_stdin(&self, arguments: &[&str], stdin: &[u8]) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("the binary starts");
        // It may end without reading everything.
        let _ = child.stdin.take().expect("piped").write_all(stdin);
        ran(arguments, child.wait_with_output().expect("it ends"))
    }

    /// Runs the binary; arguments, exit code, stdout and stderr as one text, the same on every machine.
    pub(crate) fn show(&self, arguments: &[&str]) -> String {
        self.shown(&self.run(arguments))
    }

    /// One call as a text that is the same on every machine.
    pub(crate) fn shown(&self, ran: &Ran) -> String {
        let code = ran.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        let mut text = format!("$ safe-remove {}\n=> exit {code}\n", ran.arguments);
        for (name, output) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
            if !output.is_empty() {
                text.push_str(&format!("--- {name}\n{output}"));
                if !output.ends_with('\n') {
                    text.push_str("\n(no line end)\n");
                }
            }
        }
        self.steady(&text)
    }

    /// Without what differs from machine to machine or from call to call.
    pub(crate) fn steady(&self, text: &str) -> String {
        let directory = self.path().display().to_string();
        let real = self.path().canonicalize().expect("it exists").display().to_string();
        let text = unbroken(text);
        let mut text = text.replace(&real, "[DIR]").replace(&directory, "[DIR]");
        for (pattern, name) in [
            (r"\br-[0-9a-hjkmnp-tv-z]{12}\b", "[RUN]"),
            (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "[UUID]"),
            (r"\b[0-9a-f]{32,64}\b", "[DIGEST]"),
            (r"\b[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+\b", "[OPERATOR]"),
            (r"\bpid [0-9]+ on [^\s,:]+", "pid [PID] on [MACHINE]"),
            (r"\bpid [0-9]+\b", "pid [PID]"),
        ] {
            text = regex(pattern).replace_all(&text, name).into_owned();
        }
        text
    }
}

/// A child inherits what its parent ignores, and the binary leaves it so: a test that runs below `nohup`, or in the background
/// of a script, would not see what a hang-up or Ctrl-C does.
pub(crate) fn heeding_signals(program: &str) -> Command {
    if !ignores_signals() {
        return Command::new(program);
    }
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,QUIT,TERM", program]);
    command
}

/// Whether this process ignores one of the signals that stop a run (SIGHUP 1, SIGINT 2, SIGQUIT 3, SIGTERM 15).
fn ignores_signals() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    [1, 2, 3, 15].into_iter().any(|signal| mask >> (signal - 1) & 1 == 1)
}

fn regex(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).expect("a pattern of this file")
}

/// Text whose fields and messages are one line each: they break elsewhere where a path or a name is longer. How they break
/// is tested on terminals.
pub(crate) fn unbroken(text: &str) -> String {
    let joined = |found: &regex::Captures<'_>| found[0].lines().map(str::trim_start).collect::<Vec<_>>().join(" ");
    let fields = regex(r"(?m)^[A-Za-z][A-Za-z ]{0,11} .*(?:\n {12}\S.*)+");
    let messages = regex(r"(?m)^(?:error|caused by|hint|warning): .*(?:\n {6,11}\S.*)+");
    messages.replace_all(&fields.replace_all(text, joined), joined).into_owned()
}

/// The words of a text, whatever its width: every gap is one space.
pub(crate) fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How a call of the binary with these arguments ended.
pub(crate) fn ran(arguments: &[&str], output: Output) -> Ran {
    Ran {
        arguments: arguments.join(" "),
        code: output.status.code(),
        stdout: unbroken(&String::from_utf8(output.stdout).expect("UTF-8 on stdout")),
        stderr: unbroken(&String::from_utf8(output.stderr).expect("UTF-8 on stderr")),
    }
}

/// Sets the permissions of a file.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}

#[track_caller]
pub(crate) fn moment(value: &Value) -> Time {
    value.as_str().unwrap_or_else(|| panic!("not a time: {value}")).parse().expect("a time")
}
