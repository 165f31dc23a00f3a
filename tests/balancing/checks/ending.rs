use super::*;

#[tokio::test(start_paused = true)]
async fn checker_ends_with_the_last_balancer_and_handle() {
    let a = Checked::new("a", Act::Fail);
    let (balance, handle) = Balance::with_handle([a.endpoint()]);
    let (balance, mut told) = heard(balance);
    let checker = run(&balance, check());
    a.after(3).await;
    assert_eq!(told.recv().await.unwrap().to(), State::Down);
    drop(balance);
    a.after(1).await;
    assert!(!checker.is_finished());
    drop(handle);
    // At once, without another check.
    let before = a.checks();
    checker.await.unwrap();
    assert_eq!(a.checks(), before);
    assert_eq!(Arc::strong_count(&a.alive), 1);
    assert!(told.recv().await.is_none(), "nobody is there to be told");
}

#[tokio::test(start_paused = true)]
async fn checker_does_not_keep_its_set_during_a_check() {
    let (a, balance) = pair(Act::Hang);
    let checker = run(&balance, check().timeout(Duration::MAX));
    a.after(1).await;
    drop(balance);
    checker.await.unwrap();
    assert_eq!(Arc::strong_count(&a.alive), 1);
}

#[tokio::test(start_paused = true)]
async fn driver_of_discovery_does_not_keep_a_checker() {
    let found = futures_util::stream::pending::<
        Result<tower::discover::Change<&'static str, Peer>, io::Error>,
    >();
    let (balance, driver) = Balance::discover(found);
    let checker = run(&balance, check());
    let driver = tokio::spawn(driver);
    tokio::task::yield_now().await;
    assert!(!checker.is_finished());
    drop(balance);
    checker.await.unwrap();
    driver.abort();
}

#[tokio::test(start_paused = true)]
async fn checker_whose_set_is_gone_before_it_is_polled_ends() {
    let (_, balance) = pair(Act::Fail);
    let checker = balance.health_check(check());
    drop(balance);
    checker.await;
}

#[tokio::test(start_paused = true)]
async fn dropped_checker_leaves_nobody_down_and_checks_nobody() {
    let (a, balance) = pair(Act::Fail);
    let (balance, mut told) = heard(balance);
    let checker = run(&balance, check());
    a.after(3).await;
    assert_eq!(names(&balance, 1).await, "b");
    checker.abort();
    let _ = checker.await;
    assert_eq!(state(&balance, "a"), State::Closed);
    assert_eq!(names(&balance, 1).await, "a");
    let states: Vec<_> = std::iter::from_fn(|| told.try_recv().ok())
        .map(|change| change.to())
        .collect();
    assert_eq!(states, [State::Down, State::Closed]);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(a.checks(), 3);
}

#[tokio::test(start_paused = true)]
async fn checker_that_nobody_polls_checks_nobody() {
    let (a, balance) = pair(Act::Fail);
    let checker = balance.health_check(check());
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(a.checks(), 0);
    drop(checker);
}

#[tokio::test(start_paused = true)]
async fn service_that_panics_has_failed_its_check_and_others_go_on() {
    let panics = service_fn(|request: Request<Body>| async move {
        assert_ne!(request.uri().path(), PATH, "as it is meant to");
        Ok::<_, io::Error>(Response::new(Full::default()))
    });
    let b = Checked::new("b", Act::Answer(200));
    let balance = Balance::new([Endpoint::new("a", Peer::new(panics)), b.endpoint()]);
    let checker = run(&balance, check());
    b.after(5).await;
    assert!(!checker.is_finished());
    assert_eq!(state(&balance, "a"), State::Down);
    assert_eq!(state(&balance, "b"), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn checks_go_on_when_discovery_has_failed_and_ended() {
    let a = Checked::new("a", Act::Fail);
    let found = [
        Ok(tower::discover::Change::Insert("a", a.service())),
        Err(io::Error::other("registry unreachable")),
    ];
    let (balance, driver) = Balance::discover(futures_util::stream::iter(found));
    let _checker = run(&balance, check());
    driver.await;
    assert!(balance.snapshot().discovery_error.is_some());
    a.after(3).await;
    assert_eq!(state(&balance, "a"), State::Down);
}

#[tokio::test(start_paused = true)]
async fn listener_that_panics_does_not_end_the_checks() {
    let (a, balance) = pair(Act::Fail);
    let balance = balance.on_state_change(|change: &StateChange| panic!("{change:?}"));
    let checker = run(&balance, check());
    a.after(4).await;
    assert_eq!(state(&balance, "a"), State::Down);
    a.tell(Act::Answer(200));
    a.after(3).await;
    assert_eq!(state(&balance, "a"), State::Closed);
    assert!(!checker.is_finished());
}
