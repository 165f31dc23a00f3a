//! What nginx, HAProxy, Envoy, Caddy, Traefik, Pingora, linkerd2-proxy, Finagle and gRPC do, case by case: the
//! real layer over real connections to scripted upstreams.

mod support {
    pub(crate) mod cases;
    pub(crate) mod scripted;
    pub(crate) mod stopped_clock;
    pub(crate) mod strict;
}

mod peer_cases {
    pub(crate) mod answer;
    pub(crate) mod client;
    pub(crate) mod configure;
    mod health;
    pub(crate) mod stack;
}

use std::time::Duration;

use futures_util::future::join_all;
use peer_cases::{
    answer::{Answer, upload},
    client,
    stack::Stack,
};
use support::cases::{Case, Tier, load};
use tokio::time::Instant;

/// One case, from the start of its upstreams to what the client and they have seen.
async fn play(case: &Case) -> Result<(), String> {
    let stack = Stack::start(case).await;
    let request = stack.call(client::request(case, &stack));
    if let Some(patience) = case.request.abort_after_ms {
        let patience = Duration::from_millis(patience);
        let left = tokio::time::timeout(patience, request).await.is_err();
        let made = stack.attempts();
        stack.stop().await;
        let right = left && Some(made) == case.expect.attempts;
        return right
            .then_some(())
            .ok_or_else(|| format!("{}: left {left}, {made} attempts", case.id));
    }
    let start = Instant::now();
    let response = request.await;
    let seen = Answer::read(response, start.elapsed()).await;
    let mut wrong = seen.compare(case, &stack);
    wrong.extend(upload(case, &stack).await);
    stack.stop().await;
    if wrong.is_empty() {
        Ok(())
    } else {
        let wrong = wrong.join("\n    ");
        Err(format!("{}: {}\n    {wrong}", case.id, case.note))
    }
}

async fn play_all(wanted: impl Fn(&Case) -> bool) -> usize {
    let (mut count, mut wrong) = (0, Vec::new());
    let cases: Vec<Case> = load().into_iter().filter(|case| wanted(case)).collect();
    for cases in cases.chunks(8) {
        let played = cases.iter().map(|case| async {
            let limit = Duration::from_secs(30);
            let played = tokio::time::timeout(limit, play(case)).await;
            played.unwrap_or_else(|_| Err(format!("{}: does not end", case.id)))
        });
        for result in join_all(played).await {
            count += 1;
            wrong.extend(result.err());
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    count
}

#[tokio::test]
async fn core_cases() {
    assert_eq!(play_all(|case| case.tier == Tier::Core).await, 68);
}

/// Cases of these tiers that need what there is not.
const LACKING: [(&str, &str); 4] = [
    ("env-12", "a deadline that covers the response's body"),
    ("env-47", "a budget of retries that are under way"),
    ("grp-01", "a throttle that looks at every failure"),
    ("grp-06", "refused streams that count for no limit"),
];

fn is_lacking(case: &Case) -> bool {
    LACKING.iter().any(|(id, _)| case.id == *id)
}

/// Those that wait so long that their clock is stopped.
fn waits(case: &Case) -> bool {
    !case.expect.delays_ms.is_empty()
}

/// Those that another test plays: over TLS, many times, or several requests in a row.
fn is_played_elsewhere(case: &Case) -> bool {
    let elsewhere = ["hap-14", "fin-04", "l5d-14"];
    elsewhere.contains(&case.id.as_str())
        || case.tier == Tier::Health && case.expect.attempts.is_none()
}

fn is_of(case: &Case, tier: Tier) -> bool {
    case.tier == tier && !is_lacking(case) && !is_played_elsewhere(case)
}

#[tokio::test]
async fn option_cases() {
    let played = play_all(|case| is_of(case, Tier::Option) && !waits(case)).await;
    assert_eq!(played, 13);
}

#[tokio::test(start_paused = true)]
async fn option_cases_that_wait() {
    let played = play_all(|case| is_of(case, Tier::Option) && waits(case)).await;
    assert_eq!(played, 3);
}

#[tokio::test]
async fn budget_cases() {
    assert_eq!(play_all(|case| is_of(case, Tier::Budget)).await, 3);
}

#[tokio::test]
async fn health_cases_of_one_request() {
    assert_eq!(play_all(|case| is_of(case, Tier::Health)).await, 2);
}

/// linkerd2-proxy's retry_uses_budget.
#[tokio::test]
async fn retries_of_several_requests_share_a_budget() {
    let mut case = load().into_iter().find(|case| case.id == "l5d-14").unwrap();
    case.config.budget_balance = Some(1);
    case.config.budget_ratio = Some(0.1);
    case.upstreams[0].cycle = true;
    let stack = Stack::start(&case).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let response = stack.call(client::request(&case, &stack)).await;
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 533, 200]);
    assert_eq!(stack.attempts(), 4);
    stack.stop().await;
}

#[tokio::test]
async fn conflict_cases_on_our_side() {
    assert_eq!(play_all(|case| case.tier == Tier::Conflict).await, 8);
}

#[tokio::test]
async fn case_that_expects_the_wrong_thing_is_caught() {
    let mut case = load().into_iter().find(|case| case.id == "ngx-01").unwrap();
    play(&case).await.unwrap();
    case.expect.attempts = Some(1);
    let wrong = play(&case).await.unwrap_err();
    assert!(wrong.contains("attempts: got 2"), "{wrong}");
}
