//! Kind `prometheus`, on a real server that scrapes a page of the test's.

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::support::page::{Answer, Page};
use crate::support::prometheus::Prometheus;

use super::{Shows, add_probe, is_out, state, story};

#[test]
fn s2_s3_a_number_of_prometheus_in_a_removal() {
    for (shows, why) in [
        (Shows::Good, ""),
        (Shows::Bad, "read 9, above its limit max = 5"),
        // The meter dies: its series is gone, and 0 is not read in its place.
        (Shows::Nothing, "the query answers with no sample"),
    ] {
        let environment = TestEnvironment::new();
        Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
        let directory = state(&environment);
        let page = Page::new(move |_| {
            let number = match (is_out(&directory), shows) {
                (false, _) | (true, Shows::Good) => 4,
                (true, Shows::Bad) => 9,
                (true, Shows::Nothing) => return None,
            };
            let body = format!("# TYPE load gauge\nload{{host=\"a\"}} {number}\nload{{host=\"b\"}} {number}\n");
            Some(Answer { status: 200, headers: "Content-Type: text/plain; version=0.0.4\r\n".to_owned(), body })
        });
        let server = Prometheus::scraping(&page.address);
        add_probe(
            &environment,
            &format!(
                "name = \"page\"\nkind = \"prometheus\"\nurl = \"{}\"\nquery = \"max(load)\"\nmax = 5\n",
                server.url
            ),
        );
        story(&environment, shows, why);
        if shows == Shows::Good {
            for (query, why) in [
                ("load", "the query answers with 2 samples: one is wanted"),
                ("load[5s]", "the query answers with a range of samples, not one"),
                ("max(", "bad_data: "),
                ("vector(0) / 0", "read NaN, not a finite number"),
            ] {
                let path = "policies/index.toml";
                let policy = std::fs::read_to_string(environment.path().join(path)).expect("a policy");
                environment.write(path, &policy.replace("max(load)", query));
                let ran = environment.run(&["policy", "check", "--probe"]).exits(5);
                let told = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(told.contains(why), "{query}: {told}");
                environment.write(path, &policy);
            }
        }
    }
}

/// Two counts are two queries, and the limit is a share of their reference.
#[test]
fn s2_s3_a_share_of_prometheus_in_a_removal() {
    for (shows, why) in [
        (Shows::Good, ""),
        (Shows::Bad, "(max_increase = 60% of its reference 0.02)"),
        (Shows::Nothing, "the query answers with no sample"),
    ] {
        let environment = TestEnvironment::new();
        Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
        let directory = state(&environment);
        let page = Page::new(move |_| {
            let failed = match (is_out(&directory), shows) {
                (false, _) | (true, Shows::Good) => "failed 200\n",
                (true, Shows::Bad) => "failed 450\n",
                (true, Shows::Nothing) => "",
            };
            let body = format!("# TYPE failed gauge\n{failed}# TYPE served gauge\nserved 10000\n");
            Some(Answer { status: 200, headers: "Content-Type: text/plain; version=0.0.4\r\n".to_owned(), body })
        });
        let server = Prometheus::scraping(&page.address);
        add_probe(
            &environment,
            &format!(
                "name = \"page\"\nkind = \"prometheus\"\nurl = \"{}\"\nevents = \"failed\"\nof = \"served\"\n\
                 max_increase = \"60%\"\n",
                server.url
            ),
        );
        story(&environment, shows, why);
    }
}
