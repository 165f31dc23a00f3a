//! Whether a connection had served a response before it failed, as an upstream writes it down.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use tower::ServiceExt;
use tower_failover::{
    trail::{Peer as Name, Trail},
    upstream::{Pool, Upstream},
};

use super::support::{Closed, Peer, answer, beside, read_head};

type Body = Empty<Bytes>;

fn upstream(uri: &str) -> Upstream<Body> {
    let uri: http::Uri = uri.parse().unwrap();
    let authority = uri.authority().unwrap();
    Pool::new()
        .upstream(&format!("http://{authority}"))
        .unwrap()
}

/// What the trail of a request that fails says.
async fn reused(upstream: &Upstream<Body>) -> Option<bool> {
    let trail = Trail::new();
    assert!(trail.choose(&Name::new("peer"), None));
    let request = Request::get("/").extension(trail.clone()).body(Body::new());
    let failed = upstream.clone().oneshot(request.unwrap()).await;
    failed.unwrap_err();
    trail.reused()
}

async fn succeeds(upstream: &Upstream<Body>) {
    let response = upstream.clone().oneshot(Request::new(Body::new())).await;
    response.unwrap().into_body().collect().await.unwrap();
}

#[tokio::test]
async fn fresh_connection_is_not_reused() {
    let peer = Peer::bind().await;
    let upstream = upstream(&peer.uri.to_string());
    let told = beside(reused(&upstream), async {
        read_head(&mut peer.accept().await).await;
    })
    .await;
    assert_eq!(told, Some(false));
}

#[tokio::test]
async fn connection_that_served_is_reused() {
    let peer = Peer::bind().await;
    let upstream = upstream(&peer.uri.to_string());
    let both = async {
        succeeds(&upstream).await;
        reused(&upstream).await
    };
    let told = beside(both, async {
        let mut stream = peer.accept().await;
        read_head(&mut stream).await;
        answer(&mut stream).await;
        read_head(&mut stream).await;
    })
    .await;
    assert_eq!(told, Some(true));
}

#[tokio::test]
async fn without_a_connection_there_is_no_answer() {
    let closed = Closed::bind();
    assert_eq!(reused(&upstream(&closed.uri.to_string())).await, None);
}
