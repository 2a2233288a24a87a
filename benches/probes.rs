//! A sample of 30 probes, in time and requests: `policy check --probe` reads every probe once, as a round of a run does.
//!
//! `cargo bench --no-default-features --bench probes`. The server is in this process and answers after the pause in the row.
//! Of CloudWatch, the calls are counted by `tests/all/aws/probes.rs`.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const PROBES: usize = 30;
const ROUNDS: usize = 9;

/// A server for both kinds that ask by HTTP, and how often it was asked.
fn server(pause: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(pause);
                answer(&stream);
            });
        }
    });
    (address, asked)
}

fn answer(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        line.clear();
    }
    // A connection that is closed with a body unread is reset.
    reader.read_exact(&mut vec![0; length]).expect("the body of a query");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let body =
        format!(r#"{{"status": "success", "value": 4, "data": {{"resultType": "scalar", "result": [{now}, "4"]}}}}"#);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length";
    let mut writer = stream;
    // Whoever has hung up does not read it.
    let _ = write!(writer, "{head}: {}\r\n\r\n{body}", body.len());
}

/// The probes of one kind, in the shipped fleet.
fn policies(directory: &Path, probe: &str) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for name in ["fleet.toml", "scenario.toml", "index.toml"] {
        let text = std::fs::read_to_string(shipped.join(name)).expect("it is shipped");
        let text = if name == "index.toml" { with_probes(&text, probe) } else { text };
        std::fs::write(directory.join(name), text).expect("a file");
    }
}

fn with_probes(text: &str, probe: &str) -> String {
    let (before, rest) = text.split_once("[[health.probe]]").expect("probes");
    let (_, behind) = rest.split_once("[confirm]").expect("what follows them");
    let probes: String = (0..PROBES).map(|n| format!("[[health.probe]]\nname = \"p{n}\"\n{probe}max = 5\n")).collect();
    format!("{before}{probes}[confirm]{behind}").replace("depends_on", "# depends_on")
}

fn median(mut of: Vec<Duration>) -> u128 {
    of.sort_unstable();
    of[of.len() / 2].as_millis()
}

fn main() {
    println!("| {PROBES} probes | requests | without | of 20 ms each | of 200 ms each |");
    println!("| --- | --- | --- | --- | --- |");
    for kind in ["http", "prometheus", "exec"] {
        let mut requests = 0;
        let times = [0, 20, 200].map(|pause| {
            let (address, asked) = server(Duration::from_millis(pause));
            let probe = match kind {
                "http" => format!("kind = \"http\"\nurl = \"http://{address}/\"\npointer = \"/value\"\n"),
                "prometheus" => format!("kind = \"prometheus\"\nurl = \"http://{address}\"\nquery = \"x\"\n"),
                _ => format!("kind = \"exec\"\ncommand = [\"sh\", \"-c\", \"sleep {}; echo 4\"]\n", pause as f64 / 1e3),
            };
            let folder = tempfile::tempdir().expect("a folder");
            let directory = folder.path().join("policies");
            std::fs::create_dir(&directory).expect("a folder");
            policies(&directory, &probe);
            let round = || {
                let begun = Instant::now();
                let output = Command::new(env!("CARGO_BIN_EXE_safe-remove"))
                    .args(["--policies", &directory.display().to_string(), "policy", "check", "--probe"])
                    .output()
                    .expect("it starts");
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
                begun.elapsed()
            };
            round();
            asked.store(0, Ordering::SeqCst);
            let taken = median((0..ROUNDS).map(|_| round()).collect());
            requests = asked.load(Ordering::SeqCst) / ROUNDS;
            format!("{taken} ms")
        });
        println!("| `{kind}` | {requests} | {} |", times.join(" | "));
    }
}
