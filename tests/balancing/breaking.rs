use tower_failover::balance::{Breaker, InOrder, State, StateChange};

use crate::*;

pub(super) const PERIOD: Duration = Duration::from_secs(10);

/// Opens after two failures, for ten seconds; closes after two successes.
pub(super) fn breaker() -> Breaker {
    Breaker::new().failures(2).open_for(PERIOD).successes(2)
}

/// Before `a`, which does as it is told, and `b`, which is well, in order.
pub(super) fn pair(acts: &[Act], breaker: Breaker) -> Balance<Peer> {
    Balance::new([peer("a", acts), well("b")])
        .pick(InOrder)
        .breaker(breaker)
}

pub(super) fn state(balance: &Balance<Peer>) -> State {
    balance.snapshot().peers[0].state
}

pub(super) const DOWN: [Act; 2] = [Act::Fail, Act::Fail];

#[tokio::test(start_paused = true)]
async fn some_successes_close_it_again() {
    let balance = pair(&[DOWN.as_slice(), &[Act::Answer(200)]].concat(), breaker());
    assert_eq!(state(&balance), State::Closed);
    names(&balance, 2).await;
    assert_eq!(state(&balance), State::Open);
    tokio::time::advance(PERIOD).await;
    assert_eq!(names(&balance, 1).await, "a");
    assert_eq!(state(&balance), State::HalfOpen);
    assert_eq!(names(&balance, 1).await, "a");
    assert_eq!(state(&balance), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn five_failures_thirty_seconds_and_three_successes_are_the_default() {
    let balance = pair(
        &[&[Act::Fail; 5][..], &[Act::Answer(200)]].concat(),
        Breaker::new(),
    );
    names(&balance, 4).await;
    assert_eq!(state(&balance), State::Closed);
    names(&balance, 1).await;
    assert_eq!(state(&balance), State::Open);
    tokio::time::advance(Duration::from_millis(29_999)).await;
    assert_eq!(names(&balance, 1).await, "b");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(names(&balance, 2).await, "a a");
    assert_eq!(state(&balance), State::HalfOpen);
    names(&balance, 1).await;
    assert_eq!(state(&balance), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn one_request_at_a_time_shows_whether_it_is_well() {
    let balance = pair(&[DOWN.as_slice(), &[Act::Hang]].concat(), breaker());
    names(&balance, 2).await;
    tokio::time::advance(PERIOD).await;
    let mut probe = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut probe).is_pending());
    assert_eq!(names(&balance, 3).await, "b b b");
    drop(probe);
    let mut next = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut next).is_pending(), "at `a` again");
}

#[tokio::test(start_paused = true)]
async fn request_that_cannot_be_repeated_is_asked_only_when_no_other_has_come_for_long() {
    let post = async |balance: &Balance<Peer>| {
        let request = Request::post("/").body(Full::default()).unwrap();
        let response = balance.clone().oneshot(request).await.unwrap();
        response.headers()["name"].to_str().unwrap().to_owned()
    };
    let balance = pair(&[DOWN.as_slice(), &[Act::Answer(200)]].concat(), breaker());
    names(&balance, 2).await;
    tokio::time::advance(PERIOD).await;
    assert_eq!(post(&balance).await, "b");
    tokio::time::advance(PERIOD - Duration::from_millis(1)).await;
    assert_eq!(post(&balance).await, "b");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(post(&balance).await, "a");
    assert_eq!(state(&balance), State::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn failure_opens_it_again_for_longer_each_time() {
    let balance = pair(&[Act::Fail], breaker().open_at_most(PERIOD * 3));
    names(&balance, 2).await;
    for periods in [1, 2, 3, 3] {
        tokio::time::advance(PERIOD * periods - Duration::from_millis(1)).await;
        assert_eq!(names(&balance, 1).await, "b", "{periods}");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(names(&balance, 2).await, "- b", "{periods}");
    }
}

#[tokio::test(start_paused = true)]
async fn time_that_it_was_closed_makes_it_short_again() {
    let well_again = [Act::Answer(200), Act::Answer(200)];
    let acts = [
        DOWN,
        [Act::Fail, Act::Answer(200)],
        [Act::Answer(200), Act::Fail],
        DOWN,
    ]
    .concat();
    for (closed_for, periods) in [(0, 3), (1, 2), (2, 1), (9, 1)] {
        let balance = pair(&acts, breaker());
        names(&balance, 2).await;
        tokio::time::advance(PERIOD).await;
        assert_eq!(names(&balance, 1).await, "-");
        tokio::time::advance(PERIOD * 2).await;
        assert_eq!(names(&balance, well_again.len()).await, "a a");
        tokio::time::advance(PERIOD * closed_for).await;
        assert_eq!(names(&balance, 3).await, "- - b");
        tokio::time::advance(PERIOD * periods - Duration::from_millis(1)).await;
        assert_eq!(names(&balance, 1).await, "b", "{closed_for}");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(names(&balance, 1).await, "-", "{closed_for}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_within_a_time_open_it_whatever_came_between() {
    let acts = [Act::Fail, Act::Answer(200), Act::Fail, Act::Answer(200)];
    let within = |time| Breaker::never().failures_within(2, time).open_for(PERIOD);
    let balance = pair(&acts, within(PERIOD));
    assert_eq!(names(&balance, 4).await, "- a - b");
    let balance = pair(&acts, within(PERIOD));
    assert_eq!(names(&balance, 2).await, "- a");
    tokio::time::advance(PERIOD).await;
    assert_eq!(names(&balance, 2).await, "- a");
}

#[tokio::test(start_paused = true)]
async fn too_few_successes_open_it() {
    let acts: Vec<_> = [Act::Fail, Act::Answer(200)]
        .into_iter()
        .cycle()
        .take(20)
        .collect();
    for (least, outcomes, left_out) in [(0.6, 4, true), (0.4, 4, false), (0.6, 40, false)] {
        let breaker = Breaker::never()
            .success_rate(least, outcomes, PERIOD)
            .unwrap();
        let balance = pair(&acts, breaker);
        let answered = names(&balance, 9).await.contains('b');
        assert_eq!(answered, left_out, "{least} of {outcomes}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_half_of_the_peers_are_out_and_one_stays() {
    for (peers, most, out) in [
        (1, 0.5, 0),
        (2, 0.5, 1),
        (3, 0.5, 2),
        (4, 0.5, 2),
        (4, 0.0, 0),
        (4, 1.0, 4),
    ] {
        let sick = ["a", "b", "c", "d"].map(|name| peer(name, &[Act::Fail]));
        let balance = Balance::new(sick.into_iter().take(peers)).breaker(breaker());
        let balance = balance.max_ejected(most).unwrap();
        names(&balance, 40).await;
        let snapshot = balance.snapshot();
        let open = snapshot
            .peers
            .iter()
            .filter(|peer| peer.state == State::Open);
        assert_eq!(open.count(), out, "{most} of {peers}");
    }
}

#[tokio::test(start_paused = true)]
async fn sick_peer_that_is_one_too_many_to_be_out_has_a_tenth_of_its_turns() {
    fastrand::seed(5);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let sick = ["a", "b", "c"].map(|name| peer(name, &[Act::Fail]));
    let balance = Balance::new(sick.into_iter().chain([well("d")]));
    let balance = balance
        .breaker(breaker())
        .on_state_change(move |change: &StateChange| hears.lock().unwrap().push(change.to()));
    names(&balance, 40).await;
    let (open, suspect) = (State::Open, State::Suspect);
    assert_eq!(*heard.lock().unwrap(), [open, open, suspect]);
    let failed = names(&balance, 1_000).await.matches('-').count();
    assert!((20..90).contains(&failed), "{failed} of 500 turns");
}

#[tokio::test(start_paused = true)]
async fn suspect_peer_that_answers_well_is_one_like_others() {
    let acts = [Act::Fail, Act::Fail, Act::Answer(200)];
    let balance = Balance::new([peer("a", &acts)]).breaker(breaker());
    names(&balance, 2).await;
    assert_eq!(state(&balance), State::Suspect, "the only one stays");
    assert_eq!(names(&balance, 1).await, "a");
    assert_eq!(state(&balance), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn whole_tier_may_be_out_where_its_backups_stand() {
    let sick = ["a", "b"].map(|name| peer(name, &[Act::Fail]));
    let backups = |act| ["c", "d"].map(|name| peer(name, &[act]).backup());
    let out = |balance: &Balance<Peer>| {
        let snapshot = balance.snapshot();
        let open = snapshot
            .peers
            .iter()
            .filter(|peer| peer.state == State::Open);
        open.map(|peer| peer.peer.to_string()).collect::<String>()
    };
    let balance = Balance::new(sick.clone().into_iter().chain(backups(Act::Answer(200))));
    let balance = balance.breaker(breaker());
    assert!(names(&balance, 9).await.ends_with("c d c d c"));
    assert_eq!(out(&balance), "ab");
    let balance = Balance::new(sick.into_iter().chain(backups(Act::Fail))).breaker(breaker());
    names(&balance, 40).await;
    let out = out(&balance);
    assert_eq!(out.len(), 3, "{out}: one of the last tier stays");
}

#[tokio::test(start_paused = true)]
async fn peer_that_came_back_is_asked_sooner_when_another_is_to_go() {
    let second = Duration::from_secs(1);
    for (waited, expected) in [(second * 2, "- - a a a"), (second / 2, "- - c c c")] {
        let acts = [DOWN.as_slice(), &[Act::Answer(200)]].concat();
        let balance = Balance::new([peer("a", &acts), peer("b", &[Act::Fail]), well("c")]);
        let balance = balance.pick(InOrder).breaker(breaker());
        let balance = balance.max_ejected(0.1).unwrap();
        fastrand::seed(1);
        tokio::time::advance(second * 2).await;
        names(&balance, 2).await;
        tokio::time::advance(waited).await;
        // `a` is out, and nobody else may be: but after a tenth of its time it may show that it is well.
        assert_eq!(names(&balance, 5).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_began_before_it_opened_says_nothing_of_the_time_after() {
    let acts = [
        Act::Hang,
        Act::Fail,
        Act::Fail,
        Act::Answer(200),
        Act::Answer(200),
    ];
    let balance = pair(&acts, breaker());
    let mut old = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut old).is_pending());
    names(&balance, 2).await;
    tokio::time::advance(PERIOD).await;
    assert_eq!(names(&balance, 1).await, "a");
    drop(old);
    assert_eq!(state(&balance), State::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn ejected_peer_that_answers_when_no_other_is_left_is_well_again() {
    let acts = [Act::Fail, Act::Fail, Act::Answer(200)];
    let balance = Balance::new([peer("a", &acts), peer("b", &[Act::Fail])]);
    let balance = balance.pick(InOrder).breaker(breaker());
    names(&balance, 2).await;
    assert_eq!(state(&balance), State::Open);
    // What a failover would do: `b` fails, and `a` is all that is left.
    let passes = |peer: &str| peer == "a";
    for _ in 0..2 {
        let only = Balance::clone(&balance).pick(
            move |candidates: &tower_failover::balance::Candidates<'_>| {
                candidates.indices().find(|index| {
                    candidates
                        .get(*index)
                        .is_some_and(|peer| passes(peer.name()))
                })
            },
        );
        assert_eq!(names(&only, 1).await, "a");
    }
    assert_eq!(state(&balance), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn grpc_peer_that_is_unavailable_counts_and_one_that_knows_no_answer_does_not() {
    for (code, left_out) in [("14", true), ("5", false), ("0", false)] {
        let service = service_fn(move |_: Request<Body>| async move {
            let response = Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", code)
                .header("name", "a");
            Ok::<_, io::Error>(response.body(Full::default()).unwrap())
        });
        let balance = Balance::new([Endpoint::new("a", Peer::new(service)), well("b")]);
        let balance = balance.pick(InOrder).breaker(breaker());
        names(&balance, 2).await;
        let next = if left_out { "b" } else { "a" };
        assert_eq!(names(&balance, 1).await, next, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn status_counts_where_it_is_said_to() {
    for (status, left_out) in [(500, true), (503, false), (404, false)] {
        let breaker = breaker().statuses("500".parse().unwrap());
        let balance = pair(&[Act::Answer(status)], breaker);
        names(&balance, 2).await;
        let next = if left_out { "b" } else { "a" };
        assert_eq!(names(&balance, 1).await, next, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn listener_hears_of_every_change_and_of_nothing_else() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let acts = [DOWN, [Act::Fail, Act::Answer(200)], [Act::Answer(200); 2]].concat();
    let balance = pair(&acts, breaker()).on_state_change(move |change: &StateChange| {
        let fault = change.fault().map(|fault| fault.to_string());
        let out_for = change.out_for().map(|time| time.as_secs());
        let line = format!(
            "{} {}->{} {fault:?} {out_for:?}",
            change.peer(),
            change.from(),
            change.to()
        );
        hears.lock().unwrap().push(line);
    });
    names(&balance, 5).await;
    tokio::time::advance(PERIOD).await;
    names(&balance, 5).await;
    tokio::time::advance(PERIOD * 2).await;
    names(&balance, 5).await;
    let heard = heard.lock().unwrap();
    let expected = [
        "a closed->open Some(\"connection closed before a response\") Some(10)",
        "a open->half-open None None",
        "a half-open->open Some(\"connection closed before a response\") Some(20)",
        "a open->half-open None None",
        "a half-open->closed None None",
    ];
    assert_eq!(*heard, expected);
}

#[test]
fn shares_that_cannot_be_meant_are_refused() {
    let balance = || Balance::new([well("a")]);
    for wrong in [-0.1, 1.5, f64::NAN] {
        for error in [
            balance().max_ejected(wrong).unwrap_err(),
            balance().panic_threshold(wrong).unwrap_err(),
            balance().spill_over(wrong).unwrap_err(),
        ] {
            assert_eq!(error.value(), wrong.to_string());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn peer_of_two_tiers_may_be_out_where_another_tier_stands_without_it() {
    let sick = || peer("a", &[Act::Fail]);
    let between = [sick(), well("b").tier(1), sick().tier(2)];
    let balance = Balance::new(between).eject(2, PERIOD);
    assert_eq!(names(&balance, 4).await, "- - b b");
    // Of these none stands without it.
    let alone = Balance::new([sick(), sick().tier(1)]).eject(2, PERIOD);
    names(&alone, 4).await;
    assert_eq!(alone.snapshot().peers[0].ejections, 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_out_where_nobody_may_be_although_backups_stand() {
    let balance = Balance::new([peer("a", &[Act::Fail]), well("b").backup()]);
    let balance = balance.breaker(breaker()).max_ejected(0.0).unwrap();
    assert_eq!(names(&balance, 5).await, "- - - - -");
    assert_eq!(state(&balance), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn request_that_may_not_ask_who_is_well_again_goes_to_a_well_peer_of_the_same_tier() {
    let sick = ["a", "b", "c"].map(|name| peer(name, &[Act::Fail, Act::Fail, Act::Hang]));
    let peers = sick.into_iter().chain([well("d"), well("e").backup()]);
    let balance = Balance::new(peers).pick(InOrder).breaker(breaker());
    let balance = balance.max_ejected(1.0).unwrap();
    assert_eq!(names(&balance, 7).await, "- - - - - - d");
    tokio::time::advance(PERIOD).await;
    let mut probe = Box::pin(send(&balance));
    assert!(futures_util::poll!(&mut probe).is_pending());
    assert_eq!(names(&balance, 3).await, "d d d");
}

#[tokio::test(start_paused = true)]
async fn backup_that_is_well_stands_in_for_a_suspect_peer() {
    fastrand::seed(9);
    let [a, b] = ["a", "b"].map(|name| super::readiness::gate(name, false).0);
    let [c, d] = ["c", "d"].map(|name| peer(name, &[Act::Fail]).backup());
    let (balance, handle) = Balance::with_handle([a, b, c, d, well("e").backup()]);
    let balance = balance.pick(InOrder).eject(1, PERIOD);
    let balance = balance.max_ejected(0.01).unwrap();
    // More of the backups are out than may be, for the others stood then.
    assert_eq!(names(&balance, 3).await, "- - e");
    handle.insert(peer("a", &[Act::Fail]));
    handle.insert(peer("b", &[Act::Fail]));
    let states = || balance.snapshot().peers.into_iter().map(|peer| peer.state);
    while states().nth(1) != Some(State::Suspect) {
        assert!(send(&balance).await.is_err());
    }
    let names = names(&balance, 20).await;
    assert!(names.matches('e').count() >= 15, "{names}");
}

#[tokio::test(start_paused = true)]
async fn listener_that_panics_costs_no_request() {
    let balance = pair(&DOWN, breaker()).on_state_change(|change: &StateChange| {
        panic!("{change:?}");
    });
    assert_eq!(names(&balance, 3).await, "- - b");
    assert_eq!(state(&balance), State::Open);
}
