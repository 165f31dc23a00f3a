use tower_failover::balance::{InOrder, State};

use super::breaking::{DOWN, PERIOD, breaker, pair, state};
use crate::*;

/// Starts a request, and leaves it where it is.
macro_rules! hang {
    ($balance:expr) => {{
        let mut request = Box::pin(send($balance));
        assert!(futures_util::poll!(&mut request).is_pending());
        request
    }};
}

#[tokio::test(start_paused = true)]
async fn request_that_shows_nothing_for_long_is_not_the_only_one() {
    let acts = [DOWN.as_slice(), &[Act::Hang, Act::Answer(200)]].concat();
    let balance = pair(&acts, breaker());
    names(&balance, 2).await;
    tokio::time::advance(PERIOD).await;
    let probe = hang!(&balance);
    tokio::time::advance(PERIOD - Duration::from_millis(1)).await;
    assert_eq!(names(&balance, 1).await, "b");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(names(&balance, 2).await, "a a");
    assert_eq!(state(&balance), State::Closed);
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn request_whose_place_another_took_does_not_end_that_ones() {
    let balance = pair(&[DOWN.as_slice(), &[Act::Hang]].concat(), breaker());
    names(&balance, 2).await;
    tokio::time::advance(PERIOD).await;
    let first = hang!(&balance);
    tokio::time::advance(PERIOD).await;
    let second = hang!(&balance);
    drop(first);
    assert_eq!(names(&balance, 1).await, "b");
    drop(second);
    let _third = hang!(&balance);
}

#[tokio::test(start_paused = true)]
async fn peer_that_shows_nothing_does_not_keep_others_out() {
    let acts = [DOWN.as_slice(), &[Act::Hang]].concat();
    let (a, b) = (peer("a", &acts), peer("b", &acts));
    let (balance, handle) = Balance::with_handle([a, b, well("c"), well("d")]);
    let balance = balance.pick(InOrder).breaker(breaker());
    assert_eq!(names(&balance, 5).await, "- - - - c");
    tokio::time::advance(PERIOD).await;
    let at_a = hang!(&balance);
    assert_eq!(names(&balance, 1).await, "c", "one at a time of so few");
    handle.remove("a");
    assert_eq!(names(&balance, 1).await, "c");
    tokio::time::advance(PERIOD).await;
    let _at_b = hang!(&balance);
    drop(at_a);
    assert_eq!(names(&balance, 1).await, "c");
}
