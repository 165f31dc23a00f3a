//! The examples do what they say.

#[path = "../examples/active_passive.rs"]
#[expect(dead_code, reason = "its `main`")]
mod active_passive;
#[path = "../examples/axum_gateway.rs"]
#[expect(dead_code, reason = "its `main`")]
mod axum_gateway;
#[path = "../examples/circuit_breaker.rs"]
#[expect(dead_code, reason = "its `main`")]
mod circuit_breaker;
#[path = "../examples/consistent_hash.rs"]
#[expect(dead_code, reason = "its `main`")]
mod consistent_hash;
#[path = "../examples/health_status.rs"]
#[expect(dead_code, reason = "its `main`")]
mod health_status;
#[path = "../examples/hedged_upload.rs"]
#[expect(dead_code, reason = "its `main`")]
mod hedged_upload;
#[path = "../examples/outbound_client.rs"]
#[expect(dead_code, reason = "its `main`")]
mod outbound_client;
#[path = "../examples/pingora_guide.rs"]
#[expect(dead_code, reason = "its `main`")]
mod pingora_guide;
#[path = "../examples/regions.rs"]
#[expect(dead_code, reason = "its `main`")]
mod regions;
#[path = "../examples/routes.rs"]
#[expect(dead_code, reason = "its `main`")]
mod routes;
#[path = "../examples/sessions.rs"]
#[expect(dead_code, reason = "its `main`")]
mod sessions;
#[path = "../examples/tower_balance.rs"]
#[expect(dead_code, reason = "its `main`")]
mod tower_balance;

use std::{collections::HashSet, sync::Arc};

use axum::Router;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::channel::Channel;
use tokio::{net::TcpSocket, sync::Barrier};

#[tokio::test]
async fn pingora_guide_goes_to_the_second_peer_and_then_gives_up() {
    let [answered, gave_up] = pingora_guide::run().await.unwrap();

    assert_eq!(answered.status, StatusCode::OK);
    let [first, second] = answered.attempts.attempts() else {
        panic!("two attempts: {answered:?}");
    };
    assert!(
        first.to_string().ends_with(": connect failure"),
        "{answered:?}"
    );
    assert!(second.to_string().ends_with(": status 200"), "{answered:?}");

    assert_eq!(gave_up.status, StatusCode::BAD_GATEWAY);
    assert_eq!(gave_up.attempts.attempts().len(), 2);
}

#[tokio::test]
async fn axum_gateway_answers_itself_and_fails_over_for_the_rest() {
    let answers = axum_gateway::run().await.unwrap();
    let expected = [
        (StatusCode::OK, "well\n"),
        (StatusCode::OK, "you sent \"\"\n"),
        (StatusCode::SERVICE_UNAVAILABLE, "not now\n"),
        (StatusCode::OK, "you sent \"two teapots\"\n"),
    ];
    let answers: Vec<_> = answers
        .iter()
        .map(|(s, text)| (*s, text.as_str()))
        .collect();
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn hedged_upload_is_whole_at_the_server_that_answers() {
    assert_eq!(hedged_upload::run().await.unwrap(), "23 bytes");
}

#[tokio::test]
async fn hedged_upload_survives_a_server_that_is_down() {
    let refusing = TcpSocket::new_v4().unwrap();
    refusing.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let down = format!("http://{}/", refusing.local_addr().unwrap());
    let well = hedged_upload::counting().await.unwrap();
    let [first, second] = [[&down, &well], [&well, &down]].map(|servers| async move {
        let chunk = Bytes::from("an upload");
        hedged_upload::put(servers.map(String::clone), [chunk]).await
    });
    assert_eq!(first.await.unwrap(), "9 bytes");
    assert_eq!(second.await.unwrap(), "9 bytes");
}

/// One of the two attempts loses what was not kept, and the other must not be given up for it.
#[tokio::test]
async fn hedged_upload_survives_the_cap() {
    let both_asked = Arc::new(Barrier::new(3));
    let [one, two] = [(); 2].map(|()| {
        let both_asked = Arc::clone(&both_asked);
        let app = Router::new().fallback(async move |request: axum::extract::Request| {
            both_asked.wait().await;
            let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
            body.map_or_else(
                |_| String::from("cut"),
                |body| format!("{} bytes", body.len()),
            )
        });
        hedged_upload::serve(app)
    });
    let hedged = hedged_upload::Hedged::new([one.await.unwrap(), two.await.unwrap()]);
    let (mut sender, upload) = Channel::new(1);
    let sending = async {
        for sent in 0..32 {
            if sent == 8 {
                both_asked.wait().await;
            }
            sender
                .send_data(Bytes::from(vec![7; 64 << 10]))
                .await
                .unwrap();
        }
        drop(sender);
    };
    let (answer, ()) = tokio::join!(hedged.put(upload), sending);
    assert_eq!(answer.unwrap(), "2097152 bytes");
}

#[tokio::test]
async fn outbound_client_posts_a_whole_body_to_the_second_base() {
    let mut received = vec!["POST /v1/orders of 10 bytes: one teapot"];
    if cfg!(feature = "reqwest") {
        received.push("POST /v1/orders of 11 bytes: two teapots");
    }
    assert_eq!(outbound_client::run().await.unwrap(), received);
}

#[tokio::test]
async fn tower_balance_tries_each_peer_once() {
    let [well, none] = tower_balance::run().await.unwrap();

    assert_eq!(well.status, StatusCode::OK);
    let attempts = well.tried.len().max(1);
    assert_eq!(well.text, format!("attempt {attempts}"));
    assert_eq!(distinct(&well.tried), well.tried.len(), "{well:?}");

    assert_eq!(none.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(none.text, "attempt 3");
    assert_eq!(
        (none.tried.len(), distinct(&none.tried)),
        (3, 3),
        "{none:?}"
    );
}

fn distinct(peers: &[String]) -> usize {
    peers.iter().collect::<HashSet<_>>().len()
}

#[tokio::test]
async fn routes_are_tried_again_by_rules_of_their_own() {
    let answers = routes::run().await.unwrap();
    let answers: Vec<_> = answers
        .iter()
        .map(|(status, attempts, text)| (status.as_u16(), attempts.as_str(), text.as_str()))
        .collect();
    let expected = [
        // One bad answer may be tried again, and no second one.
        (404, "2", "not here\n"),
        // The 503 was declared a refusal; a 404 is an answer.
        (404, "2", "not here\n"),
        // Not so elsewhere.
        (503, "1", "draining\n"),
        (404, "2", "not here\n"),
        (503, "0", r#"{"error":"no peer available"}"#),
    ];
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn active_passive_uses_the_backup_while_the_primary_is_down() {
    let expected = [
        "backup, attempt 2",
        "backup, attempt 2",
        "backup, attempt 1",
        "primary, attempt 1",
    ];
    assert_eq!(active_passive::run().await.unwrap(), expected);
}

#[tokio::test]
async fn consistent_hash_moves_the_users_of_the_drained_server_alone() {
    let [before, meanwhile, after] = consistent_hash::run().await.unwrap();
    assert_eq!(before, after);
    assert!(before.contains(&"b".to_owned()), "{before:?}");
    for (before, meanwhile) in before.iter().zip(&meanwhile) {
        assert_ne!(meanwhile, "b");
        assert!(before == "b" || before == meanwhile);
    }
}

#[tokio::test]
async fn regions_are_left_when_nobody_there_is_up() {
    let expected = [
        "0 down: eu-1, eu-2",
        "1 down: eu-2, eu-2",
        "2 down: us-1, us-2",
        "asked for us: us-1",
    ];
    assert_eq!(regions::run().await.unwrap(), expected);
}

#[tokio::test]
async fn circuit_breaker_opens_after_five_failures_and_closes_after_three_successes() {
    let expected = [
        "second",
        "second",
        "second",
        "second",
        "first: closed to open",
        "second",
        "second",
        "first: open to half-open",
        "first",
        "first",
        "first: half-open to closed",
        "first",
        "first",
    ];
    assert_eq!(circuit_breaker::run().await.unwrap(), expected);
}

#[tokio::test]
async fn sessions_stay_but_for_those_of_servers_that_come_and_go() {
    let [two, three, drained] = sessions::run().await.unwrap();
    for ((before, with_c), after) in two.iter().zip(&three).zip(&drained) {
        assert!(with_c == before || with_c == "c", "{before} {with_c}");
        assert_eq!(after == with_c, with_c != "a", "{with_c} {after}");
    }
    assert!(two.contains(&"a".to_owned()) && three.contains(&"c".to_owned()));
}

#[tokio::test]
async fn status_page_shows_the_server_that_is_down() {
    let page = health_status::run().await.unwrap();
    assert!(page.contains("\"state\":\"down\""), "{page}");
    assert!(
        page.contains("\"last_failure\":\"health check: status 500\""),
        "{page}"
    );
}
