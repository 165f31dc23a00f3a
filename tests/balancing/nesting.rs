use tower::{Layer, ServiceExt};
use tower_failover::{
    FailoverLayer, ReplayBody,
    balance::{InOrder, ResponseBody, RoundRobin},
    limits::Backoff,
    policy::{Event, Standard, Verdict, policy_fn},
    report::Report,
};

use crate::*;

type Replayed = BoxCloneSyncService<Request<ReplayBody<Body>>, Response<Body>, BoxError>;
type Region = Balance<Replayed>;

/// A peer that answers with each status in turn, the last one for ever; `retry-after` with those above 1000.
fn host(name: &'static str, statuses: &[u16]) -> Endpoint<Replayed> {
    let statuses = Arc::new(Mutex::new(statuses.to_vec()));
    let service = service_fn(move |_| {
        let mut statuses = statuses.lock().unwrap();
        let status = if statuses.len() > 1 {
            statuses.remove(0)
        } else {
            statuses[0]
        };
        async move {
            let mut response = Response::builder()
                .status(status % 1000)
                .header("name", name);
            if status > 1000 {
                response = response.header("retry-after", "1");
            }
            Ok::<_, BoxError>(response.body(Full::default()).unwrap())
        }
    });
    Endpoint::new(name, Replayed::new(service))
}

fn region<const N: usize>(hosts: [Endpoint<Replayed>; N]) -> Region {
    Balance::new(hosts).pick(InOrder).eject(0, Duration::ZERO)
}

fn regions(east: Region, west: Region) -> Balance<Region> {
    let regions = [Endpoint::new("east", east), Endpoint::new("west", west)];
    Balance::new(regions).pick(InOrder).eject(0, Duration::ZERO)
}

/// Whom a request was sent to.
async fn path<P>(layer: FailoverLayer<P>, regions: &Balance<Region>) -> String
where
    P: tower_failover::Policy + Clone,
{
    let service = layer.layer(regions.clone());
    let response = service
        .oneshot(Request::new(Full::<Bytes>::default()))
        .await;
    let response: Response<ResponseBody<ResponseBody<Body>>> = response.unwrap();
    let last = response.headers()["name"].to_str().unwrap();
    let Some(report) = Report::of(response.extensions()) else {
        return last.to_owned();
    };
    let peers = report
        .attempts()
        .iter()
        .map(|tried| tried.peer().unwrap().to_string());
    peers.collect::<Vec<_>>().join(" ")
}

fn reusing() -> Standard {
    Standard::default().reuse_tried(true).backoff(Backoff::NONE)
}

fn layer(policy: Standard, attempts: u32) -> FailoverLayer<Standard> {
    FailoverLayer::new(policy)
        .max_attempts(attempts)
        .without_budget()
}

#[tokio::test(start_paused = true)]
async fn untried_peer_of_another_region_comes_before_a_tried_one() {
    let regions = regions(
        region([host("e1", &[503]), host("e2", &[503])]),
        region([host("w1", &[503]), host("w2", &[200])]),
    );
    assert_eq!(path(layer(reusing(), 4), &regions).await, "e1 e2 w1 w2");
}

#[tokio::test(start_paused = true)]
async fn tried_peers_are_used_when_no_region_has_another() {
    let regions = regions(
        region([host("e1", &[503, 200])]),
        region([host("w1", &[503, 503])]),
    );
    assert_eq!(path(layer(reusing(), 3), &regions).await, "e1 w1 e1");
    let once = Standard::default().backoff(Backoff::NONE);
    assert_eq!(
        path(
            layer(once, 3),
            &self::regions(region([host("e1", &[503])]), region([host("w1", &[503])]),)
        )
        .await,
        "e1 w1"
    );
}

#[tokio::test(start_paused = true)]
async fn peer_that_asked_to_be_left_alone_comes_after_one_of_another_region_that_did_not() {
    let regions = regions(
        region([host("e1", &[1503, 200])]),
        region([host("w1", &[503, 200])]),
    );
    let start = tokio::time::Instant::now();
    assert_eq!(path(layer(reusing(), 3), &regions).await, "e1 w1 w1");
    assert!(start.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn retry_at_the_same_peer_finds_it_in_its_region() {
    let regions = regions(
        region([host("e1", &[503, 503, 200]), host("e2", &[200])]),
        region([host("w1", &[200])]),
    );
    let regions = regions.pick(RoundRobin);
    let stay = Standard::default()
        .retries_per_peer(2)
        .backoff(Backoff::NONE);
    assert_eq!(path(layer(stay, 5), &regions).await, "e1 e1 e1");
}

#[tokio::test(start_paused = true)]
async fn whether_another_peer_is_left_is_known_across_regions() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let policy = policy_fn(move |attempt, event| match event {
        Event::Response(response) if response.status == 503 => {
            sees.lock().unwrap().push(attempt.has_untried_peer());
            Verdict::failover()
        }
        _ => Verdict::deliver(),
    });
    let regions = regions(
        region([host("e1", &[503]), host("e2", &[503])]),
        region([host("w1", &[503])]),
    );
    let layer = FailoverLayer::new(policy).max_attempts(9).without_budget();
    assert_eq!(path(layer, &regions).await, "e1 e2 w1");
    assert_eq!(*seen.lock().unwrap(), [Some(true), Some(true), Some(false)]);
}

#[tokio::test(start_paused = true)]
async fn tried_peers_are_used_in_turn_where_only_some_are_behind_a_balancer() {
    let sent = |east: &'static [u16], west: &'static [u16]| async move {
        let east = region([host("e1", east)]);
        let empty = |response: Response<ResponseBody<Body>>| response.map(|_| Body::default());
        let east = Endpoint::new("east", Replayed::new(east.map_response(empty)));
        let all = Balance::new([host("w1", west), east]).pick(InOrder);
        let service = layer(reusing(), 4).layer(all.eject(0, Duration::ZERO));
        let request = Request::new(Full::<Bytes>::default());
        let response = service.oneshot(request).await.unwrap();
        let report = Report::of(response.extensions()).unwrap();
        let attempts = report.attempts().iter();
        let peers = attempts.map(|tried| tried.peer().unwrap().to_string());
        peers.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(sent(&[503], &[503]).await, "w1 e1 w1 e1");
    assert_eq!(sent(&[503], &[503, 200]).await, "w1 e1 w1");
    assert_eq!(sent(&[503, 200], &[1503]).await, "w1 e1 e1");
}

#[tokio::test(start_paused = true)]
async fn region_that_has_no_peers_yet_is_not_waited_for() {
    let nobody: [Endpoint<Replayed>; 0] = [];
    let (east, _handle) = Balance::with_handle(nobody);
    let start = tokio::time::Instant::now();
    let regions = regions(east, region([host("w1", &[200])]));
    assert_eq!(path(FailoverLayer::default(), &regions).await, "w1");
    assert!(start.elapsed().is_zero());
}
