//! A real Prometheus on a free port of 127.0.0.1, from Debian's package, that scrapes a page of the test's every second.
//! It ends with its test.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::debian::Packages;
use super::tmp;
use super::watched::{Watched, ports};

const PROMETHEUS: Packages = Packages {
    home: "prometheus",
    names: &["prometheus"],
    hint: "the tests of Prometheus probes need Prometheus: as root, `apt-get install prometheus`, or put `prometheus` on PATH. \
           Without root they unpack Debian's package themselves, which needs apt-get, dpkg-deb and Debian's mirror for the \
           first run",
};

pub(crate) struct Prometheus {
    pub(crate) url: String,
    _server: Watched,
    _directory: TempDir,
}

impl Prometheus {
    /// Waits until the server has scraped the page at this address.
    pub(crate) fn scraping(target: &str) -> Self {
        let directory = tempfile::tempdir_in(tmp()).expect("a directory below target/");
        let config = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n  - job_name: page\n    static_configs: \
             [{{ targets: ['{target}'] }}]\n"
        );
        std::fs::write(&config, text).expect("a file");
        let address = format!("127.0.0.1:{}", ports(1)[0]);
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", directory.path().join("data").display()),
            format!("--web.listen-address={address}"),
        ];
        let log = directory.path().join("log");
        let server = Watched::start(&program(), &arguments, &[], &log);
        let prometheus = Self { url: format!("http://{address}"), _server: server, _directory: directory };
        let end = Instant::now() + Duration::from_secs(60);
        while !prometheus.answers("up == 1").is_some_and(|answer| answer.contains("\"value\"")) {
            let told = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < end, "Prometheus has not scraped the page in a minute:\n{}", told());
            std::thread::sleep(Duration::from_millis(100));
        }
        prometheus
    }

    fn answers(&self, query: &str) -> Option<String> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().into();
        let mut answer = agent.post(format!("{}/api/v1/query", self.url)).send_form([("query", query)]).ok()?;
        answer.body_mut().read_to_string().ok()
    }
}

fn program() -> PathBuf {
    if Command::new("prometheus").arg("--version").output().is_ok_and(|answer| answer.status.success()) {
        return PathBuf::from("prometheus");
    }
    PROMETHEUS.unpacked().join("usr/bin/prometheus")
}
