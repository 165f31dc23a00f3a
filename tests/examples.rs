//! The examples do what they say.

#[path = "../examples/axum_gateway.rs"]
#[expect(dead_code, reason = "its `main`")]
mod axum_gateway;
#[path = "../examples/hedged_upload.rs"]
#[expect(dead_code, reason = "its `main`")]
mod hedged_upload;
#[path = "../examples/outbound_client.rs"]
#[expect(dead_code, reason = "its `main`")]
mod outbound_client;
#[path = "../examples/pingora_guide.rs"]
#[expect(dead_code, reason = "its `main`")]
mod pingora_guide;
#[path = "../examples/tower_balance.rs"]
#[expect(dead_code, reason = "its `main`")]
mod tower_balance;

use std::collections::HashSet;

use http::StatusCode;

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
