//! Orders to stop, from signals and closed outputs to the run.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::run::Order;

/// The sender of orders.
#[derive(Clone, Debug)]
pub(crate) struct StopSender(UnboundedSender<Order>);

/// The run's receiver of orders.
#[derive(Debug)]
pub(crate) struct StopSignal {
    orders: UnboundedReceiver<Order>,
    /// Heard while waiting, and not yet taken.
    heard: Option<Order>,
    closed: bool,
}

/// A pair of ends.
pub(crate) fn stop_signal() -> (StopSender, StopSignal) {
    let (sender, orders) = unbounded_channel();
    (StopSender(sender), StopSignal { orders, heard: None, closed: false })
}

impl StopSender {
    /// Orders the run to stop. Without a run under way it changes nothing.
    pub(crate) fn order(&self, order: Order) {
        // The receiver is gone only when the run has ended.
        let _ = self.0.send(order);
    }
}

impl StopSignal {
    /// An order that has arrived.
    pub(super) fn pending(&mut self) -> Option<Order> {
        self.heard.take().or_else(|| self.orders.try_recv().ok())
    }

    /// Waits until an order arrives; for ever where none can any more.
    pub(crate) async fn ordered(&mut self) {
        if self.heard.is_some() {
            return;
        }
        if !self.closed {
            match self.orders.recv().await {
                Some(order) => {
                    self.heard = Some(order);
                    return;
                }
                None => self.closed = true,
            }
        }
        std::future::pending::<()>().await;
    }
}
