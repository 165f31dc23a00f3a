//! Policies made of policies, and of routes.

use tokio::time::Instant;
use tower_failover::policy::{
    Event, PerRoute, PolicyExt, RoutePolicy, SafeToRepeat, Verdict, policy_fn,
};

use crate::support::script::status;
use crate::*;

#[tokio::test(start_paused = true)]
async fn both_must_want_it() {
    let policy = || on("503,404").and(on("503,reset"));
    assert_eq!(attempts(policy(), &[503, 200], get()).await, 2);
    assert_eq!(attempts(policy(), &[404, 200], get()).await, 1);
    assert_eq!(attempts(policy(), &[0, 200], get()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn both_must_allow_it() {
    let allows = |verdict: Verdict| {
        policy_fn(move |_, event| match event {
            Event::Response(head) if head.status == 200 => Verdict::deliver(),
            _ => verdict,
        })
    };
    let retry = Verdict::retry;
    let one = || allows(retry().even_non_idempotent());
    assert_eq!(
        attempts(one().and(allows(retry())), &[503, 200], post()).await,
        1
    );
    assert_eq!(attempts(one().and(one()), &[503, 200], post()).await, 2);

    let start = Instant::now();
    let slow = allows(retry().after(300 * MS)).and(allows(retry().after(200 * MS)));
    assert_eq!(attempts(slow, &[503, 200], get()).await, 2);
    assert_eq!(start.elapsed(), 300 * MS);
}

#[tokio::test(start_paused = true)]
async fn second_is_not_asked_for_its_consent_when_the_first_delivers() {
    let never = policy_fn(|_, event| match event {
        Event::Response(head) if head.status == 200 => Verdict::deliver(),
        event => panic!("asked about {event:?}"),
    });
    assert_eq!(attempts(on("503").and(never), &[404, 200], get()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_wants_it_is_enough() {
    let policy = || on("503").or(on("404"));
    for (code, made) in [(503, 2), (404, 2), (500, 1)] {
        assert_eq!(attempts(policy(), &[code, 200], get()).await, made);
    }
}

#[tokio::test(start_paused = true)]
async fn limit_binds_its_own_rule_and_no_other() {
    let policy = || on("connect-failure").or(on("503").limited(1));
    assert_eq!(attempts(policy(), &[503, 503, 200], get()).await, 2);
    assert_eq!(
        attempts(policy(), &[1, 503, 1, 1, 503, 200], get()).await,
        5
    );
    // Each request has the limit for itself.
    let policy = policy();
    for _ in 0..2 {
        assert_eq!(attempts(policy.clone(), &[503, 503, 200], get()).await, 2);
    }
    assert_eq!(attempts(on("503").limited(0), &[503, 200], get()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn condition_on_the_head_decides_what_is_retried() {
    let policy = || on("503").only_if(|head| head.uri.path().starts_with("/path"));
    assert_eq!(attempts(policy(), &[503, 200], get()).await, 2);
    let other = Request::get("/other").body(Full::default()).unwrap();
    assert_eq!(attempts(policy(), &[503, 200], other).await, 1);
}

#[tokio::test(start_paused = true)]
async fn condition_binds_its_own_rule_and_no_other() {
    let policy = || {
        on("503")
            .only_if(|head| head.method == Method::GET)
            .or(on("404"))
    };
    let put = || request(Method::PUT);
    assert_eq!(attempts(policy(), &[503, 200], get()).await, 2);
    assert_eq!(attempts(policy(), &[503, 200], put()).await, 1);
    assert_eq!(attempts(policy(), &[404, 200], put()).await, 2);
    let swapped = || on("404").or(on("503").only_if(|head| head.method == Method::GET));
    assert_eq!(attempts(swapped(), &[503, 200], put()).await, 1);
    assert_eq!(attempts(swapped(), &[503, 200], get()).await, 2);
}

#[tokio::test(start_paused = true)]
async fn condition_on_a_response_forbids_what_any_part_wants() {
    let policy = || on("503").or(on("5xx")).unless(|head| head.status == 503);
    assert_eq!(attempts(policy(), &[503, 200], get()).await, 1);
    assert_eq!(attempts(policy(), &[500, 200], get()).await, 2);
    assert_eq!(
        attempts(on("reset").unless(|_| true), &[0, 200], get()).await,
        2
    );
}

#[tokio::test(start_paused = true)]
async fn refusals_can_be_declared_by_the_head() {
    let policy = |code: u16| on("").refused_if(move |head| head.status == code);
    assert_eq!(attempts(policy(503), &[503, 200], post()).await, 2);
    assert_eq!(attempts(policy(503), &[500, 200], post()).await, 1);
}

fn routed(policy: impl Policy + Clone + Send + Sync + 'static) -> Request<Body> {
    let mut request = get();
    request.extensions_mut().insert(RoutePolicy::new(policy));
    request
}

#[tokio::test(start_paused = true)]
async fn route_has_a_policy_of_its_own() {
    let policy = || PerRoute::new(on("503"));
    assert_eq!(attempts(policy(), &[503, 200], get()).await, 2);
    assert_eq!(attempts(policy(), &[404, 200], get()).await, 1);
    assert_eq!(attempts(policy(), &[404, 200], routed(on("404"))).await, 2);
    assert_eq!(attempts(policy(), &[503, 200], routed(on("404"))).await, 1);
    assert_eq!(attempts(policy(), &[503, 200], routed(on(""))).await, 1);
    // A layer that never retries does so for the routes that want it.
    assert_eq!(
        attempts(PerRoute::new(on("")), &[404, 200], routed(on("404"))).await,
        2
    );
}

#[tokio::test(start_paused = true)]
async fn route_is_ignored_by_a_layer_that_does_not_ask_for_it() {
    assert_eq!(attempts(on("503"), &[404, 200], routed(on("404"))).await, 1);
}

#[tokio::test(start_paused = true)]
async fn each_request_of_a_route_has_a_state_of_its_own() {
    let route = RoutePolicy::new(on("404").limited(1));
    let policy = PerRoute::new(on("503"));
    for _ in 0..3 {
        let mut request = get();
        request.extensions_mut().insert(route.clone());
        assert_eq!(attempts(policy.clone(), &[404, 404, 200], request).await, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn routes_policy_prepares_its_attempts() {
    #[derive(Clone, Default)]
    struct Marks(u32);
    impl Policy for Marks {
        fn prepare(
            &mut self,
            _: &tower_failover::policy::Attempt<'_>,
            head: &mut http::request::Parts,
        ) {
            self.0 += 1;
            head.headers.insert("x-mark", self.0.into());
        }
    }
    let script = Script::new()
        .then(|request| async move {
            assert_eq!(request.headers()["x-mark"], "1");
            Err(refused())
        })
        .then(|request| async move {
            assert_eq!(request.headers()["x-mark"], "2");
            status(200)
        });
    let layer = FailoverLayer::new(PerRoute::new(on("")));
    let response = run(layer, &script, routed(Marks::default())).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn unprocessed_is_a_proof_and_no_permission() {
    let early = policy_fn(|_, event| match event {
        Event::Response(head) if head.status == 425 => Verdict::retry().unprocessed(),
        Event::ErrorWhileProxy(_) => Verdict::retry(),
        _ => Verdict::deliver(),
    });
    assert_eq!(attempts(early, &[425, 200], post()).await, 2);
    assert_eq!(attempts(early, &[0, 200], post()).await, 1);
    // The user's word that the request must not be repeated does not stand against a proof.
    let mut request = post();
    request.extensions_mut().insert(SafeToRepeat(false));
    assert_eq!(attempts(early, &[425, 200], request).await, 2);
}
