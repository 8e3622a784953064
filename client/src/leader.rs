//! Where to send: the leader if it is known, else the next of the nodes we know.
//!
//! The leader is learnt from `Cluster.Status` and from the hint in `NOT_LEADER`; it is forgotten
//! when it cannot be reached or says that it leads no longer. Any node forwards a request that it
//! cannot serve, so a wrong guess costs time and never correctness.
//!
//! # Invariants
//! - One channel per address, made on first use, connected lazily, shared by all calls.
//! - An address that could not be reached is avoided for a moment while another one is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine_proto::Dialer;
use engine_proto::v1::cluster_client::ClusterClient;
use engine_proto::v1::{StatusRequest, StatusResponse};
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use crate::error::{Error, Result, reason};

/// How long an unreachable address is left alone.
const AVOID: Duration = Duration::from_millis(500);
/// How long one round of `Cluster.Status` may take.
const DISCOVERY: Duration = Duration::from_millis(500);
/// How long others may still contradict a node that says that it leads.
const SETTLING: Duration = Duration::from_millis(50);
/// The least time between two such rounds.
const DISCOVERY_EVERY: Duration = Duration::from_millis(200);

/// Which nodes may serve a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// The leader, if it is known.
    Leader,
    /// Only the nodes that the caller named.
    Seed,
}

/// A node to send to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) channel: Channel,
}

/// What we know about the nodes.
#[derive(Debug)]
pub(crate) struct Leader {
    seeds: Vec<String>,
    connect_timeout: Duration,
    follow: bool,
    dialer: Dialer,
    known: Mutex<Known>,
    /// One round of discovery at a time; holds when the last one ended.
    discovery: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Known {
    leader: Option<String>,
    members: BTreeSet<String>,
    channels: BTreeMap<String, Channel>,
    avoided: BTreeMap<String, Instant>,
    turn: usize,
}

impl Known {
    fn avoids(&self, address: &str, now: Instant) -> bool {
        self.avoided.get(address).is_some_and(|until| *until > now)
    }
}

impl Leader {
    /// Checks and remembers the seeds. Nothing is connected yet.
    pub(crate) fn new(
        seeds: &[String],
        connect_timeout: Duration,
        follow: bool,
        dialer: Dialer,
    ) -> Result<Self> {
        if seeds.is_empty() {
            return Err(Error::bad_request("no seed address given"));
        }
        let leader = Self {
            seeds: seeds.iter().map(|seed| bare(seed).to_owned()).collect(),
            connect_timeout,
            follow,
            dialer,
            known: Mutex::default(),
            discovery: tokio::sync::Mutex::default(),
        };
        for seed in &leader.seeds {
            leader.endpoint(seed)?;
        }
        Ok(leader)
    }

    /// The node to send to now; asks around first if nobody is known to lead.
    pub(crate) async fn target(&self, to: To) -> Result<Target> {
        if to == To::Leader && self.follow && self.leader().is_none() {
            self.discover().await;
        }
        self.pick(to, Instant::now())
    }

    /// The known leader's address.
    pub(crate) fn leader(&self) -> Option<String> {
        self.known.lock().leader.clone()
    }

    /// Takes from a failure what it tells about `address` and the leader.
    pub(crate) fn learn(&self, address: &str, error: &Error) {
        let mut known = self.known.lock();
        if known.leader.as_deref() == Some(address) && moves_on(error) {
            known.leader = None;
        }
        if error.is(reason::UNREACHABLE) {
            known
                .avoided
                .insert(address.to_owned(), Instant::now() + AVOID);
        }
        if let Some(hint) = error.leader.as_deref().filter(|_| self.follow) {
            let hint = bare(hint);
            if hint != address && self.endpoint(hint).is_ok() {
                known.members.insert(hint.to_owned());
                known.leader = Some(hint.to_owned());
            }
        }
    }

    /// Asks all known nodes who leads; true if one of them answered at all.
    pub(crate) async fn discover(&self) -> bool {
        let mut last = self.discovery.lock().await;
        if last.is_some_and(|last| last.elapsed() < DISCOVERY_EVERY) {
            return true;
        }
        let answers = self.ask_until_settled().await;
        *last = Some(Instant::now());
        let mut known = self.known.lock();
        // A node that was cut off still names the old leader: the highest term is right.
        let mut newest = 0;
        let mut answered = false;
        for (address, answer) in answers {
            let Ok(status) = answer else { continue };
            answered = true;
            known.avoided.remove(&address);
            let Some(group) = status.groups.into_iter().find(|group| group.group == 0) else {
                continue;
            };
            for member in &group.members {
                if self.endpoint(bare(&member.client_address)).is_ok() {
                    known
                        .members
                        .insert(bare(&member.client_address).to_owned());
                }
            }
            let leader = group
                .members
                .iter()
                .find(|member| Some(member.node_id) == group.leader)
                .map(|member| bare(&member.client_address).to_owned());
            if let Some(leader) = leader
                && group.term >= newest
                && self.endpoint(&leader).is_ok()
            {
                newest = group.term;
                known.leader = Some(leader);
            }
        }
        answered
    }

    /// Ends well as soon as one known node answers.
    pub(crate) async fn reach(&self, within: Duration) -> Result<()> {
        let mut answers: FuturesUnordered<_> = self
            .addresses()
            .into_iter()
            .map(|address| async move { self.ask(&address, within).await })
            .collect();
        let mut failed = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(_) => return Ok(()),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Asks all known nodes, and waits only a moment longer once one says that it leads: a node
    /// that hangs must not hold every first call up.
    async fn ask_until_settled(&self) -> Vec<(String, Result<StatusResponse>)> {
        let mut asked: FuturesUnordered<_> = self
            .addresses()
            .into_iter()
            .map(|address| async move {
                let answer = self.ask(&address, DISCOVERY).await;
                (address, answer)
            })
            .collect();
        let mut answers = Vec::new();
        let mut until = Instant::now() + DISCOVERY;
        while let Ok(Some((address, answer))) = timeout_at(until, asked.next()).await {
            if answer.as_ref().is_ok_and(leads) {
                until = until.min(Instant::now() + SETTLING);
            }
            answers.push((address, answer));
        }
        answers
    }

    /// `Cluster.Status` of each address, in the order given.
    pub(crate) async fn ask_all(
        &self,
        addresses: Vec<String>,
        within: Duration,
    ) -> Vec<(String, Result<StatusResponse>)> {
        join_all(addresses.into_iter().map(|address| async move {
            let answer = self.ask(&address, within).await;
            (address, answer)
        }))
        .await
    }

    /// The nodes that the caller named, then those learnt from them, each once.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let known = self.known.lock();
        self.candidates(To::Leader, &known)
    }

    async fn ask(&self, address: &str, within: Duration) -> Result<StatusResponse> {
        let channel = self.channel(address)?;
        let mut request = tonic::Request::new(StatusRequest {});
        request.set_timeout(within);
        once(address, within, ClusterClient::new(channel).status(request)).await
    }

    fn pick(&self, to: To, now: Instant) -> Result<Target> {
        let address = {
            let mut known = self.known.lock();
            let leader = known
                .leader
                .clone()
                .filter(|leader| to == To::Leader && self.follow && !known.avoids(leader, now));
            match leader {
                Some(leader) => leader,
                None => self.next_in_turn(to, &mut known, now)?,
            }
        };
        Ok(Target {
            channel: self.channel(&address)?,
            address,
        })
    }

    /// The next address that need not be avoided, or the next one if all must be.
    fn next_in_turn(&self, to: To, known: &mut Known, now: Instant) -> Result<String> {
        let mut candidates = self.candidates(to, known);
        let start = known.turn % candidates.len().max(1);
        known.turn = known.turn.wrapping_add(1);
        candidates.rotate_left(start);
        candidates
            .iter()
            .find(|address| !known.avoids(address, now))
            .or(candidates.first())
            .cloned()
            .ok_or_else(|| Error::bad_request("no seed address given"))
    }

    fn candidates(&self, to: To, known: &Known) -> Vec<String> {
        let mut candidates = Vec::with_capacity(self.seeds.len() + known.members.len());
        let members = known
            .members
            .iter()
            .filter(|_| to == To::Leader && self.follow);
        for address in self.seeds.iter().chain(members) {
            if !candidates.contains(address) {
                candidates.push(address.clone());
            }
        }
        candidates
    }

    /// The connection to an address.
    pub(crate) fn channel(&self, address: &str) -> Result<Channel> {
        let mut known = self.known.lock();
        if let Some(channel) = known.channels.get(address) {
            return Ok(channel.clone());
        }
        let channel = self.dialer.channel(&self.endpoint(address)?);
        known.channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint> {
        let invalid = || Error::bad_request(format!("'{address}' is no address; write HOST:PORT"));
        let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
        if host.is_empty() || host.contains('/') || port.parse::<u16>().is_err() {
            return Err(invalid());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| invalid())?;
        Ok(endpoint
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            // A peer that vanished without a word is noticed within eight seconds.
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(3))
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(4 * 1024 * 1024))
    }
}

/// Whether a node says that it leads itself.
fn leads(status: &StatusResponse) -> bool {
    status
        .groups
        .iter()
        .any(|group| group.group == 0 && group.leader == Some(status.node_id))
}

/// Whether after this failure another node should be asked.
pub(crate) fn moves_on(error: &Error) -> bool {
    !error.is(reason::OVERLOADED)
        && matches!(
            error.code,
            tonic::Code::Unavailable
                | tonic::Code::DeadlineExceeded
                | tonic::Code::Cancelled
                | tonic::Code::Unknown
                | tonic::Code::Internal
                | tonic::Code::DataLoss
        )
}

fn bare(address: &str) -> &str {
    let address = address.trim();
    address
        .strip_prefix("http://")
        .unwrap_or(address)
        .trim_end_matches('/')
}

/// What one node answers to a question that is harmless, and asked of it once.
pub(crate) async fn once<T>(
    address: &str,
    within: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T> {
    match timeout(within, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(Error::from_status(status).harmless().at(address)),
        Err(_) => Err(Error::unsent(format!("no answer within {within:?}")).at(address)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use engine_proto::v1 as pb;

    use super::*;

    fn leader(seeds: &[&str]) -> Leader {
        let seeds: Vec<String> = seeds.iter().map(|seed| (*seed).to_owned()).collect();
        Leader::new(&seeds, Duration::from_secs(1), true, Dialer::default())
            .expect("the seeds are addresses")
    }

    fn failure(reason: &str, leader: Option<&str>) -> Error {
        let metadata: HashMap<String, String> = leader
            .map(|leader| ("leader".to_owned(), leader.to_owned()))
            .into_iter()
            .collect();
        Error::from_failure(pb::Failure {
            code: tonic::Code::Unavailable.into(),
            message: String::new(),
            reason: reason.to_owned(),
            metadata,
        })
    }

    fn picks(leader: &Leader, to: To, count: usize) -> Vec<String> {
        (0..count)
            .map(|_| leader.pick(to, Instant::now()).expect("seeds").address)
            .collect()
    }

    #[tokio::test]
    async fn seeds_take_turns_until_a_leader_is_known() {
        let nodes = leader(&["a:1", "http://b:2/", "c:3"]);
        assert_eq!(
            picks(&nodes, To::Leader, 4),
            ["a:1", "b:2", "c:3", "a:1"].map(str::to_owned)
        );
        nodes.learn("a:1", &failure(reason::NOT_LEADER, Some("d:4")));
        assert_eq!(
            picks(&nodes, To::Leader, 2),
            ["d:4", "d:4"].map(str::to_owned)
        );
    }

    #[tokio::test]
    async fn a_leader_that_leads_no_longer_is_forgotten() {
        let nodes = leader(&["a:1", "b:2"]);
        nodes.learn("a:1", &failure(reason::NOT_LEADER, Some("b:2")));
        nodes.learn("a:1", &failure(reason::NO_QUORUM, None));
        assert_eq!(nodes.leader().as_deref(), Some("b:2"), "said by another");
        nodes.learn("b:2", &failure(reason::OVERLOADED, None));
        assert_eq!(nodes.leader().as_deref(), Some("b:2"), "busy still leads");
        nodes.learn("b:2", &failure(reason::NOT_LEADER, None));
        assert_eq!(nodes.leader(), None);
    }

    #[tokio::test]
    async fn an_unreachable_node_is_avoided_while_others_are_left() {
        let nodes = leader(&["a:1", "b:2"]);
        nodes.learn("a:1", &failure(reason::NOT_LEADER, Some("b:2")));
        nodes.learn("b:2", &failure(reason::UNREACHABLE, None));
        assert_eq!(picks(&nodes, To::Leader, 3), ["a:1"; 3].map(str::to_owned));
        nodes.learn("a:1", &failure(reason::UNREACHABLE, None));
        assert_eq!(picks(&nodes, To::Leader, 2).len(), 2, "better than nobody");
    }

    #[tokio::test]
    async fn reads_of_one_node_stay_at_the_seeds() {
        let nodes = leader(&["a:1"]);
        nodes.learn("a:1", &failure(reason::NOT_LEADER, Some("b:2")));
        assert_eq!(picks(&nodes, To::Seed, 2), ["a:1"; 2].map(str::to_owned));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for seed in ["", "nohost", ":7101", "a:notaport", "https://a:1"] {
            let refused = Leader::new(
                &[seed.to_owned()],
                Duration::from_secs(1),
                true,
                Dialer::default(),
            );
            assert!(refused.is_err(), "{seed}");
        }
        assert!(Leader::new(&[], Duration::from_secs(1), true, Dialer::default()).is_err());
    }
}
