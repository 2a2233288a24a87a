//! Manual pages, as `man` shows them: laid out by groff, which belongs to it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::environment::{TestEnvironment, words};
use crate::support::debian::Packages;

const GROFF: Packages = Packages {
    home: "groff",
    names: &["groff-base"],
    hint: "the tests of the manual pages need groff: as root, `apt-get install groff-base`. Without root they unpack Debian's \
           package themselves, which needs apt-get, dpkg-deb and Debian's mirror for the first run",
};

/// What a page looks like on a terminal of 100 columns, and what groff complains of.
fn laid_out(page: &str) -> (String, String) {
    let installed = Command::new("groff").arg("--version").output().is_ok_and(|answer| answer.status.success());
    let mut groff = if installed {
        Command::new("groff")
    } else {
        let home = GROFF.unpacked();
        let mut command = Command::new(home.join("usr/bin/groff"));
        let share = std::fs::read_dir(home.join("usr/share/groff")).expect("groff's files");
        let version = share.filter_map(|entry| Some(entry.ok()?.path())).find(|path| path.join("font").exists());
        let version = version.expect("groff's fonts");
        command.env("GROFF_BIN_PATH", home.join("usr/bin")).env("GROFF_FONT_PATH", version.join("font"));
        command.env("GROFF_TMAC_PATH", version.join("tmac"));
        command
    };
    groff.args(["-man", "-Tutf8", "-ww", "-rLL=100n", "-P-c", "-P-b", "-P-u"]);
    let mut child =
        groff.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("groff starts");
    child.stdin.take().expect("piped").write_all(page.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr))
}

/// Every command with a page: its path, as `help` lists them.
fn commands(environment: &TestEnvironment, path: &[&str]) -> Vec<Vec<String>> {
    let help = environment.run(&[path, &["--help"]].concat()).exits(0).stdout;
    let mut found = vec![path.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()];
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        found.extend(commands(environment, &[path, &[name]].concat()));
    }
    found
}

/// The examples are command lines: somebody copies them. Tables are read by their columns.
#[test]
fn every_command_has_a_page_with_its_examples_line_by_line() {
    let environment = TestEnvironment::new();
    let all = commands(&environment, &[]);
    for path in [&["plan"][..], &["policy", "check"], &["iam-policy"]] {
        assert!(all.iter().any(|known| known == path), "{path:?} of {all:?}");
    }
    for path in all {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let page = environment.run(&[&["man"], &path[..]].concat()).exits(0).stdout;
        let (shown, complaints) = laid_out(&page);
        assert_eq!(complaints, "", "{path:?}");
        let name = [&["safe-remove"], &path[..]].concat().join("-");
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES"] {
            assert!(shown.lines().any(|line| line == heading), "{path:?} has no {heading}: {shown}");
        }
        // Older versions of groff fill lines to the margin.
        let words = words(&shown);
        assert!(words.contains(&format!("{name} - ")), "{path:?}: {shown}");
        let help = environment.run(&[&["help"], &path[..]].concat()).exits(0).stdout;
        let behind = help.lines().skip_while(|line| *line != "Examples:");
        let written: Vec<&str> = behind.filter(|line| line.starts_with("  ")).collect();
        assert!(!written.is_empty(), "{path:?} has no example");
        for line in written {
            let is_there = |of: &str| of.trim_start() == line.trim_start();
            assert!(shown.lines().any(is_there), "{path:?} lacks {line:?}:\n{shown}");
        }
    }
}

#[test]
fn the_page_of_what_is_no_command_is_a_usage_error() {
    let environment = TestEnvironment::new();
    let ran = environment.run(&["man", "policy", "chek"]).exits(2);
    assert!(ran.stderr.contains("check"), "{}", ran.stderr);
    environment.run(&["help", "chek"]).exits(2);
}
