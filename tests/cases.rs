//! What nginx, HAProxy, Envoy, Caddy, Traefik, Pingora, linkerd2-proxy, Finagle and gRPC do, case by case: the real layer over real
//! connections to scripted upstreams.

mod support {
    pub(crate) mod cases;
    pub(crate) mod scripted;
    pub(crate) mod strict;
}

mod peer_cases {
    pub(crate) mod client;
    pub(crate) mod stack;
}

use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::BodyExt;
use peer_cases::{client, stack::Stack};
use support::cases::{Case, Expect, ServedBy, Tier, load};
use tokio::time::Instant;

/// One case, from the start of its upstreams to what the client and they have seen.
async fn play(case: &Case) -> Result<(), String> {
    let stack = Stack::start(case).await;
    let start = Instant::now();
    let response = stack.call(client::request(case, &stack)).await;
    let elapsed = start.elapsed();
    let status = response.status().as_u16();
    let served_by = response.headers().get("x-served-by").cloned();
    let served_by = served_by.map(|name| name.to_str().unwrap_or_default().to_owned());
    let body = response.into_body().collect().await;
    let mut wrong = Vec::new();
    let mut check = |what: &str, right: bool, got: String| {
        if !right {
            wrong.push(format!("{what}: got {got}"));
        }
    };
    let Expect {
        status: expected,
        attempts,
        attempts_by,
        served_by: server,
        body: text,
        client_body_error,
        body_seen,
        trailers_seen,
        elapsed_ms,
        ..
    } = &case.expect;
    check(
        "status",
        expected.is_none_or(|code| code == status),
        status.to_string(),
    );
    let made = stack.attempts();
    check(
        "attempts",
        attempts.is_none_or(|most| most == made),
        made.to_string(),
    );
    for upstream in stack.upstreams() {
        let expected = attempts_by.get(upstream.name()).copied();
        let made = upstream.attempts();
        check(
            upstream.name(),
            expected.is_none_or(|most| most == made),
            made.to_string(),
        );
    }
    let right = match server {
        ServedBy::Any => served_by.is_some(),
        ServedBy::Nobody => served_by.is_none() || stack.answers_itself(),
        ServedBy::Upstream(name) => served_by.as_ref() == Some(name),
    };
    check("served by", right, format!("{served_by:?}"));
    check(
        "body error",
        *client_body_error == body.is_err(),
        format!("{body:?}"),
    );
    if let (Some(text), Ok(body)) = (text, body) {
        let body = body.to_bytes();
        check("body", body == text.as_bytes(), format!("{body:?}"));
    }
    if let Some(length) = body_seen {
        let seen = stack.last_seen(made).await;
        let whole = seen.complete && seen.body == client::payload(*length);
        check(
            "body seen",
            whole,
            format!("{} bytes, {seen:?}", seen.body.len()),
        );
        for (name, value) in trailers_seen {
            let field = (name.clone(), value.clone());
            check(
                "trailer",
                seen.trailers.contains(&field),
                format!("{:?}", seen.trailers),
            );
        }
    }
    if let Some([least, most]) = elapsed_ms {
        let took = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        // The upper bound is a peer's own timing; a busy machine may be slower.
        check(
            "elapsed",
            took >= *least && took <= most + 2_000,
            took.to_string(),
        );
    }
    stack.stop().await;
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{}: {}\n    {}",
            case.id,
            case.note,
            wrong.join("\n    ")
        ))
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
