//! Two servers of DynamoDB's API on free ports of 127.0.0.1 (tests/dynamodb/README.md), one of each for all tests of
//! this binary; and one that refuses everything. A server that is missing is a failed test, never a skipped one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::python;
use super::tmp;
use super::watched::{Watched, ports};

pub(crate) const REGION: &str = "us-east-1";

/// What a table keeps under one key.
pub(crate) type Item = std::collections::HashMap<String, AttributeValue>;

/// A server that runs until this process ends.
pub(crate) struct Server {
    pub(crate) url: String,
    _process: Watched,
}

/// `ministack` from PyPI: knows point-in-time recovery and deletion protection.
pub(crate) fn ministack() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let bin = python::environment("ministack", &pinned("requirements.txt"));
        let port = ports(1)[0];
        let environment = [
            ("BIND_HOST", "127.0.0.1".to_owned()),
            ("GATEWAY_PORT", port.to_string()),
            ("SERVICES", "dynamodb".to_owned()),
            ("LOG_LEVEL", "WARNING".to_owned()),
        ];
        start("ministack", port, &bin.join("ministack"), &[], &environment)
    })
}

/// `dynalite` from npm: strict about expressions; without either.
pub(crate) fn dynalite() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let port = ports(1)[0];
        let arguments = ["--host", "127.0.0.1", "--port", &port.to_string(), "--createTableMs", "0"].map(str::to_owned);
        start("dynalite", port, &npm().join("node_modules/.bin/dynalite"), &arguments, &[])
    })
}

/// What a process needs to reach [`ministack`].
pub(crate) fn environment() -> [(&'static str, String); 4] {
    [
        ("AWS_ENDPOINT_URL", ministack().url.clone()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "key".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
    ]
}

fn start(name: &str, port: u16, program: &Path, arguments: &[String], environment: &[(&str, String)]) -> Server {
    let log = tmp().join(format!("{name}.log"));
    let process = Watched::start(program, arguments, environment, &log);
    let url = format!("http://127.0.0.1:{port}");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .http_status_as_error(false)
        .build()
        .into();
    let end = Instant::now() + Duration::from_secs(60);
    while agent.get(&url).call().is_err() {
        assert!(Instant::now() < end, "{name} does not answer: {}", fs::read_to_string(&log).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(50));
    }
    Server { url, _process: process }
}

fn pinned(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dynamodb").join(file)
}

/// A directory that has what package-lock.json pins, made if need be.
fn npm() -> PathBuf {
    let files = [pinned("package.json"), pinned("package-lock.json")];
    let home = tmp().join(format!("dynalite-{}", python::digest_of(&[&files[0], &files[1]])));
    let complete = home.join("complete");
    let lock = File::create(tmp().join("dynalite.lock")).expect("a lock below target/");
    lock.lock().expect("the lock of dynalite");
    if !complete.exists() {
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).expect("a directory below target/");
        for file in &files {
            fs::copy(file, home.join(file.file_name().expect("a name"))).expect("a copy below target/");
        }
        let hint = "the tests of the ledger in DynamoDB need Node.js with npm (as root: `apt-get install nodejs npm`), \
                    and the npm registry for the first run";
        let mut command = Command::new("npm");
        command.current_dir(&home).args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
        let Output { status, stderr, .. } =
            command.output().unwrap_or_else(|error| panic!("cannot run npm: {error} ({hint})"));
        assert!(status.success(), "cannot install dynalite: {} ({hint})", String::from_utf8_lossy(&stderr));
        File::create(&complete).expect("a mark below target/");
    }
    home
}

/// How a server is spoken to; any key will do.
pub(crate) async fn sdk(url: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .load()
        .await
}

/// All that a table of [`ministack`] holds.
pub(crate) fn items(table: &str) -> Vec<Item> {
    blocking(async |client| client.scan().table_name(table).send().await.expect("scanned").items.unwrap_or_default())
}

/// Makes a table what it was: with these items, and no others. A run may write while this goes on: what it adds goes too.
pub(crate) fn put_items_back(table: &str, backup: Vec<Item>) {
    let key = |item: &Item| ["pk", "sk"].map(|name| (name.to_owned(), item[name].clone()));
    let kept: Vec<_> = backup.iter().map(key).collect();
    blocking(async |client| {
        // In this order there is a record at every moment.
        for item in backup {
            client.put_item().table_name(table).set_item(Some(item)).send().await.expect("put");
        }
    });
    for _ in 0..20 {
        let mut added = items(table);
        added.retain(|item| !kept.contains(&key(item)));
        if added.is_empty() {
            return;
        }
        blocking(async |client| {
            for item in added {
                client.delete_item().table_name(table).set_key(Some(key(&item).into())).send().await.expect("deleted");
            }
        });
        // A write that was under way has arrived before the table is looked at again.
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("somebody goes on writing to {table}");
}

fn blocking<T>(work: impl AsyncFnOnce(Client) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { work(Client::new(&sdk(&ministack().url).await)).await })
}

/// The address of a server that answers every call with this error. It ends with the runtime of its test.
pub(crate) async fn refusing(status: u16, code: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let body = format!("{{\"__type\":\"com.amazonaws.dynamodb.v20120810#{code}\",\"message\":\"no\"}}");
                let answer = format!(
                    "HTTP/1.1 {status} No\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\
                     connection: close\r\n\r\n{body}",
                    body.len()
                );
                let mut request = [0; 16 << 10];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}
