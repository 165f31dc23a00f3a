use super::*;

#[tokio::test(start_paused = true)]
async fn added_peer_is_checked_and_a_removed_one_no_more() {
    let [a, b] = ["a", "b"].map(|name| Checked::new(name, Act::Fail));
    let (balance, handle) = Balance::with_handle([a.endpoint()]);
    let _checker = run(&balance, check());
    a.after(1).await;
    assert_eq!(b.checks(), 0);
    handle.insert(b.endpoint());
    handle.remove("a");
    let before = a.checks();
    b.after(3).await;
    assert_eq!(state(&balance, "b"), State::Down);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(a.checks(), before);
}

#[tokio::test(start_paused = true)]
async fn first_peer_of_an_empty_set_is_checked() {
    let (balance, handle) = Balance::with_handle([] as [Endpoint<Peer>; 0]);
    let _checker = run(&balance, check());
    tokio::time::sleep(SECOND).await;
    let a = Checked::new("a", Act::Fail);
    handle.insert(a.endpoint());
    a.after(3).await;
    assert_eq!(state(&balance, "a"), State::Down);
}

#[tokio::test(start_paused = true)]
async fn check_under_way_ends_with_its_peer() {
    let a = Checked::new("a", Act::Hang);
    let (balance, handle) = Balance::with_handle([a.endpoint()]);
    let _checker = run(&balance, check().timeout(Duration::MAX));
    a.after(1).await;
    assert!(Arc::strong_count(&a.alive) > 1);
    handle.remove("a");
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&a.alive), 1);
    assert!(balance.snapshot().peers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn peer_keeps_its_counts_across_an_update_and_is_checked_over_its_newest_service() {
    let [old, new] = [Act::Fail, Act::Fail].map(|act| Checked::new("a", act));
    let (balance, handle) = Balance::with_handle([old.endpoint(), well("b")]);
    let _checker = run(&balance, check());
    old.after(2).await;
    handle.replace([well("b"), new.endpoint()]);
    new.after(1).await;
    assert_eq!(state(&balance, "a"), State::Down);
    assert_eq!(old.checks(), 2);
    new.tell(Act::Answer(200));
    new.after(1).await;
    handle.insert(well("c"));
    new.after(1).await;
    assert_eq!(state(&balance, "a"), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn check_under_way_goes_on_across_an_update() {
    let [old, new] = ["a", "a"].map(|name| Checked::new(name, Act::Hang));
    let (balance, handle) = Balance::with_handle([old.endpoint()]);
    let _checker = run(&balance, check().fall(1));
    old.after(1).await;
    handle.replace([new.endpoint()]);
    tokio::time::sleep(2 * SECOND).await;
    tokio::task::yield_now().await;
    assert_eq!(state(&balance, "a"), State::Down);
    assert_eq!(new.checks(), 0);
    new.after(1).await;
    assert_eq!(old.checks(), 1);
}

#[tokio::test(start_paused = true)]
async fn peer_that_was_removed_comes_back_as_well() {
    let a = Checked::new("a", Act::Fail);
    let (balance, handle) = Balance::with_handle([a.endpoint(), well("b")]);
    let (balance, mut told) = heard(balance.pick(InOrder));
    let _checker = run(&balance, check().fall(2));
    // It is busy, so that it is not forgotten when it leaves.
    let slow = Request::get("/slow").body(Full::default()).unwrap();
    let mut slow = Box::pin(balance.clone().oneshot(slow));
    assert!(futures_util::poll!(&mut slow).is_pending());
    a.after(2).await;
    assert_eq!(state(&balance, "a"), State::Down);
    handle.remove("a");
    tokio::task::yield_now().await;
    assert_eq!(state(&balance, "a"), State::Draining);
    handle.insert(a.endpoint());
    assert_eq!(state(&balance, "a"), State::Closed);
    a.after(1).await;
    assert_eq!(state(&balance, "a"), State::Closed);
    a.after(1).await;
    assert_eq!(state(&balance, "a"), State::Down);
    let states = std::iter::from_fn(|| told.try_recv().ok());
    let states: Vec<_> = states.map(|change| change.to()).collect();
    assert_eq!(states, [State::Down, State::Down], "it left in silence");
    drop(slow);
}

#[tokio::test(start_paused = true)]
async fn peer_that_was_forgotten_and_is_back_at_once_starts_anew() {
    let a = Checked::new("a", Act::Fail);
    let (balance, handle) = Balance::with_handle([a.endpoint(), well("b")]);
    let _checker = run(&balance, check());
    a.after(2).await;
    handle.remove("a");
    handle.insert(a.endpoint());
    a.after(2).await;
    assert_eq!(state(&balance, "a"), State::Closed);
    a.after(1).await;
    assert_eq!(state(&balance, "a"), State::Down);
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_listed_twice_is_checked_once() {
    let [a, twin] = ["a", "a"].map(|name| Checked::new(name, Act::Fail));
    let balance = Balance::new([a.endpoint(), twin.endpoint()]);
    let _checker = run(&balance, check());
    a.after(3).await;
    assert_eq!(state(&balance, "a"), State::Down);
    assert_eq!(twin.checks(), 0);
}
