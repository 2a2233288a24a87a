//! Completions in the real shells, each in a pseudo-terminal: what is typed, Tab, and what stands there then.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rexpect::session::{PtySession, spawn_command};

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::support::debian::Packages;

/// Far above what a loaded machine takes.
const TIMEOUT_MS: u64 = 30_000;

const HINT: &str = "the tests of completions need bash, zsh and fish: they unpack zsh and fish from Debian's packages if \
                    they are not on PATH, which needs apt-get, dpkg-deb and Debian's mirror for the first run";

const ZSH: Packages = Packages { home: "zsh", names: &["zsh", "zsh-common"], hint: HINT };
const FISH: Packages = Packages { home: "fish", names: &["fish", "fish-common", "libpcre2-32-0"], hint: HINT };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|answer| answer.status.success())
}

/// The directory of a package for this machine's libraries, such as `usr/lib/x86_64-linux-gnu`.
fn libraries(home: &Path) -> PathBuf {
    let entries = std::fs::read_dir(home.join("usr/lib")).expect("libraries");
    let mut found = entries.filter_map(|entry| Some(entry.ok()?.path()));
    found.find(|path| path.to_string_lossy().ends_with("-linux-gnu")).expect("libraries of this machine")
}

impl Shell {
    /// The shell in a pseudo-terminal, in the environment's directory, with its completions loaded as README says.
    fn start(self, environment: &TestEnvironment) -> PtySession {
        let binary = Path::new(env!("CARGO_BIN_EXE_safe-remove"));
        let load = match self {
            Self::Bash | Self::Zsh => format!("source <(safe-remove completions {})", self.name()),
            Self::Fish => "safe-remove completions fish | source".to_owned(),
        };
        let mut command = match self {
            Self::Bash => {
                environment.write("bashrc", &format!("PS1='ready> '\n{load}\nbind 'set bell-style none'\n"));
                let mut command = Command::new("bash");
                command.args(["--noprofile", "--rcfile", "bashrc"]);
                command
            }
            Self::Zsh => {
                let (program, paths) = if is_installed("zsh") {
                    (PathBuf::from("zsh"), String::new())
                } else {
                    let home = ZSH.unpacked();
                    let modules = std::fs::read_dir(libraries(&home).join("zsh")).expect("modules").next();
                    let modules = modules.expect("a version").expect("an entry").path();
                    let functions = home.join("usr/share/zsh/functions");
                    let (modules, functions) = (modules.display(), functions.display());
                    (
                        home.join("bin/zsh"),
                        format!("module_path=({modules})\nfpath=({functions}/**/*(/N) {functions})\n"),
                    )
                };
                let rc = format!("{paths}autoload -Uz compinit\ncompinit -D -u\nPS1='ready> '\n{load}\nbindkey -e\n");
                environment.write(".zshrc", &rc);
                let mut command = Command::new(program);
                command.arg("-i");
                command
            }
            Self::Fish => {
                let program = if is_installed("fish") {
                    PathBuf::from("fish")
                } else {
                    let home = FISH.unpacked();
                    // fish looks for its functions beside itself only if its configuration is there too.
                    match std::os::unix::fs::symlink("../etc", home.join("usr/etc")) {
                        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => panic!("a link: {error}"),
                        // Another test may have made it.
                        Ok(()) | Err(_) => {}
                    }
                    home.join("usr/bin/fish")
                };
                let config = "function fish_prompt; echo -n 'ready> '; end\nset -g fish_greeting\n\
                              set -g fish_autosuggestion_enabled 0\n";
                environment.write(".config/fish/config.fish", &format!("{config}{load}\n"));
                let mut command = Command::new(program);
                command.arg("-i");
                command
            }
        };
        environment.isolate(&mut command);
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binary.parent().expect("a directory").display());
        command.env("PATH", path).env("COLUMNS", "120").env("LINES", "40");
        if self == Self::Fish && !is_installed("fish") {
            command.env("LD_LIBRARY_PATH", libraries(&FISH.unpacked()));
        }
        let mut session = spawn_command(command, Some(TIMEOUT_MS)).expect("the shell starts");
        session.exp_string("ready> ").expect("a prompt");
        session
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }
}

/// A shell at its prompt.
struct Prompt {
    shell: Shell,
    session: PtySession,
}

impl Prompt {
    fn of(shell: Shell, environment: &TestEnvironment) -> Self {
        Self { shell, session: shell.start(environment) }
    }

    fn keys(&mut self, keys: &str) {
        self.session.send(keys).and_then(|_| self.session.flush()).expect("typed");
    }

    /// The line after Tab was pressed behind what is typed. The shell itself is asked for it: it echoes the line.
    fn completed(&mut self, typed: &str) -> String {
        // bash and zsh read the next keys only after the answer. fish completes beside: it gets more time where it was slow.
        let pauses: &[u64] = if self.shell == Shell::Fish { &[2_500, 8_000] } else { &[100] };
        let mut line = String::new();
        for pause in pauses {
            self.keys(&format!("{typed}\t"));
            std::thread::sleep(Duration::from_millis(*pause));
            // Control-A, then a command that is written so that only its output has the marker.
            self.keys("\u{1}echo AN''SWER \u{5}\r");
            let shell = self.shell;
            self.session.exp_string("ANSWER ").unwrap_or_else(|error| panic!("{shell:?} {typed:?}: {error}"));
            line = self.session.read_line().expect("a line").trim_end().to_owned();
            self.session.exp_string("ready> ").expect("a prompt");
            if line != typed {
                break;
            }
        }
        line
    }

    /// What is listed, this among it, when Tab is pressed again and again behind what is typed.
    fn listed(&mut self, typed: &str, name: &str) -> String {
        // The first Tab adds what all have in common, and bash then wants to be asked twice.
        let tabs = if self.shell == Shell::Bash { "\t\t\t" } else { "\t\t" };
        // Colours stand in the middle of names.
        let escapes = regex::Regex::new("\u{1b}(\\[[0-9;?]*[a-zA-Z]|\\(B)").expect("a pattern of this file");
        let mut shown = String::new();
        for seconds in [1, 3, 10] {
            self.keys(&format!("{typed}{tabs}"));
            std::thread::sleep(Duration::from_secs(seconds));
            // Control-C: away with the line.
            self.keys("\u{3}\u{3}");
            shown = self.session.exp_string("ready> ").expect("a prompt");
            shown = escapes.replace_all(&shown, "").into_owned();
            if shown.contains(name) {
                return shown;
            }
        }
        panic!("{:?} {typed:?}: no {name} in {shown}", self.shell)
    }
}

impl Drop for Prompt {
    /// Interactive shells take no SIGTERM. Control-D ends one at its prompt.
    fn drop(&mut self) {
        let left = self.session.send("\u{4}").and_then(|_| self.session.flush());
        let _ = left.and_then(|()| self.session.exp_eof());
    }
}

fn fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    for file in ["fleet.toml", "scenario.toml", "billing.toml"] {
        let text = std::fs::read_to_string(environment.path().join("policies").join(file)).expect("a file");
        environment.write(&format!("other/{file}"), &text);
    }
    environment
}

/// The name has a hyphen, so bash was dead behind every subcommand (clap issues 6386, 6421, 6529).
#[test]
fn commands_options_and_subsystems_are_completed_in_every_shell() {
    let environment = fleet();
    for shell in SHELLS {
        let mut prompt = Prompt::of(shell, &environment);
        for (typed, line) in [
            ("safe-remove hist", "safe-remove history"),
            ("safe-remove --subs", "safe-remove --subsystem"),
            ("safe-remove plan --expec", "safe-remove plan --expect-remaining"),
            ("safe-remove policy sche", "safe-remove policy schema"),
            ("safe-remove plan --subsystem pl", "safe-remove plan --subsystem placement"),
            ("safe-remove headroom --subsystem=pl", "safe-remove headroom --subsystem=placement"),
            // The other directory has but one.
            ("safe-remove --policies other plan --subsystem ", "safe-remove --policies other plan --subsystem billing"),
            ("safe-remove policy show --policies=other ", "safe-remove policy show --policies=other billing"),
            // Nothing fits: nothing changes, and nothing is said.
            ("safe-remove plan --subsystem nonsense", "safe-remove plan --subsystem nonsense"),
            ("safe-remove --policies nowhere plan --subsystem i", "safe-remove --policies nowhere plan --subsystem i"),
        ] {
            assert_eq!(prompt.completed(typed), line, "{shell:?}");
        }
    }
    assert!(!environment.path().join("state").exists(), "no ledger and no fleet were made");
}

/// A person who takes over a run at night does not type its id.
#[cfg(debug_assertions)]
#[test]
fn runs_and_hosts_are_completed_in_every_shell() {
    let environment = fleet();
    let mut command = environment.command(&["--subsystem", "index", "--count", "2", "--yes"]);
    let killed = command.env("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned").output().expect("it starts");
    assert_eq!(killed.status.code(), None, "it was killed");
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    let run = status["runs"][0]["run"].as_str().expect("a run").to_owned();
    for shell in SHELLS {
        let mut prompt = Prompt::of(shell, &environment);
        for command in ["abandon", "resume", "status"] {
            let line = prompt.completed(&format!("safe-remove {command} r"));
            assert_eq!(line, format!("safe-remove {command} {run}"), "{shell:?}");
        }
        // What the run holds, and then what is in service: the other hosts.
        let held = prompt.listed(&format!("safe-remove abandon {run} --leave "), "index-0002");
        assert!(held.contains("index-0001") && !held.contains("placement"), "{shell:?}: {held}");
        let typed = "safe-remove plan --subsystem index --host index-000";
        let hosts = prompt.listed(typed, "index-0009");
        assert!(hosts.contains("index-0003") && !hosts.contains("index-0001"), "{shell:?}: {hosts}");
    }
}

/// Whoever presses Tab waits for a prompt: a ledger that another process keeps locked is not waited for.
#[test]
fn a_shell_waits_no_longer_than_a_person_does() {
    let environment = fleet();
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    let ledger = rusqlite::Connection::open(environment.path().join("state/ledger.db")).expect("a ledger");
    ledger.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    let begun = Instant::now();
    let mut ask = environment.command(&["--", "safe-remove", "status", ""]);
    let answer = ask.env("_SAFE_REMOVE_COMPLETE", "fish").output().expect("it starts");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert_eq!((answer.status.code(), answer.stdout.len(), answer.stderr.len()), (Some(0), 0, 0), "{answer:?}");
    ledger.execute_batch("ROLLBACK").expect("let go");
    let mut ask = environment.command(&["--", "safe-remove", "status", ""]);
    let answer = ask.env("_SAFE_REMOVE_COMPLETE", "fish").output().expect("it starts");
    let listed = String::from_utf8(answer.stdout).expect("UTF-8");
    assert!(listed.lines().count() == 1 && listed.starts_with("r-") && listed.contains("of index"), "{listed}");
}
