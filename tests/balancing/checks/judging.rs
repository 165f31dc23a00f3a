use tower_failover::{
    balance::Breaker,
    failure::{Classify, Evidence, FailureKind, Stage},
};

use super::*;

#[tokio::test(start_paused = true)]
async fn peer_goes_down_after_three_failed_checks_in_a_row_and_not_before() {
    for (act, fault) in [
        (
            Act::Answer(503),
            Fault::CheckStatus(http::StatusCode::SERVICE_UNAVAILABLE),
        ),
        (
            Act::Answer(404),
            Fault::CheckStatus(http::StatusCode::NOT_FOUND),
        ),
        (Act::Fail, Fault::CheckError(FailureKind::Reset)),
    ] {
        let (a, balance) = pair(act);
        let (balance, mut told) = heard(balance);
        let checker = run(&balance, check());
        a.after(2).await;
        assert_eq!(state(&balance, "a"), State::Closed, "{act:?}");
        assert_eq!(last_fault(&balance, "a"), Some(fault), "{act:?}");
        assert!(told.try_recv().is_err());
        a.after(1).await;
        assert_eq!(state(&balance, "a"), State::Down, "{act:?}");
        assert_eq!(last_fault(&balance, "a"), Some(fault), "{act:?}");
        let change = told.try_recv().unwrap();
        assert_eq!((change.peer().name(), change.to()), ("a", State::Down));
        assert_eq!(change.fault(), Some(fault));
        a.after(2).await;
        assert!(told.try_recv().is_err(), "told once");
        checker.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_passes_its_checks_stays_as_it_is() {
    for status in [200, 204, 299] {
        let (a, balance) = pair(Act::Answer(status));
        let _checker = run(&balance, check());
        a.after(9).await;
        assert_eq!(state(&balance, "a"), State::Closed);
        assert_eq!(last_fault(&balance, "a"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn check_that_passes_in_between_starts_the_count_anew() {
    let (a, balance) = pair(Act::Fail);
    let _checker = run(&balance, check());
    for _ in 0..3 {
        a.tell(Act::Fail);
        a.after(2).await;
        a.tell(Act::Answer(200));
        a.after(1).await;
    }
    assert_eq!(state(&balance, "a"), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn peer_comes_back_after_two_checks_that_pass_and_not_before() {
    let (a, balance) = pair(Act::Fail);
    let (balance, mut told) = heard(balance);
    let _checker = run(&balance, check());
    a.after(3).await;
    assert_eq!(told.try_recv().unwrap().to(), State::Down);
    for act in [Act::Answer(200), Act::Fail, Act::Answer(200)] {
        a.tell(act);
        a.after(1).await;
        assert_eq!(state(&balance, "a"), State::Down);
    }
    a.after(1).await;
    assert_eq!(state(&balance, "a"), State::Closed);
    let change = told.try_recv().unwrap();
    assert_eq!((change.from(), change.to()), (State::Down, State::Closed));
    assert_eq!(change.fault(), None);
}

#[tokio::test(start_paused = true)]
async fn how_many_checks_it_takes_is_as_set() {
    let (a, balance) = pair(Act::Fail);
    let _checker = run(&balance, check().fall(1).rise(3));
    a.after(1).await;
    assert_eq!(state(&balance, "a"), State::Down);
    a.tell(Act::Answer(200));
    a.after(2).await;
    assert_eq!(state(&balance, "a"), State::Down);
    a.after(1).await;
    assert_eq!(state(&balance, "a"), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn zero_checks_are_one() {
    let (a, balance) = pair(Act::Fail);
    let _checker = run(&balance, check().fall(0).rise(0));
    a.after(1).await;
    assert_eq!(state(&balance, "a"), State::Down);
    a.tell(Act::Answer(200));
    a.after(1).await;
    assert_eq!(state(&balance, "a"), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn expected_statuses_are_as_set() {
    let check = || check().fall(1).statuses("401".parse().unwrap());
    for (status, expected) in [(401, State::Closed), (200, State::Down)] {
        let (a, balance) = pair(Act::Answer(status));
        let _checker = run(&balance, check());
        a.after(1).await;
        assert_eq!(state(&balance, "a"), expected, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_down_gets_no_traffic_while_another_is_there() {
    let (a, balance) = pair(Act::Fail);
    let _checker = run(&balance, check());
    assert_eq!(names(&balance, 2).await, "a a");
    a.after(3).await;
    assert_eq!(names(&balance, 3).await, "b b b");
    a.tell(Act::Answer(200));
    a.after(2).await;
    assert_eq!(names(&balance, 3).await, "a a a");
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_down_is_used_when_no_other_is_there() {
    let a = Checked::new("a", Act::Fail);
    let balance = Balance::new([a.endpoint()]);
    let _checker = run(&balance, check());
    a.after(3).await;
    assert_eq!(state(&balance, "a"), State::Down);
    assert_eq!(names(&balance, 2).await, "a a");
}

#[tokio::test(start_paused = true)]
async fn backup_stands_in_for_a_peer_that_is_down() {
    let a = Checked::new("a", Act::Fail);
    let balance = Balance::new([a.endpoint(), well("b").backup()]);
    let _checker = run(&balance, check());
    assert_eq!(names(&balance, 2).await, "a a");
    a.after(3).await;
    assert_eq!(names(&balance, 2).await, "b b");
}

/// Says of every error that it is of one kind.
struct Kind(FailureKind);

impl Classify for Kind {
    fn classify(&self, _: &(dyn std::error::Error + 'static)) -> Option<Evidence> {
        Some(Evidence {
            stage: Stage::NotSent,
            kind: self.0,
        })
    }
}

#[tokio::test(start_paused = true)]
async fn error_that_is_not_the_peers_neither_passes_nor_fails() {
    for (kind, counts) in [
        (FailureKind::Overload, false),
        (FailureKind::NoPeer, false),
        (FailureKind::Request, false),
        (FailureKind::Connect, true),
        (FailureKind::Other, true),
    ] {
        let (a, balance) = pair(Act::Answer(500));
        let balance = balance.classify(Kind(kind));
        let checker = run(&balance, check());
        a.after(2).await;
        a.tell(Act::Fail);
        a.after(5).await;
        let after_two = state(&balance, "a");
        assert_eq!(after_two == State::Down, counts, "{kind:?}");
        // Nor has it started the count anew.
        a.tell(Act::Answer(500));
        a.after(1).await;
        assert_eq!(state(&balance, "a"), State::Down, "{kind:?}");
        checker.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn several_checkers_find_a_peer_down_while_one_of_them_does() {
    let (a, balance) = pair(Act::Answer(204));
    let strict = run(&balance, check().fall(1).statuses("200".parse().unwrap()));
    let loose = run(&balance, check().fall(1).rise(1));
    a.after(4).await;
    assert_eq!(state(&balance, "a"), State::Down);
    a.tell(Act::Fail);
    a.after(4).await;
    strict.abort();
    let _ = strict.await;
    assert_eq!(state(&balance, "a"), State::Down);
    a.tell(Act::Answer(204));
    a.after(2).await;
    assert_eq!(state(&balance, "a"), State::Closed);
    loose.abort();
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_down_does_not_keep_another_from_being_asked_sooner() {
    let endpoint = |name: &'static str, check: u16, acts: &[Act]| {
        let traffic = Balance::new([peer(name, acts)]).eject(0, Duration::ZERO);
        let answer = move |request: Request<Body>| {
            let traffic = traffic.clone();
            async move {
                if request.uri().path() == PATH {
                    let response = Response::builder().status(check);
                    return Ok(response.body(Body::default()).unwrap());
                }
                let response = traffic.oneshot(request).await.map_err(io::Error::other)?;
                Ok::<_, io::Error>(response.map(|_| Body::default()))
            }
        };
        Endpoint::new(name, Peer::new(service_fn(answer)))
    };
    let balance = Balance::new([
        endpoint("down", 500, &[Act::Fail]),
        endpoint("back", 200, &[Act::Fail, Act::Answer(200)]),
        endpoint("gone", 200, &[Act::Fail]),
        endpoint("well", 200, &[Act::Answer(200)]),
    ]);
    let balance = balance.pick(InOrder).eject(1, 60 * SECOND);
    assert_eq!(names(&balance, 2).await, "- -");
    let _checks = run(&balance, check());
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(state(&balance, "down"), State::Down);
    assert_eq!(names(&balance, 3).await, "- back back");
}

#[tokio::test(start_paused = true)]
async fn breaker_starts_anew_when_its_peer_is_back() {
    let a = Checked::new("a", Act::Answer(200));
    let backup = Checked::new("b", Act::Answer(200)).endpoint().backup();
    let balance = Balance::new([a.endpoint(), backup]);
    // Its traffic is answered with what counts as a failure here.
    let breaker = Breaker::new().failures_within(3, 1_000 * SECOND);
    let balance = balance.breaker(breaker.failures(0).statuses("200".parse().unwrap()));
    let _checks = run(&balance, check());
    assert_eq!(names(&balance, 2).await, "a a");
    a.tell(Act::Fail);
    a.after(3).await;
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(state(&balance, "a"), State::Down);
    a.tell(Act::Answer(200));
    a.after(2).await;
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(names(&balance, 2).await, "a a");
    assert_eq!(state(&balance, "a"), State::Closed);
    assert_eq!(names(&balance, 1).await, "a");
    assert_eq!(state(&balance, "a"), State::Open);
}
