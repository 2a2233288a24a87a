//! What a person sees: every screen on terminals of 60, 80 and 120 columns and 24 rows, drawn by an emulator.

use std::fmt::Write as _;

use insta::assert_snapshot;
use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::removal::wait_until;
use crate::support::terminal::{COLUMNS, Terminal, keeps_to, one_line};

/// 66 hosts of index, of which 24 may go at once, in batches of two.
fn large() -> TestEnvironment {
    let environment = TestEnvironment::new();
    let fleet = Fleet { index_minimum: 12, budgets: "[{ hosts = 24, per = \"24h\" }]", ..Fleet::default() };
    fleet.write(&environment);
    environment.replace("policies/scenario.toml", "pool = \"index\"\ncount = 12", "pool = \"index\"\ncount = 60");
    environment
}

/// The prompt of a plan of 24 hosts in twelve batches: what decides is on the screen, however far the plan has scrolled.
#[test]
fn what_decides_is_beside_the_question() {
    let mut shown = String::new();
    for columns in COLUMNS {
        let environment = large();
        let mut terminal = Terminal::open(&environment, &["--subsystem", "index", "--count", "24"], columns);
        let rows = terminal.see("Type 24 to remove 24 hosts");
        for words in ["demo (simulated", "index 66 > 42 units", "minimum 12", "no other run", "ends about 2017-02-28"] {
            assert!(one_line(&rows).contains(words), "{columns}: {words}\n{}", rows.join("\n"));
        }
        terminal.type_line("no");
        let ended = terminal.end();
        assert_eq!(ended.code, 6, "{}", ended.rows.join("\n"));
        keeps_to(columns, &ended.rows);
        assert!(ended.rows.len() <= 60, "{} rows:\n{}", ended.rows.len(), ended.rows.join("\n"));
        _ = writeln!(shown, "=== {columns} columns\n{}", environment.steady(&ended.rows.join("\n")));
    }
    assert_snapshot!(shown);
}

/// Between batches the same is beside the question, and no progress that is over.
#[test]
fn what_decides_is_beside_the_question_between_batches() {
    for columns in COLUMNS {
        let environment = TestEnvironment::new();
        Fleet { clock: "6", index_minimum: 6, ..Fleet::default() }.write_quick(&environment);
        let step = ["--subsystem", "index", "--count", "4", "--step"];
        // Without a terminal it waits for `continue`, and stands in line meanwhile.
        let mut other = environment.command(&[&step[..], &["--yes"]].concat()).spawn().expect("it starts");
        let asks = || environment.run(&["status", "-o", "json"]).json()["runs"][0]["asks"].is_object();
        wait_until(&mut other, "it asks", asks);
        let mut terminal = Terminal::open(&environment, &step, columns);
        terminal.see("Type 4 to remove 4 hosts");
        terminal.type_line("4");
        let rows = terminal.see("Type 2 to go on with batch 2");
        let text = one_line(&rows);
        for words in
            ["demo (simulated", "6 times as fast", "ends about 2017-02-28", "stands in line for 2", "of yours)"]
        {
            assert!(text.contains(words), "{columns}: {words}\n{}", rows.join("\n"));
        }
        let drawn = |row: &String| row.starts_with(|c| ('\u{2800}'..='\u{28ff}').contains(&c));
        assert!(!rows.iter().any(drawn), "{}", rows.join("\n"));
        environment.run(&["halt", "--no-follow"]).exits(0);
        let ended = terminal.end();
        assert_eq!(ended.code, 9, "{}", ended.rows.join("\n"));
        assert_eq!(other.wait().expect("it ends").code(), Some(9));
        let stopping = one_line(&ended.rows).matches("STOPPING: the fleet is halted").count();
        assert_eq!(stopping, 1, "{}", ended.rows.join("\n"));
        keeps_to(columns, &ended.rows);
    }
}

/// 33 typed for 3: each reason once, on both outputs together, the largest count as a number and no command to paste.
#[test]
fn a_refusal_says_each_reason_once() {
    let mut shown = String::new();
    for columns in COLUMNS {
        let environment = large();
        let terminal = Terminal::open(&environment, &["--subsystem", "index", "--count", "33"], columns);
        let ended = terminal.end();
        assert_eq!(ended.code, 3, "{}", ended.rows.join("\n"));
        keeps_to(columns, &ended.rows);
        assert!(ended.rows.len() <= 40, "{} rows:\n{}", ended.rows.len(), ended.rows.join("\n"));
        let text = one_line(&ended.rows);
        for reason in ["one run may take 24", "its budget is 24 in any 24h", "that these limits would allow now is 24"]
        {
            assert_eq!(text.matches(reason).count(), 1, "{reason}\n{}", ended.rows.join("\n"));
        }
        assert!(!text.contains("safe-remove --subsystem"), "{text}");
        _ = writeln!(shown, "=== {columns} columns\n{}", environment.steady(&ended.rows.join("\n")));
    }
    assert_snapshot!(shown);
}

/// Six hosts in batches of two; the demand grows eightfold in the second bake.
fn regression(environment: &TestEnvironment) {
    let events = "[[events]]\nat = \"260s\"\ndemand = { subsystem = \"index\", factor = 8.0 }\n";
    Fleet { index_minimum: 12, events: events.to_owned(), ..Fleet::default() }.write(environment);
}

/// The live screen, the answer, `status`, `history`, the document and the report say the same about a regression.
#[test]
fn a_regression_is_the_same_story_on_every_screen() {
    let mut shown = String::new();
    for columns in COLUMNS {
        let environment = TestEnvironment::new();
        regression(&environment);
        let live = Terminal::open(&environment, &["--subsystem", "index", "--count", "6", "--yes"], columns).end();
        assert_eq!(live.code, 7, "{}", live.rows.join("\n"));
        keeps_to(columns, &live.rows);
        let run = environment.run(&["history", "-o", "json"]).exits(0).json()["runs"][0].clone();
        let cause = run["cause"]["message"].as_str().expect("a cause").to_owned();
        let cause = one_line(&[cause]);
        assert!(one_line(&live.rows).contains(&format!("STOPPING: {cause}")), "{cause}\n{}", one_line(&live.rows));
        assert!(one_line(&live.rows).contains("2 of 6 hosts are gone"), "{}", live.rows.join("\n"));
        let id = run["run"].as_str().expect("an id");
        for arguments in [&["status", id][..], &["report", id], &["history"]] {
            let ended = Terminal::open(&environment, arguments, columns).end();
            assert_eq!(ended.code, 0);
            keeps_to(columns, &ended.rows);
            let text = one_line(&ended.rows);
            assert!(text.contains(&cause), "{columns} {arguments:?}: {cause}\n{}", ended.rows.join("\n"));
            assert!(text.contains("2 of 6 hosts") && text.contains("index"), "{}", ended.rows.join("\n"));
            let what = environment.steady(&arguments.join(" "));
            // Rows behind that break where the name of the operator ends, which is as long as this machine's.
            let rows = ended.rows.iter().take_while(|row| *row != "What happened");
            let rows = rows.cloned().collect::<Vec<_>>().join("\n");
            _ = writeln!(shown, "=== {columns} columns: {what}\n{}", environment.steady(&rows));
        }
        let report = environment.run(&["report", id, "-o", "json"]).exits(0).json();
        assert_eq!(report["run"]["cause"], run["cause"]);
    }
    assert_snapshot!(shown);
}

/// What can go, and what a plan says of it.
#[test]
fn what_can_go_is_seen_at_every_width() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let screens: [(&[&str], i32); 4] = [
        (&["headroom"], 0),
        (&["headroom", "--what-if", "zone-down=a"], 0),
        (&["plan", "--subsystem", "index", "--count", "4"], 0),
        (&["plan", "--subsystem", "billing", "--count", "20"], 3),
    ];
    let mut shown = String::new();
    for columns in COLUMNS {
        for (arguments, code) in screens {
            let ended = Terminal::open(&environment, arguments, columns).end();
            assert_eq!(ended.code, code, "{arguments:?}\n{}", ended.rows.join("\n"));
            keeps_to(columns, &ended.rows);
            let rows = environment.steady(&ended.rows.join("\n"));
            _ = writeln!(shown, "=== {columns} columns: {}\n{rows}", arguments.join(" "));
        }
    }
    assert_snapshot!(shown);
}

/// Every other screen fits, too.
#[test]
fn every_screen_keeps_to_its_terminal() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let reason = "rack 7 is decommissioned, ticket OPS-4711, agreed with the owners of index and billing in March";
    environment.run(&["--subsystem", "index", "--count", "2", "--yes", "--reason", reason]).exits(0);
    environment.run(&["halt", "--reason", reason]).exits(0);
    let screens: [(&[&str], i32); 10] = [
        (&["headroom"], 0),
        (&["headroom", "--what-if", "zone-down=a"], 0),
        (&["status"], 0),
        (&["history"], 0),
        (&["plan", "--subsystem", "billing", "--count", "20"], 3),
        (&["plan", "--subsystem", "indx", "--count", "1"], 3),
        (&["policy", "check"], 0),
        (&["halt", "--subsystem", "index", "--reason", reason], 0),
        (&["unhalt", "--subsystem", "index", "--reason", reason], 0),
        (&["pause", "r-000000000000"], 3),
    ];
    for columns in COLUMNS {
        for (arguments, code) in screens {
            let ended = Terminal::open(&environment, arguments, columns).end();
            assert_eq!(ended.code, code, "{arguments:?}\n{}", ended.rows.join("\n"));
            keeps_to(columns, &ended.rows);
        }
    }
    environment.replace("policies/index.toml", "batch = 2", "batsch = 2");
    for columns in COLUMNS {
        let ended = Terminal::open(&environment, &["policy", "check"], columns).end();
        assert_eq!(ended.code, 4, "{}", ended.rows.join("\n"));
        keeps_to(columns, &ended.rows);
        assert!(ended.rows.iter().any(|row| row.contains("batsch")), "{}", ended.rows.join("\n"));
    }
}

/// A question that is wider than the terminal breaks between words, and no word is lost.
#[test]
fn a_question_wider_than_the_terminal_breaks_between_words() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let mut dies = environment.command(&["--subsystem", "index", "--count", "1", "--yes"]);
    dies.env("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned").output().expect("it starts");
    let run = environment.run(&["status", "-o", "json"]).exits(0).json()["runs"][0]["run"].clone();
    let run = run.as_str().expect("a run").to_owned();
    for columns in [60, 120] {
        let mut asks = Terminal::open(&environment, &["resume", &run], columns);
        let rows = asks.see("as it is ›");
        keeps_to(columns, &rows);
        let question = "Type 1 to go on and remove 1 host, anything else to leave the run as it is ›";
        // The mark of a question stands before its last line.
        assert!(one_line(&rows).replace("? ", "").contains(question), "{columns}: {}", rows.join("\n"));
        asks.type_line("no");
        assert_eq!(asks.end().code, 6);
    }
}

/// Of many probes the bad one is on the screen, with its limit and its bad samples, live and in `status`.
#[test]
fn of_many_readings_the_bad_one_is_in_sight() {
    for columns in COLUMNS {
        let environment = TestEnvironment::new();
        let events = "[[events]]\nafter = { pool = \"index\", cordoned = 2 }\nat = \"1s\"\n\
                      demand = { subsystem = \"index\", factor = 2.0 }\n";
        let fleet = Fleet { clock: "1", index_minimum: 12, events: events.to_owned(), ..Fleet::default() };
        fleet.write_quick(&environment);
        let probe = |name: &str, limit: &str| {
            format!(
                "[[health.probe]]\nname = \"{name}\"\nkind = \"simulated\"\nmetric = \"latency_ms\"\nunit = \"ms\"\n{limit}\n"
            )
        };
        let mut probes: String = (1..=22).map(|n| probe(&format!("p{n:02}"), "max = 100000")).collect();
        probes.push_str(&probe("tail", "max_increase = \"20%\"\nfailures = 60"));
        environment.replace("policies/index.toml", "max = 0.01\n", &format!("max = 2\n{probes}"));
        environment.replace("policies/index.toml", "bake = \"6s\"", "bake = \"120s\"");
        let arguments = ["--subsystem", "index", "--count", "2", "--yes"];
        let mut live = Terminal::open(&environment, &arguments, columns);
        let rows = live.see("bad of 60");
        let bad = rows.iter().find(|row| row.contains("index/tail")).unwrap_or_else(|| panic!("{}", rows.join("\n")));
        assert!(bad.contains(" ms  max ") && bad.contains("bad of 60"), "{bad}");
        assert!(rows.iter().any(|row| row.contains("more, all within limits")), "{}", rows.join("\n"));
        let status = Terminal::open(&environment, &["status"], columns).end();
        keeps_to(columns, &status.rows);
        // Where it does not fit on a line, its limit is on the next.
        let from = status.rows.iter().position(|row| row.starts_with("readings")).expect("readings");
        let first = one_line(&status.rows[from..(from + 2).min(status.rows.len())]);
        for part in ["readings index/tail ", "max 36 (+20% of 30)", "bad of 60"] {
            assert!(first.contains(part), "{part}: {first}");
        }
        let words = one_line(&status.rows);
        assert!(words.contains("batch 1 of 1, bakes until") && words.contains("left)"), "{}", status.rows.join("\n"));
        live.interrupt();
        live.see("reading on");
        live.interrupt();
        let ended = live.end();
        assert_eq!(ended.code, 9, "{}", ended.rows.join("\n"));
        keeps_to(columns, &ended.rows);
    }
}

/// `status --watch` is drawn again in its place, and leaves how the run ended, with its exit code.
#[test]
fn a_watched_run_is_drawn_in_its_place() {
    for columns in [80, 120] {
        let environment = TestEnvironment::new();
        Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
        environment.replace("policies/index.toml", "bake = \"6s\"", "bake = \"60s\"");
        let mut live = Terminal::open(&environment, &["--subsystem", "index", "--count", "2", "--yes"], columns);
        live.see("baking");
        let run = environment.run(&["status", "-o", "json"]).exits(0).json()["runs"][0]["run"].clone();
        let watched = Terminal::open(&environment, &["status", run.as_str().expect("an id"), "--watch"], columns);
        // Drawn at least twice: the time is another.
        let first = watched.see("baking batch 1");
        let at = |rows: &[String]| rows.iter().find(|row| row.starts_with("at ")).cloned();
        let begun = std::time::Instant::now();
        while at(&watched.screen()).is_none_or(|now| Some(now) == at(&first)) {
            assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{}", watched.screen().join("\n"));
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        environment.run(&["halt"]).exits(0);
        let ended = watched.end();
        // It would read on for the length of a bake.
        live.see("reading on");
        live.interrupt();
        assert_eq!((ended.code, live.end().code), (9, 9), "{}", ended.rows.join("\n"));
        let drawn = |word: &str| ended.rows.iter().filter(|row| row.starts_with(word)).count();
        assert_eq!((drawn("fleet "), drawn("policies ")), (1, 1), "{}", ended.rows.join("\n"));
        assert!(one_line(&ended.rows).contains("halted: 0 of 2 hosts are gone"), "{}", ended.rows.join("\n"));
        keeps_to(columns, &ended.rows);
    }
}

/// Three runs, each with more readings than the terminal has rows for: the header and what decides of each stay in sight.
/// Then it says how each ended, and ends as the first that did not end with 0.
#[test]
fn what_is_watched_fits_the_terminal_and_several_runs_each_have_their_end() {
    let environment = TestEnvironment::new();
    Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
    let probe = |n: u32| {
        format!("[[health.probe]]\nname = \"p{n:02}\"\nkind = \"simulated\"\nmetric = \"latency_ms\"\nmax = 100000\n")
    };
    let probes: String = (1..=12).map(probe).collect();
    for name in ["index", "placement", "billing"] {
        let policy = format!("policies/{name}.toml");
        environment.replace(&policy, "max = 0.01\n", &format!("max = 0.01\n{probes}"));
        environment.replace(&policy, "bake = \"6s\"", "bake = \"60s\"");
    }
    // The second and the third stand in line for the first.
    let remove = ["--subsystem", "index", "--count", "1", "--yes", "-o", "json"];
    let children: Vec<_> = (1..=3)
        .map(|runs: usize| {
            let child = environment.command(&remove).spawn().expect("it starts");
            let begun = std::time::Instant::now();
            let is_there = |run: &serde_json::Value| run["readings"].as_array().is_some_and(|of| of.len() > 12);
            while environment.run(&["status", "-o", "json"]).json()["runs"]
                .as_array()
                .is_none_or(|all| all.iter().filter(|run| is_there(run)).count() < runs)
            {
                assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{runs}");
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
            child
        })
        .collect();
    let watched = Terminal::open(&environment, &["status", "--watch"], 80);
    let at = |rows: &[String]| rows.iter().find(|row| row.starts_with("at ")).cloned();
    let mut last = None;
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        let rows = loop {
            let rows = watched.screen();
            if at(&rows).is_some()
                && at(&rows) != last
                && rows.iter().any(|row| row.contains("make the terminal higher"))
            {
                break rows;
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{}", rows.join("\n"));
            std::thread::sleep(std::time::Duration::from_millis(100));
        };
        assert!(rows[0].starts_with("fleet "), "the header is in sight:\n{}", rows.join("\n"));
        let named = rows.iter().filter(|row| row.starts_with("run ")).count();
        assert_eq!(named, 3, "{}", rows.join("\n"));
        last = at(&rows);
    }
    environment.run(&["halt", "--no-follow"]).exits(0);
    let ended = watched.end();
    let text = ended.rows.join("\n");
    assert_eq!(ended.code, 9, "{text}");
    assert_eq!(ended.rows.iter().filter(|row| row.starts_with("fleet ")).count(), 1, "drawn in place:\n{text}");
    assert_eq!(one_line(&ended.rows).matches("Exit code 9.").count(), 3, "{text}");
    for mut child in children {
        crate::removal::signal_until_it_ends(&mut child, "-TERM");
    }
}

/// Enter, Ctrl-Z and Ctrl-C while the bar is drawn: no torn row of it stays above, and what stops the run is said before
/// what the run then does.
#[test]
fn keys_pressed_during_a_run_leave_no_trace() {
    let environment = TestEnvironment::new();
    Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
    environment.replace("policies/index.toml", "bake = \"6s\"", "bake = \"60s\"");
    let mut live = Terminal::open(&environment, &["--subsystem", "index", "--count", "2", "--yes"], 80);
    live.see("baking: index-0001");
    live.type_line("");
    live.type_line("y");
    live.stop_key();
    live.see("Ctrl-Z does not stop a run");
    live.interrupt();
    live.see("reading on");
    live.interrupt();
    let ended = live.end();
    let text = ended.rows.join("\n");
    assert_eq!((ended.code, ended.echoes), (9, true), "{text}");
    for trace in ["^C", "^Z", "░", "index-0002 batch 1", "\ny\n", "\n\n\n"] {
        assert!(!text.contains(trace), "{trace:?} in\n{text}");
    }
    let said = |word: &str| ended.rows.iter().position(|row| row.contains(word)).expect(word);
    assert!(said("STOPPING: interrupted") < said("RESTORING"), "{text}");
    assert_eq!(text.matches("STOPPING").count(), 1, "{text}");
}

/// A history has reason and cause, both ends, who began and confirmed it; one host's, and only the newest.
#[test]
fn a_history_says_who_when_and_why() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let remove = |host: &str| {
        let arguments = ["--subsystem", "index", "--host", host, "--yes", "--reason", "rack 7", "-o", "json"];
        environment.run(&arguments).exits(0).json()["run"].as_str().expect("an id").to_owned()
    };
    let runs = [remove("index-0003"), remove("index-0001")];
    environment.run(&["halt", "--reason", "night"]).exits(0);
    assert_snapshot!("history_80", environment.show(&["history"]));
    let of = |arguments: &[&str]| {
        let json = environment.run(&[&["history", "-o", "json"], arguments].concat()).exits(0).json();
        let ids: Vec<String> =
            json["runs"].as_array().expect("runs").iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect();
        (ids, json["halts"].as_array().expect("halts").len(), json["more"].as_bool())
    };
    assert_eq!(of(&["--host", "index-0003"]), (vec![runs[0].clone()], 0, Some(false)));
    assert_eq!(of(&["--limit", "2"]), (vec![runs[1].clone()], 1, Some(true)));
    assert_eq!(of(&["--limit", "3"]), (vec![runs[1].clone(), runs[0].clone()], 1, Some(false)));
    assert_eq!(
        environment.run(&["history", "--host", "index-0009"]).exits(0).stdout,
        "No run that meant index-0009 has ended.\n"
    );
    // A subsystem whose policy is gone is known by its runs, also where only the fleet's order fits.
    std::fs::rename(environment.path().join("policies/index.toml"), environment.path().join("index.toml"))
        .expect("moved");
    for name in ["placement", "billing"] {
        environment.replace(&format!("policies/{name}.toml"), "depends_on = ", "depends_on = [] #");
    }
    assert_eq!(of(&["--subsystem", "index", "--limit", "1"]), (Vec::new(), 1, Some(true)));
    environment.run(&["history", "--subsystem", "indx", "--limit", "1"]).exits(3);
    std::fs::rename(environment.path().join("index.toml"), environment.path().join("policies/index.toml"))
        .expect("moved");
    assert!(environment.run(&["history", "--limit", "1"]).exits(0).stdout.contains("a higher --limit shows them"));
    let run: Value = environment.run(&["history", "-o", "json"]).exits(0).json()["runs"][0].clone();
    assert_eq!(run["confirmed"], "unattended");
}

/// Where the locale is not UTF-8 nothing else than ASCII is drawn, whatever others have named.
#[test]
fn without_utf_8_everything_is_ascii() {
    let mut environment = TestEnvironment::new();
    regression(&environment);
    environment.set("LANG", "C");
    let reason = "Größe von Zürich";
    let arguments = ["--subsystem", "index", "--count", "6", "--reason", reason];
    let mut terminal = Terminal::open(&environment, &arguments, 80);
    let asked = terminal.see("Type 6 to remove 6 hosts");
    terminal.type_line("6");
    let ended = terminal.end();
    assert_eq!(ended.code, 7, "{}", ended.rows.join("\n"));
    let mut rows = [asked, ended.rows].concat();
    let run = environment.run(&["history", "-o", "json"]).exits(0).json()["runs"][0]["run"].clone();
    let run = run.as_str().expect("an id");
    for arguments in [&["status", run][..], &["history"], &["report", run]] {
        rows.extend(Terminal::open(&environment, arguments, 80).end().rows);
    }
    environment.replace("policies/index.toml", "batch = 2", "batsch = \"größe\"");
    rows.extend(Terminal::open(&environment, &["policy", "check"], 80).end().rows);
    for row in &rows {
        assert!(row.is_ascii(), "{row}");
    }
    assert!(rows.iter().any(|row| row.contains("Gr\\u{f6}\\u{df}e von Z\\u{fc}rich")), "{}", rows.join("\n"));
    // JSON is UTF-8 whatever the locale is.
    let json = environment.run(&["history", "--subsystem", "index", "-o", "json"]);
    assert!(json.stdout.contains(reason) || json.code == Some(4), "{json:?}");
}
