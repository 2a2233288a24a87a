//! Each kind of probe in a removal: a bake that is clean, one that is bad, one in which it cannot be read.

mod headers;
mod preconditions;
mod prometheus;
mod read_once;
mod tested;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::removal::cordoned;
use crate::support::page::{Answer, Page};

/// What the probe of a story shows while hosts are out of service.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shows {
    /// That nothing is wrong.
    Good,
    /// A number beyond its limit.
    Bad,
    /// Nothing.
    Nothing,
}

/// A fleet of which index has this probe too.
fn with_probe(probe: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    add_probe(&environment, probe);
    environment
}

fn add_probe(environment: &TestEnvironment, probe: &str) {
    environment.replace("policies/index.toml", "[confirm]", &format!("[[health.probe]]\n{probe}\n[confirm]"));
}

/// Removes two hosts of index, and looks at how that ended.
#[track_caller]
fn story(environment: &TestEnvironment, shows: Shows, why: &str) -> Value {
    let code = if shows == Shows::Good { 0 } else { 7 };
    let run = environment.run(&["--subsystem", "index", "--count", "2", "--yes", "-o", "json"]).exits(code).json();
    let (gone, back) = if shows == Shows::Good { (2, 0) } else { (0, 2) };
    let count = |key: &str| run[key].as_array().expect("a list").len();
    assert_eq!((count("terminated"), count("restored")), (gone, back), "{run:#}");
    assert_eq!(cordoned(environment.path()), 0);
    if shows != Shows::Good {
        assert_eq!((&run["cause"]["kind"], &run["cause"]["probe"]), (&"probe".into(), &"index/page".into()), "{run:#}");
        let message = run["cause"]["message"].as_str().expect("a message");
        assert!(message.contains(why), "{message}");
    }
    run
}

/// Where the fleet keeps its state, which a page looks at as a real one feels what is gone.
fn state(environment: &TestEnvironment) -> PathBuf {
    environment.path().to_owned()
}

fn is_out(directory: &Path) -> bool {
    cordoned(directory) > 0
}

#[test]
fn s2_s3_a_page_in_json() {
    for (shows, why) in
        [(Shows::Good, ""), (Shows::Bad, "read 9, above its limit max = 5"), (Shows::Nothing, "GET http://127.0.0.1")]
    {
        let environment = with_probe("");
        let directory = state(&environment);
        let page = Page::new(move |_| match (is_out(&directory), shows) {
            (false, _) | (true, Shows::Good) => Answer::json(r#"{"load": "4"}"#),
            (true, Shows::Bad) => Answer::json(r#"{"load": "9"}"#),
            (true, Shows::Nothing) => None,
        });
        let url = format!("http://{}/health", page.address);
        environment.replace(
            "policies/index.toml",
            "[[health.probe]]\n\n",
            &format!(
                "[[health.probe]]\nname = \"page\"\nkind = \"http\"\nurl = \"{url}\"\npointer = \"/load\"\nparse = \
                 \"string\"\nmax = 5\n"
            ),
        );
        story(&environment, shows, why);
    }
}

/// A cache in front of the page answers with what was good a day ago.
#[test]
fn s3_a_stale_page_and_a_lying_cache_are_no_good_news() {
    for (header, why) in [
        ("Age: 86400", "the answer is 24h old by its age, of 1m allowed"),
        ("Date: Tue, 28 Feb 2017 17:37:00 GMT", "old by its date, of 1m allowed"),
    ] {
        let environment = with_probe("");
        let directory = state(&environment);
        let page = Page::new(move |head| {
            assert!(head.to_lowercase().contains("cache-control: no-cache\r\n"), "{head}");
            let answer = Answer::json(r#"{"load": 4}"#);
            if is_out(&directory) { Answer::and(answer, header) } else { answer }
        });
        let url = format!("http://{}/health", page.address);
        let probe = format!("name = \"page\"\nkind = \"http\"\nurl = \"{url}\"\npointer = \"/load\"\nmax = 5\n");
        environment.replace("policies/index.toml", "[[health.probe]]\n\n", &format!("[[health.probe]]\n{probe}"));
        story(&environment, Shows::Bad, why);
    }
}

#[test]
fn s2_s3_a_port() {
    for (shows, why) in [(Shows::Good, ""), (Shows::Nothing, "refused")] {
        let environment = TestEnvironment::new();
        Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        add_probe(&environment, &format!("name = \"page\"\nkind = \"tcp\"\naddress = \"{address}\"\n"));
        let directory = state(&environment);
        let kept = (shows == Shows::Good).then(|| listener.try_clone().expect("the same port"));
        let closing = std::thread::spawn(move || {
            let end = Instant::now() + Duration::from_secs(60);
            while !is_out(&directory) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
            drop(listener);
        });
        story(&environment, shows, why);
        closing.join().expect("no panic");
        drop(kept);
    }
}

#[test]
fn s2_s3_a_program() {
    for (shows, script, why) in [
        (Shows::Good, "echo 4", ""),
        // It is told which hosts are out.
        (Shows::Good, "echo \"$SAFE_REMOVE_HOSTS\" | grep -c '^index-'", ""),
        (Shows::Bad, "test -z \"$SAFE_REMOVE_HOSTS\"", "exit status 1"),
        (Shows::Bad, "echo 9", "read 9, above its limit max = 5"),
        (Shows::Nothing, "echo no >&2; exit 3", "exit status 3: no"),
    ] {
        let environment = with_probe("name = \"page\"\nkind = \"exec\"\ncommand = [\"sh\", \"./probe\"]\nmax = 5\n");
        let fleet = environment.path().join("state/fleet.json");
        let script = format!("if grep -q 'cordoned\"' '{}'; then {script}; else echo 4; fi\n", fleet.display());
        environment.write("policies/probe", &script);
        let script = environment.path().join("policies/probe").display().to_string();
        environment.replace("policies/index.toml", "\"./probe\"", &format!("{script:?}"));
        story(&environment, shows, why);
    }
}
