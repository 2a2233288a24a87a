//! `safe-remove report`: the same story as text, Markdown, document and page, and the page in a real browser.

use std::path::PathBuf;

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::support::chromium::{photograph, print, render};
use crate::support::tmp;

/// Where the reports stay, for people to look at.
fn reports() -> PathBuf {
    let directory = tmp().join("reports");
    std::fs::create_dir_all(&directory).expect("a directory below target/");
    directory
}

/// Writes the report of a run in every form, and gives text and page.
fn written(environment: &TestEnvironment, run: &str, name: &str) -> (String, PathBuf) {
    let page = reports().join(format!("{name}.html"));
    let path = page.to_str().expect("a path");
    environment.run(&["report", run, "--html", path]).exits(0);
    let markdown = environment.run(&["report", run, "--markdown"]).exits(0).stdout;
    std::fs::write(page.with_extension("md"), &markdown).expect("a file");
    let text = environment.run(&["report", run]).exits(0).stdout;
    std::fs::write(page.with_extension("txt"), &text).expect("a file");
    (text, page)
}

/// Six hosts in batches of two; demand grows eightfold in the second bake.
fn aborted(environment: &TestEnvironment) -> Value {
    let events = "[[events]]\nat = \"260s\"\ndemand = { subsystem = \"index\", factor = 8.0 }\n";
    Fleet { index_minimum: 12, events: events.to_owned(), ..Fleet::default() }.write(environment);
    let args = ["--subsystem", "index", "--count", "6", "--yes", "-o", "json", "--reason", "decommission of rack 7"];
    environment.run(&args).exits(7).json()
}

/// The same story everywhere.
#[test]
fn the_report_of_an_aborted_run_says_why_in_every_form() {
    let environment = TestEnvironment::new();
    let run = aborted(&environment);
    let id = run["run"].as_str().expect("an id");
    assert_eq!(run["recovery"]["state"], "still-bad", "demand stays: {run:#}");
    let (text, page) = written(&environment, id, "aborted");
    let document = environment.run(&["report", id, "-o", "json"]).exits(0).json();
    assert_eq!((&document["schema"], &document["under_way"]), (&"safe-remove/report/v1".into(), &false.into()));
    assert_eq!(document["run"]["cause"], run["cause"]);
    let index = &document["readings"][0];
    assert_eq!(index["probe"], run["cause"]["probe"], "the one that was bad comes first");
    let is_measured = |point: &Value| point["good"] == false && point["value"] == run["cause"]["measured"];
    assert!(index["points"].as_array().expect("points").iter().any(is_measured), "{index:#}");
    assert_eq!(document["refused"].as_array().expect("a list").len(), 1);
    // Placement needs index: nothing of it goes, and it is watched.
    let placement = document["capacity"].as_array().expect("series").iter().find(|of| of["subsystem"] == "placement");
    let placement = placement.unwrap_or_else(|| panic!("what is watched is missing: {:#}", document["capacity"]));
    let of_plan = document["plan"]["subsystems"].as_array().expect("subsystems");
    assert!(of_plan.iter().all(|of| of["name"] != "placement"), "it is only watched");
    assert_eq!((&placement["minimum"], &placement["points"][0][1]), (&11.into(), &12.into()), "{placement:#}");
    assert_eq!(document["kept"].as_array().expect("hosts").len(), 4);
    let shown = render(&page);
    for form in [&text, &environment.run(&["report", id, "--markdown"]).stdout, &shown.dom] {
        assert!(form.contains("placement"), "{form}");
        for words in ["aborted", "What it refused (1)", "was not the cause", "decommission of rack 7", "index-"] {
            assert!(form.contains(words), "{words} is missing:\n{form}");
        }
        for blame in ["fault of", "mistake", "careless", "failed to"] {
            assert!(!form.contains(blame), "{blame}:\n{form}");
        }
    }
    assert_eq!(shown.console, Vec::<String>::new());
    // Bands, a panel for each subsystem and probe, marks: drawn, and not only there.
    assert!(shown.dom.matches("class=\"band\"").count() == 2, "two batches were out");
    let panels = shown.dom.matches("class=\"plot\"").count();
    let wanted =
        document["capacity"].as_array().expect("series").len() + document["readings"].as_array().expect("series").len();
    assert_eq!(panels, wanted.min(12));
    assert!(shown.dom.contains("class=\"bad\"") && shown.dom.contains("class=\"minimum\""));
    photograph(&page, &page.with_extension("png"), (1000, 2400), false);
    photograph(&page, &reports().join("aborted-dark.png"), (1000, 2400), true);
    print(&page, &page.with_extension("pdf"));
}

/// s3-2017: what billing could spare alone is refused; what all can spare goes.
#[test]
fn the_report_of_s3_2017_has_the_capacity_that_was_left() {
    let environment = TestEnvironment::new();
    Fleet::default().write(&environment);
    environment.run(&["--subsystem", "billing", "--count", "20", "--yes", "-o", "json"]).exits(3);
    let run = environment.run(&["--subsystem", "billing", "--count", "15", "--yes", "-o", "json"]).exits(0).json();
    let id = run["run"].as_str().expect("an id");
    let (text, page) = written(&environment, id, "s3-2017");
    let document = environment.run(&["report", id, "-o", "json"]).exits(0).json();
    let lowest = |series: &Value| {
        let units = series["points"].as_array().expect("points").iter().filter_map(|point| point[1].as_u64());
        (series["subsystem"].as_str().expect("a name").to_owned(), units.min())
    };
    let lowest: std::collections::BTreeMap<_, _> =
        document["capacity"].as_array().expect("series").iter().map(lowest).collect();
    assert_eq!((lowest["index"], lowest["placement"]), (Some(16), Some(11)));
    assert!(text.contains("It refused nothing in this run."), "{text}");
    let shown = render(&page);
    assert_eq!(shown.console, Vec::<String>::new());
    assert!(shown.dom.contains("lowest 16, minimum 16"), "{}", shown.dom);
    photograph(&page, &page.with_extension("png"), (1000, 2400), false);
    print(&page, &page.with_extension("pdf"));
}

#[test]
fn hostile_names_are_text_in_a_real_browser() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment.replace(
        "policies/scenario.toml",
        "zones = [\"a\", \"b\", \"c\"]",
        "zones = [\"<img src=x onerror=console.error(1)>\", \"b\", \"c\"]",
    );
    let reason = "</style><script>console.error('run')</script> \u{202e}|*[x](javascript:alert(1))";
    let run = environment
        .run(&["--subsystem", "index", "--count", "2", "--yes", "-o", "json", "--reason", reason])
        .exits(0)
        .json();
    let (_, page) = written(&environment, run["run"].as_str().expect("an id"), "hostile");
    let shown = render(&page);
    assert_eq!(shown.console, Vec::<String>::new());
    assert!(!shown.dom.contains("<script") && !shown.dom.contains("<img"), "{}", shown.dom);
    assert!(shown.dom.contains("&lt;script&gt;console.error"), "{}", shown.dom);
    assert!(!shown.dom.contains('\u{202e}') && shown.dom.contains("\\u{202e}"));
    let markdown = std::fs::read_to_string(page.with_extension("md")).expect("a file");
    assert!(markdown.contains("\\<script\\>") && !markdown.contains("[x]("), "{markdown}");
    // The test would see a script that runs: the same browser says so of this page.
    let open = reports().join("open.html");
    std::fs::write(&open, "<script>console.error('ran')</script>").expect("a file");
    assert_eq!(render(&open).console.len(), 1);
}

#[cfg(debug_assertions)]
#[test]
fn a_run_under_way_has_a_report_too() {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment.set("SAFE_REMOVE_FAULT", "kill:before-send-terminate");
    environment.run(&["--subsystem", "index", "--count", "2", "--yes"]);
    environment.set("SAFE_REMOVE_FAULT", "");
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    let id = status["runs"][0]["run"].as_str().expect("a run").to_owned();
    assert!(status["runs"][0]["readings"][0]["value"].is_number(), "{status:#}");
    let document = environment.run(&["report", &id, "-o", "json"]).exits(0).json();
    assert_eq!((&document["under_way"], &document["kept"]), (&true.into(), &Value::Array(Vec::new())));
    let text = environment.run(&["report", &id]).exits(0).stdout;
    assert!(text.contains("is under way"), "{text}");
    let slip = environment.run(&["report", "r-000000000000"]).exits(3);
    assert!(slip.stderr.contains("there is no run"), "{}", slip.stderr);
}
