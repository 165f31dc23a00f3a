use http::{HeaderValue, Method, header::HOST};
use http_body::Body as _;

use super::*;

#[tokio::test(start_paused = true)]
async fn check_is_the_request_that_was_set_without_a_body_and_a_trail() {
    let (tell, mut told) = unbounded_channel();
    let service = service_fn(move |request: Request<Body>| {
        let _ = tell.send(request);
        async { Ok::<_, io::Error>(Response::new(Full::default())) }
    });
    let balance = Balance::new([Endpoint::new("a", Peer::new(service))]);
    let plain = run(&balance, check());
    let request = told.recv().await.unwrap();
    assert_eq!(
        (request.method(), request.uri().path()),
        (&Method::GET, PATH)
    );
    assert!(request.headers().is_empty());
    assert!(request.extensions().is_empty());
    assert!(request.body().is_end_stream());
    plain.abort();
    let check = HealthCheck::new("/deep?1").unwrap();
    let host = HeaderValue::from_static("shop.example");
    let _checker = run(&balance, check.method(Method::HEAD).header(HOST, host));
    let request = told.recv().await.unwrap();
    assert_eq!(request.method(), Method::HEAD);
    assert_eq!(request.uri(), "/deep?1");
    assert_eq!(request.headers()[HOST], "shop.example");
    assert_eq!(request.headers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn checks_are_no_traffic() {
    let (a, balance) = pair(Act::Hang);
    let balance = balance.measure_latency().eject(1, 60 * SECOND);
    let _checker = run(&balance, check().fall(9));
    a.after(1).await;
    assert_eq!(snapshot(&balance, "a").in_flight, 0);
    for act in [Act::Answer(503), Act::Fail, Act::Answer(200)] {
        a.tell(act);
        a.after(2).await;
    }
    let seen = snapshot(&balance, "a");
    assert_eq!((seen.state, seen.ejections), (State::Closed, 0));
    assert_eq!((seen.failures, seen.latency), (0, None));
}

#[tokio::test(start_paused = true)]
async fn check_that_passes_does_not_close_a_breaker() {
    let a = Checked::new("a", Act::Answer(200));
    let failing = a.clone();
    let service = service_fn(move |request: Request<Body>| {
        let answering = failing.clone();
        async move {
            if request.uri().path() == PATH {
                answering.answer(request).await
            } else {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    });
    let balance = Balance::new([Endpoint::new("a", Peer::new(service)), well("b")]);
    let balance = balance.pick(InOrder).eject(2, 60 * SECOND);
    let _checker = run(&balance, check());
    assert_eq!(names(&balance, 3).await, "- - b");
    a.after(5).await;
    assert_eq!(state(&balance, "a"), State::Open);
    assert_eq!(names(&balance, 1).await, "b");
}

#[tokio::test(start_paused = true)]
async fn region_that_has_nobody_is_not_down_by_its_checks() {
    let (region, _handle) = Balance::<Peer>::with_handle([] as [Endpoint<Peer>; 0]);
    let region = region.wait_for_peers(Duration::ZERO);
    let balance = Balance::new([Endpoint::new("region", region)]);
    let checker = tokio::spawn(balance.health_check(check().fall(1)));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(balance.snapshot().peers[0].state, State::Closed);
    checker.abort();
}
