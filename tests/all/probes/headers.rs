//! What a probe must show to whom it asks, and nobody else may see.

use crate::environment::TestEnvironment;
use crate::support::page::{Answer, Page};

use super::{Shows, story, with_probe};

/// A page that answers only those who know the password.
fn guarded(value: &'static str) -> Page {
    Page::new(move |head| {
        let is_known = head.to_lowercase().contains(&format!("authorization: {}\r\n", value.to_lowercase()));
        if is_known { Answer::json(r#"{"load": 4}"#) } else { Answer::json(format!("{head:?}")) }
    })
}

fn with_header(page: &Page, header: &str) -> TestEnvironment {
    with_probe(&format!(
        "name = \"page\"\nkind = \"http\"\nurl = \"http://{}/health?key=hunter2\"\npointer = \"/load\"\nmax = 5\n\
         headers = {{ Authorization = {header} }}\n",
        page.address
    ))
}

/// [`policy show` printed a password from a URL]
#[test]
fn a_password_is_shown_to_the_server_alone() {
    let page = guarded("Bearer hunter2");
    for header in
        ["\"Bearer hunter2\"", "{ file = \"token\", scheme = \"Bearer\" }", "{ env = \"TOKEN\", scheme = \"Bearer\" }"]
    {
        let mut environment = with_header(&page, header);
        environment.set("TOKEN", "hunter2");
        environment.write("policies/token", "hunter2\n");
        let run = story(&environment, Shows::Good, "");
        let run = run["run"].as_str().expect("an id").to_owned();
        for arguments in [
            &["policy", "show"][..],
            &["policy", "show", "-o", "json"],
            &["policy", "check", "--probe", "-o", "json"],
            &["plan", "--subsystem", "index", "--count", "2", "-o", "json"],
            &["status", "-o", "json"],
            &["history", "-o", "json"],
            &["report", run.as_str(), "-o", "json"],
            &["ledger", "export"],
        ] {
            let ran = environment.run(arguments).exits(0);
            assert!(!ran.stdout.is_empty(), "{arguments:?}");
            assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("hunter2"), "{arguments:?}: {}", ran.stdout);
        }
        for kept in ["ledger.db", "ledger.db-wal"] {
            let kept = std::fs::read(environment.path().join("state").join(kept)).unwrap_or_default();
            assert!(!kept.windows(7).any(|part| part == b"hunter2"), "the ledger keeps it");
        }
        // Another token is another policy, where it is written in it.
        environment.replace("policies/index.toml", "key=hunter2", "key=hunter3");
        let refused = environment.run(&["plan", "--subsystem", "index", "--count", "2"]).exits(3);
        assert!(refused.stdout.contains("policy-loosened") && !refused.stdout.contains("hunter"), "{}", refused.stdout);
    }
}

#[test]
fn what_a_server_quotes_of_a_password_is_hidden() {
    let page = Page::new(|head| {
        let sent = head.lines().find_map(|line| line.to_lowercase().strip_prefix("authorization: ").map(str::to_owned));
        Some(Answer {
            status: 200,
            headers: format!("Content-Type: {}\r\n", sent.unwrap_or_default()),
            body: "{}".into(),
        })
    });
    let environment = with_header(&page, "{ file = \"token\", scheme = \"Bearer\" }");
    environment.write("policies/token", "hunter2\n");
    let refused = environment.run(&["plan", "--subsystem", "index", "--count", "2"]).exits(3);
    let told = format!("{}{}", refused.stdout, refused.stderr);
    assert!(told.contains("(hidden)") && !told.contains("hunter2"), "{told}");
}

/// Nothing is wrong with the subsystem: this machine cannot ask.
#[test]
fn a_header_whose_file_or_variable_is_missing_is_exit_5() {
    let page = guarded("Bearer hunter2");
    for (header, why) in [
        ("{ file = \"token\" }", "policies/token cannot be read: No such file or directory"),
        ("{ env = \"TOKEN\" }", "the variable TOKEN is not set"),
    ] {
        let environment = with_header(&page, header);
        for arguments in [
            &["plan", "--subsystem", "index", "--count", "2"][..],
            &["--subsystem", "index", "--count", "2", "--yes"],
            &["headroom"],
            &["policy", "check", "--probe"],
        ] {
            let ran = environment.run(arguments).exits(5);
            assert!(ran.stderr.contains(why) && ran.stderr.contains("index/page"), "{}", ran.stderr);
        }
        assert_eq!(environment.run(&["history", "-o", "json"]).exits(0).json()["runs"], serde_json::json!([]));
    }
}

/// An error of a policy is drawn with the lines beside it.
#[test]
fn an_error_of_a_policy_draws_no_secret() {
    let environment = with_probe(
        "name = \"page\"\nkind = \"http\"\nurl = \"http://me:hunter2@127.0.0.1/?key=hunter2\"\npointr = \"/a\"\n\
         headers = { Authorization = \"Bearer hunter2\", Host = \"hunter2\" }\n",
    );
    let path = "policies/index.toml";
    let whole = std::fs::read_to_string(environment.path().join(path)).expect("a policy");
    for (from, to) in [
        ("", ""),
        ("\"Bearer hunter2\"", "\"Bearer hunter2"),
        ("{ Authorization = \"Bearer hunter2\", Host = \"hunter2\" }", "\"hunter2\""),
        ("\"Bearer hunter2\"", "{ fle = \"hunter2\" }"),
        ("\"Bearer hunter2\"", "\"Bearer\\nhunter2\""),
        ("me:hunter2", "me:hun ter2 hunter2"),
        ("kind = \"http\"", "kind = \"tcp\""),
    ] {
        environment.write(path, &whole.replace(from, to));
        for arguments in [&["policy", "check"][..], &["policy", "check", "-o", "json"], &["policy", "show"]] {
            let ran = environment.run(arguments).exits(4);
            assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("hunter2"), "{to}: {}{}", ran.stdout, ran.stderr);
        }
    }
}

/// The HTTP client writes down what it sends where it is asked for everything.
#[test]
fn the_finest_log_has_no_secret() {
    let page = guarded("Bearer hunter2");
    let mut environment = with_header(&page, "{ file = \"token\", scheme = \"Bearer\" }");
    environment.write("policies/token", "hunter2\n");
    for level in ["", "trace", "ureq=trace,ureq_proto=trace"] {
        environment.set("SAFE_REMOVE_LOG", level);
        let ran = environment.run(&["policy", "check", "--probe", "-vvv"]).exits(0);
        assert!(!ran.stderr.contains("hunter2") && !ran.stderr.contains("68 75 6e 74"), "{level}: {}", ran.stderr);
        assert!(!ran.stderr.contains("earer"), "{level}: {}", ran.stderr);
    }
}
