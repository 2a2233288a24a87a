//! Converts signals and a closed stdout to orders to stop.
//!
//! After [`listen`], no signal ends the process by itself: the prompt and the run get it as an order. Before that,
//! nothing has been touched, and the default action is right.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use crate::ops::Orders;
use crate::run::Order;

use super::screen::Screen;

/// How often stdout is checked. A reader that went away is an order to stop, and another half second of work does no
/// harm.
const STDOUT_EVERY: Duration = Duration::from_millis(500);

/// Starts listening. Must be called within the runtime.
pub(super) fn listen(screen: &Arc<Screen>) -> io::Result<Orders> {
    let (sender, orders) = Orders::new();
    let ignored = ignored_at_start();
    for (kind, order) in [
        (SignalKind::interrupt(), Order::Interrupt),
        (SignalKind::terminate(), Order::Terminate),
        // The default action, a core dump, would leave hosts cordoned.
        (SignalKind::quit(), Order::Quit),
        (SignalKind::hangup(), Order::HangUp),
    ] {
        // `nohup` and background jobs of scripts ask for signals to be ignored. They stay ignored.
        if ignored & (1_u64 << (kind.as_raw_value() - 1)) != 0 {
            continue;
        }
        let mut arrivals = signal(kind)?;
        let (sender, screen) = (sender.clone(), Arc::clone(screen));
        tokio::spawn(async move {
            while arrivals.recv().await.is_some() {
                if order == Order::HangUp && screen.is_detached() {
                    continue;
                }
                if sender.send(order).is_err() {
                    return;
                }
            }
        });
    }
    tokio::spawn(watch_stdout(Arc::clone(screen), sender));
    Ok(orders)
}

/// Says something at every Ctrl-Z (SIGTSTP), which stops nothing any more: a process that is stopped puts nothing back, and
/// may hold the lock of a ledger that is a file. `None` where the signal was ignored when this process began.
pub(super) fn on_stop_key(say: impl Fn() + Send + 'static) -> io::Result<Option<JoinHandle<()>>> {
    let stop_key = rustix::process::Signal::TSTP.as_raw();
    if ignored_at_start() & (1_u64 << (stop_key - 1)) != 0 {
        return Ok(None);
    }
    let mut arrivals = signal(SignalKind::from_raw(stop_key))?;
    Ok(Some(tokio::spawn(async move {
        while arrivals.recv().await.is_some() {
            say();
        }
    })))
}

/// A closed stdout counts as SIGTERM: nobody will read the result of the run.
async fn watch_stdout(screen: Arc<Screen>, orders: UnboundedSender<Order>) {
    loop {
        if screen.is_stdout_closed() || is_stdout_hung_up() {
            let _ = orders.send(Order::ClosedOutput);
            return;
        }
        tokio::time::sleep(STDOUT_EVERY).await;
    }
}

fn is_stdout_hung_up() -> bool {
    let stdout = io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    match poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(_) => fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
        Err(_) => false,
    }
}

/// The signals that were ignored when this process was started, as a mask. Linux reports them; elsewhere none is known.
fn ignored_at_start() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
