//! Whoever changes the cluster: hands leadership over, replaces nodes. One order at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use engine::command::Command;
use engine::ids::{GroupId, Revision};
use engine_client::{Client, ClientOptions, Error};
use engine_raft::Node;
use parking_lot::Mutex;
use tokio::time::sleep;

use super::machine::address;
use super::net::{self, CLIENT_PORT, PEER_PORT};
use super::trace::Trace;

/// The operator's host.
pub(super) const HOST: &str = "operator";

/// How long one step of an order is tried.
const DEADLINE: Duration = Duration::from_secs(5);

/// How often the replacement of a lost node is tried, and the pause between.
const RETIRE_TRIES: u32 = 200;
const RETIRE_PAUSE: Duration = Duration::from_millis(300);

/// How often the desk is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What the operator shall do.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// Make this node the leader.
    Transfer { to: u64 },
    /// Give `new` a vote, then take out `old`.
    Replace { old: u64, new: u64 },
    /// The same, again and again until it is done: the old node is lost.
    Retire { old: u64, new: u64 },
    /// Give up older revisions than this. Clients cannot: this node is told.
    RaiseFloor { node: Node, revision: Revision },
}

/// Where orders are left.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    desk: Arc<Mutex<Desk>>,
}

#[derive(Debug, Default)]
struct Desk {
    waiting: VecDeque<Order>,
    busy: bool,
    done: u64,
}

impl Orders {
    pub(super) fn give(&self, order: Order) {
        self.desk.lock().waiting.push_back(order);
    }

    /// Whether nothing waits and nothing is being done.
    pub(super) fn is_idle(&self) -> bool {
        let desk = self.desk.lock();
        desk.waiting.is_empty() && !desk.busy
    }

    /// How many steps of orders were carried out.
    pub(super) fn done(&self) -> u64 {
        self.desk.lock().done
    }
}

/// Carries orders out, for ever.
pub(super) async fn run(orders: Orders, seeds: Vec<String>, trace: Trace) -> Result<(), Error> {
    let options = ClientOptions {
        deadline: DEADLINE,
        ..ClientOptions::new(seeds)
    };
    let client = Client::connect_through(net::dialer(HOST, &trace), options).await?;
    loop {
        let order = {
            let mut desk = orders.desk.lock();
            let order = desk.waiting.pop_front();
            desk.busy = order.is_some();
            order
        };
        match order {
            Some(order) => carry_out(&client, order, &orders, &trace).await,
            None => sleep(LOOK).await,
        }
    }
}

/// A step that fails ends its order: the cluster may be in any state between, which is the point.
async fn carry_out(client: &Client, order: Order, orders: &Orders, trace: &Trace) {
    let cluster = client.cluster();
    let told = |what: &str, answer: Result<(), Error>| {
        let text = match &answer {
            Ok(()) => format!("{what}: done"),
            Err(error) => format!("{what}: {error}"),
        };
        trace.note("operator", HOST, text.as_bytes());
        orders.desk.lock().done += u64::from(answer.is_ok());
        answer.is_ok()
    };
    match order {
        Order::Transfer { to } => {
            told("transfer", cluster.transfer_leader(to).await);
        }
        Order::RaiseFloor { node, revision } => {
            let raised = node.propose(GroupId(0), Command::RaiseFloor { revision });
            let text = format!("raise the floor: {:?}", raised.await.is_ok());
            trace.note("operator", HOST, text.as_bytes());
        }
        Order::Retire { old, new } => {
            for _ in 0..RETIRE_TRIES {
                let (peer, own) = (address(new, PEER_PORT), address(new, CLIENT_PORT));
                told("add", cluster.add_learner(new, peer, own).await);
                told("promote", cluster.promote(new).await);
                if told("remove", cluster.remove(old).await) {
                    return;
                }
                sleep(RETIRE_PAUSE).await;
            }
        }
        Order::Replace { old, new } => {
            let (peer, own) = (address(new, PEER_PORT), address(new, CLIENT_PORT));
            let _all = told("add", cluster.add_learner(new, peer, own).await)
                && told("promote", cluster.promote(new).await)
                && told("remove", cluster.remove(old).await);
        }
    }
}
