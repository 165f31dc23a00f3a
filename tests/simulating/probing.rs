//! Many peers that are left out until the same moment.

use std::{sync::Arc, time::Duration};

use http::Method;
use tokio::time::Instant;
use tower_failover::balance::{Breaker, State};

use super::world::*;

const PEERS: usize = 200;
const SICK: usize = 100;

struct World {
    hosts: Vec<Arc<Host>>,
    peers: Peers,
    service: Service,
}

impl World {
    /// Half of the peers were left out at the same moment, for 30 seconds that are over.
    async fn start(act: Act) -> Self {
        fastrand::seed(7);
        let hosts = Host::several(PEERS);
        let peers = balance(&hosts).breaker(Breaker::new());
        // The same layer throughout: it saves up retries while nothing fails.
        let service = failing_over(&peers);
        let world = Self {
            hosts,
            peers,
            service,
        };
        world.sick().iter().for_each(|host| host.set(act));
        // Five for each, all at once; who fails over may meet another that is sick.
        let burst = Traffic {
            per_second: 1_000_000,
            length: ms(1),
        };
        burst.send(&world.service).await;
        assert_eq!(world.count(State::Open), SICK);
        tokio::time::advance(secs(30)).await;
        world
    }

    fn sick(&self) -> &[Arc<Host>] {
        &self.hosts[..SICK]
    }

    fn count(&self, state: State) -> usize {
        let peers = self.peers.snapshot().peers;
        peers.iter().filter(|peer| peer.state == state).count()
    }

    fn probes(&self) -> usize {
        attempts(self.sick()).iter().sum()
    }

    /// Looks at the peers while there is traffic: how many probes there were at once, and when all were well.
    async fn watch(&self, length: Duration) -> (usize, Option<Duration>) {
        let start = Instant::now();
        let (mut most, mut closed) = (0, None);
        while start.elapsed() < length {
            // Those that are closed again are no longer probed.
            let snapshot = self.peers.snapshot().peers;
            let probing = snapshot.iter().filter(|peer| peer.state == State::HalfOpen);
            let at_once: usize = probing.map(|peer| peer.in_flight).sum();
            most = most.max(at_once);
            if closed.is_none() && self.count(State::Closed) == PEERS {
                closed = Some(start.elapsed());
            }
            tokio::time::sleep(ms(1)).await;
        }
        (most, closed)
    }
}

#[tokio::test(start_paused = true)]
async fn peers_that_are_well_again_come_back_one_by_one() {
    for latency in [ms(10), ms(100)] {
        let world = World::start(Act::Refuse).await;
        world
            .sick()
            .iter()
            .for_each(|host| host.set(Act::Answer(200, latency)));
        let (outcomes, (most, closed)) = tokio::join!(
            Traffic::of(secs(5)).send(&world.service),
            world.watch(secs(5))
        );
        let closed = closed.unwrap();
        println!(
            "well again, answering after {latency:?}: {most} probes at once, all closed after {closed:?}"
        );
        assert!(most <= PEERS / 10, "{most}");
        assert!(closed < secs(5), "{closed:?}");
        assert_eq!(lost(&outcomes), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn peers_that_are_still_sick_take_no_herd_of_requests_with_them() {
    let slow = Act::Answer(503, ms(10));
    for act in [Act::Refuse, Act::Answer(503, ms(0)), slow] {
        let world = World::start(Act::Refuse).await;
        world.sick().iter().for_each(|host| host.set(act));
        let before = world.probes();
        let (outcomes, (most, closed)) = tokio::join!(
            Traffic::of(secs(1)).send(&world.service),
            world.watch(secs(1))
        );
        let probes = world.probes() - before;
        let each = attempts_per_request(&outcomes);
        let [gets, posts] = [Method::GET, Method::POST].map(|method| {
            let lost = outcomes.iter().filter(|outcome| outcome.is_lost());
            lost.filter(|outcome| outcome.method == method).count()
        });
        println!(
            "still sick, {act:?}: {probes} probes, {most} at once, {each:.3} attempts per request, {gets} GETs and {posts} POSTs lost"
        );
        assert_eq!(closed, None);
        assert!(most <= PEERS / 10, "{most}");
        // Each is asked once, by the next GET whose turn it is.
        assert!((90..=SICK).contains(&probes), "{probes}");
        assert_eq!(world.count(State::Open), SICK);
        // A POST that is answered with 503 may have been processed: it is no probe.
        assert_eq!((gets, posts), (0, 0));
    }
}
