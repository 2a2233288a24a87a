//! A relative limit without `failures`: the samples of the whole bake are tested, and a removal ends as they show.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::removal::cordoned;
use crate::support::page::{Answer, Page};

use super::{is_out, state, with_probe};

/// Noise of about 1, the same each time.
const NOISE: [f64; 13] = [0.3, -1.1, 0.8, -0.2, 1.4, -0.7, 0.1, -1.5, 1.0, 0.5, -0.4, 1.2, -0.9];

/// A page of 100, give or take `noise`, to which this is added while hosts are out: by the number of the sample since.
/// `None` is no answer.
struct Meter {
    environment: TestEnvironment,
    _page: Page,
}

impl Meter {
    fn new(noise: f64, added: impl Fn(usize) -> Option<f64> + Send + Sync + 'static) -> Self {
        let environment = with_probe("");
        let (directory, asked, since) = (state(&environment), AtomicUsize::new(0), AtomicUsize::new(0));
        let page = Page::new(move |_| {
            let place = asked.fetch_add(1, Ordering::SeqCst);
            let number = 100.0 + noise * NOISE[place % NOISE.len()];
            let more = if is_out(&directory) { added(since.fetch_add(1, Ordering::SeqCst)) } else { Some(0.0) };
            more.and_then(|more| Answer::json(format!("{{\"ms\": {}}}", number + more)))
        });
        let url = format!("http://{}/", page.address);
        let probe =
            format!("name = \"page\"\nkind = \"http\"\nurl = \"{url}\"\npointer = \"/ms\"\nmax_increase = \"20%\"\n");
        environment.replace("policies/index.toml", "[[health.probe]]\n\n", &format!("[[health.probe]]\n{probe}"));
        Self { environment, _page: page }
    }

    #[track_caller]
    fn removal(&self, code: i32) -> Value {
        let command = ["--subsystem", "index", "--count", "2", "--yes", "-o", "json"];
        let run = self.environment.run(&command).exits(code).json();
        assert_eq!(cordoned(self.environment.path()), 0);
        run
    }

    #[track_caller]
    fn aborts(&self, kind: &str) -> String {
        let run = self.removal(7);
        assert_eq!((&run["cause"]["kind"], &run["cause"]["probe"]), (&kind.into(), &"index/page".into()), "{run:#}");
        assert_eq!((len(&run["terminated"]), len(&run["restored"])), (0, 2), "{run:#}");
        run["cause"]["message"].as_str().expect("a message").to_owned()
    }

    /// The events of a run's journal.
    fn journal(&self, run: &Value) -> Vec<Value> {
        let run = run["run"].as_str().expect("an id");
        let export = self.environment.run(&["ledger", "export"]).exits(0).json();
        export["journals"][run].as_array().expect("a journal").clone()
    }
}

fn len(of: &Value) -> usize {
    of.as_array().expect("a list").len()
}

fn of_kind<'a>(journal: &'a [Value], event: &str) -> Vec<&'a Value> {
    journal.iter().filter(|line| line["event"] == event).collect()
}

#[test]
fn s2_noise_below_the_limit_ends_no_run_and_a_reference_has_ten_samples() {
    let meter = Meter::new(2.0, |_| Some(5.0));
    let run = meter.removal(0);
    assert_eq!(len(&run["terminated"]), 2, "{run:#}");
    let journal = meter.journal(&run);
    let [taken] = of_kind(&journal, "reference-taken")[..] else { panic!("{journal:#?}") };
    assert_eq!(len(&taken["reference"]["index/page"]), 10, "{taken:#}");
    assert_eq!(taken["limits"]["index/page"].get("failures"), None, "no number of samples ends it: {taken:#}");
}

/// One and a half times the limit, with noise.
#[test]
fn s2_harm_behind_the_limit_is_a_regression_in_three_samples() {
    let message = Meter::new(2.0, |_| Some(40.0)).aborts("probe");
    assert!(message.contains("in the mean of its last 3 samples, above 1"), "{message}");
    assert!(message.contains("(max_increase = 20% of its reference "), "{message}");
}

/// Half of the limit is passed when the shortest bake would be over.
#[test]
fn s2_a_slow_creep_is_a_regression() {
    let message = Meter::new(1.0, |sample| Some(3.0 * sample as f64)).aborts("probe");
    assert!(message.contains("in the mean of its last "), "{message}");
}

#[test]
fn s2_one_spike_ends_no_run_and_no_bake_ends_with_one() {
    let meter = Meter::new(2.0, |sample| Some(if sample == 6 { 900.0 } else { 0.0 }));
    let run = meter.removal(0);
    assert_eq!(len(&run["terminated"]), 2, "{run:#}");
    let journal = meter.journal(&run);
    let read = |line: &&Value| line["readings"]["index/page"]["value"].as_f64().is_some_and(|value| value > 900.0);
    let spike = of_kind(&journal, "sampled").into_iter().find(read).expect("it is in the journal");
    assert_eq!(spike["readings"]["index/page"]["good"], false, "{spike:#}");
}

/// A meter that answers no more is bad news (S3), and one lost answer is none.
#[test]
fn s3_a_dead_meter_is_a_regression_and_a_lost_answer_is_not() {
    let message = Meter::new(2.0, |_| None).aborts("probe");
    assert!(message.contains("GET http://127.0.0.1") && message.ends_with("(3 times in a row)"), "{message}");
    let lost = Meter::new(2.0, |sample| (sample != 2).then_some(0.0));
    assert_eq!(len(&lost.removal(0)["terminated"]), 2);
}

/// One of three servers behind the balancer fails, by its numbers or by its answers.
#[test]
fn s3_harm_of_every_third_sample_and_two_of_three_answers_lost_end_no_bake_as_clean() {
    let message = Meter::new(2.0, |sample| Some(if sample % 3 == 1 { 9_800.0 } else { 0.0 })).aborts("inconclusive");
    assert!(message.contains("is not shown to be within"), "{message}");
    let message = Meter::new(2.0, |sample| (sample % 3 == 2).then_some(0.0)).aborts("inconclusive");
    assert!(message.contains("could not be read in ") && message.contains(" of "), "{message}");
}

/// What is at its limit cannot be shown to be on either side of it.
#[test]
fn s2_what_shows_neither_harm_nor_its_absence_is_put_back_as_inconclusive() {
    let meter = Meter::new(4.0, |_| Some(19.0));
    let run = meter.removal(7);
    assert_eq!((&run["cause"]["kind"], &run["cause"]["probe"]), (&"inconclusive".into(), &"index/page".into()));
    assert_eq!((len(&run["terminated"]), len(&run["restored"])), (0, 2), "{run:#}");
    let message = run["cause"]["message"].as_str().expect("a message");
    assert!(message.contains("the longest bake is over, and probe index/page is not shown to be within "), "{message}");
    assert!(message.contains(", give or take "), "{message}");
    let journal = meter.journal(&run);
    let [extended] = of_kind(&journal, "bake-extended")[..] else { panic!("{journal:#?}") };
    assert!(extended["why"].as_str().is_some_and(|why| why.contains("not shown to be within")), "{extended:#}");
    // `bake_max` is three times 1m: 19 samples, and the one that was under way when the hosts came back.
    let id = run["run"].as_str().expect("an id");
    let text = meter.environment.run(&["report", id]).exits(0).stdout;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("aborted because its bake showed neither harm nor that there is none"), "{text}");
}

#[test]
fn s2_a_reference_too_noisy_for_its_limit_refuses_before_anything_is_touched() {
    let meter = Meter::new(25.0, |_| Some(0.0));
    let plan = meter.removal(3);
    assert_eq!(plan["violations"][0]["rule"], "too-noisy", "{plan:#}");
    let message = plan["violations"][0]["message"].as_str().expect("a message");
    for part in
        ["probe index/page varies by ", "(standard deviation of 10 samples", "a bake of at most 3m", "what would do: "]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(meter.environment.run(&["history", "-o", "json"]).json()["runs"][0]["outcome"], "not-started");
}

/// `failures` asks for the comparison, and an outlier among its three samples moves no limit.
#[test]
fn with_failures_each_sample_is_compared_with_the_median_of_three() {
    let meter = Meter::new(2.0, |_| Some(40.0));
    meter.environment.replace("policies/index.toml", "max_increase = \"20%\"", "max_increase = \"20%\"\nfailures = 2");
    let message = meter.aborts("probe");
    assert!(message.contains("read 1") && message.ends_with("(2 times in a row)"), "{message}");
}

/// The requests that were served and that failed in the last minute, by a page: 2% of about 10,000, and while hosts are out
/// so many times that.
fn counts(factor: f64) -> Meter {
    let environment = with_probe("");
    let (directory, asked) = (state(&environment), AtomicUsize::new(0));
    let page = Page::new(move |_| {
        let noise = NOISE[asked.fetch_add(1, Ordering::SeqCst) % NOISE.len()];
        let (failed, all) = (200.0 + 14.0 * noise, 10_000.0 - 700.0 * noise);
        let failed = if is_out(&directory) { failed * factor } else { failed };
        Answer::json(format!("{{\"failed\": {}, \"all\": {}}}", failed.round(), all.round()))
    });
    let probe = format!(
        "name = \"page\"\nkind = \"http\"\nurl = \"http://{}/\"\nevents = \"/failed\"\nof = \"/all\"\nmax_increase = \"60%\"\n",
        page.address
    );
    environment.replace("policies/index.toml", "[[health.probe]]\n\n", &format!("[[health.probe]]\n{probe}"));
    Meter { environment, _page: page }
}

#[test]
fn s2_shares_of_noise_end_no_run_and_their_counts_are_in_the_journal() {
    let meter = counts(1.0);
    let run = meter.removal(0);
    assert_eq!(len(&run["terminated"]), 2, "{run:#}");
    let journal = meter.journal(&run);
    let [taken] = of_kind(&journal, "reference-taken")[..] else { panic!("{journal:#?}") };
    let counts = &taken["reference"]["index/page"][0];
    let (failed, all) = (counts[0].as_f64().expect("a count"), counts[1].as_f64().expect("a count"));
    assert!((150.0..250.0).contains(&failed) && (8_000.0..12_000.0).contains(&all), "{taken:#}");
    let of_all = taken["limits"]["index/page"]["reference"].as_f64().expect("a share");
    assert!((0.019..0.021).contains(&of_all), "{taken:#}");
    let shown = meter.environment.run(&["policy", "check"]).exits(0).stdout;
    assert!(shown.contains("a test for proportions shows whether"), "{shown}");
}

/// Twice the limit.
#[test]
fn s2_a_share_behind_its_limit_is_a_regression() {
    let meter = counts(2.2);
    let message = meter.aborts("probe");
    assert!(message.contains(" samples together, above 0.03") && message.contains("reads 0.04"), "{message}");
    assert!(message.contains("(max_increase = 60% of its reference 0.0"), "{message}");
}

#[test]
fn policy_check_says_which_judge_each_probe_has() {
    let meter = Meter::new(0.0, |_| Some(0.0));
    let shown = meter.environment.run(&["policy", "check"]).exits(0).stdout;
    assert!(shown.contains("index/page") && shown.contains("a test shows whether"), "{shown}");
    let document = meter.environment.run(&["policy", "check", "-o", "json"]).exits(0).json();
    let judges = document["result"]["probes"].as_array().expect("a list");
    let judge = |name: &str| judges.iter().find(|judge| judge["probe"] == name).expect("a probe")["judge"].clone();
    assert_eq!((judge("index/page"), judge("index/errors")), ("test".into(), "comparison".into()));
}
