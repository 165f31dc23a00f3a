//! reqwest, over HTTP/1.1.

use std::net::SocketAddr;

use http::header::{CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING};
use reqwest::Client;
use tokio::task::JoinHandle;
use tower_failover::{
    failure::{Classify, FailureKind, KnownErrors, Stage},
    replay::Replay,
};

use crate::{
    ROOMY, Seen, Version, data, server, sized,
    support::scripted_body::{ScriptedBody, Step},
    trailers, unsized_,
};

type Exchange = JoinHandle<reqwest::Result<reqwest::Response>>;

fn send(addr: SocketAddr, replay: &Replay<ScriptedBody>) -> Exchange {
    let client = Client::builder().no_proxy().build().unwrap();
    let body = reqwest::Body::wrap(replay.start().unwrap());
    let request = client.post(format!("http://{addr}/")).body(body);
    let request = request.header(TRAILER, "checksum").header(TE, "trailers");
    tokio::spawn(request.send())
}

async fn twice(replay: &Replay<ScriptedBody>) -> [Seen; 2] {
    let (addr, mut told) = server(Version::HTTP_11).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let exchange = send(addr, replay);
        seen.push(told.recv().await.unwrap().read().await);
        exchange.await.unwrap().unwrap();
        assert!(replay.is_sent_in_full());
        replay.revoke_all();
    }
    seen.try_into().ok().unwrap()
}

#[tokio::test]
async fn replay_keeps_content_length() {
    let (replay, _script) = sized([data("one "), data("two"), Step::End], 7);
    for seen in twice(&replay).await {
        assert_eq!(seen.header(CONTENT_LENGTH), Some("7"));
        assert_eq!(seen.header(TRANSFER_ENCODING), None);
        assert_eq!(seen.body, "one two");
    }
}

#[tokio::test]
async fn replay_of_an_empty_body_is_empty() {
    let (body, script) = ScriptedBody::new([Step::End]);
    let replay = Replay::new(body.telling_its_end(), ROOMY);
    for seen in twice(&replay).await {
        assert_eq!(seen.header(TRANSFER_ENCODING), None);
        assert_eq!(seen.length, Some(0));
    }
    assert_eq!(script.polls(), 0);
}

#[tokio::test]
async fn replay_has_its_trailers() {
    let (replay, _script) = unsized_([data("one"), Step::Trailers(trailers()), Step::End]);
    for seen in twice(&replay).await {
        assert_eq!(seen.header(TRANSFER_ENCODING), Some("chunked"));
        assert_eq!(seen.trailers, Some(trailers()));
        assert_eq!(seen.body, "one");
    }
}

#[tokio::test]
async fn revoked_upload_is_incomplete_and_the_replay_is_whole() {
    for (length, framing) in [(Some(11), CONTENT_LENGTH), (None, TRANSFER_ENCODING)] {
        let (body, script) = ScriptedBody::new([data("one ")]);
        let body = match length {
            Some(length) => body.of_length(length),
            None => body,
        };
        let replay = Replay::new(body, ROOMY);
        let (addr, mut told) = server(Version::HTTP_11).await;
        let first = send(addr, &replay);
        let mut old = told.recv().await.unwrap();
        assert!(old.header(framing.clone()).is_some());
        old.takes("one ").await;

        replay.revoke_all();
        let second = send(addr, &replay);
        script.push(data("two "));
        assert_eq!(old.fails().await.0, 0);
        let error = first.await.unwrap().unwrap_err();
        let evidence = KnownErrors.classify(&error).unwrap();
        assert_eq!(evidence.stage, Stage::MaybeProcessed, "{error:?}");
        assert_eq!(evidence.kind, FailureKind::RequestBody, "{error:?}");

        let mut new = told.recv().await.unwrap();
        assert!(new.header(framing).is_some());
        new.takes("one two ").await;
        script.push(data("six"));
        script.push(Step::End);
        assert_eq!(new.read().await.body, "six");
        second.await.unwrap().unwrap();
    }
}
