//! Over real sockets: peers that refuse, close or talk rubbish, and servers before the gateway.

use std::{future::ready, net::SocketAddr, vec};

use http::HeaderName;
use hyper::{body::Incoming, service::service_fn as hyper_service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tower_failover::{
    balance::{Balance, Endpoint, InOrder},
    gateway::Failed,
    upstream::{Pool, PoolOptions},
};

use crate::*;

/// A port that is bound, and nobody listens.
fn refusing() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    (socket, url)
}

/// An upstream that reads a request's head, answers with these bytes, and closes.
async fn raw(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn layer() -> GatewayLayer {
    GatewayLayer::new()
        .proxy_status("edge")
        .unwrap()
        .attempts_header(HeaderName::from_static("x-attempts"))
        .unwrap()
}

/// What the gateway says of a failover over these peers.
async fn said<S, R>(peers: impl IntoIterator<Item = Endpoint<S>>) -> String
where
    S: Service<Request<ReplayBody<Body>>, Response = Response<R>, Error: Into<BoxError>>
        + Clone
        + Send
        + Sync
        + 'static,
    R: http_body::Body<Data = Bytes>,
{
    let gateway = ServiceBuilder::new()
        .layer(layer())
        .layer(FailoverLayer::default())
        .service(Balance::new(peers).pick(InOrder));
    let response = gateway.oneshot(get()).await;
    let response = response.unwrap_or_else(|never| match never {});
    response.headers()["proxy-status"]
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn refused_connections_are_told() {
    let ((_first, first), (_second, second)) = (refusing(), refusing());
    let pool = Pool::new();
    let peers = [&first, &second].map(|url| Endpoint::from(pool.upstream(url).unwrap()));
    assert_eq!(
        said(peers).await,
        format!(
            "edge; error=connection_refused; next-hop=\"{second}\"; \
             details=\"connect failure after 2 attempts\""
        )
    );
}

/// Resolves no name.
fn nowhere() -> HttpConnector<
    impl Service<
        hyper_util::client::legacy::connect::dns::Name,
        Response = vec::IntoIter<SocketAddr>,
        Error = io::Error,
        Future = std::future::Ready<io::Result<vec::IntoIter<SocketAddr>>>,
    > + Clone,
> {
    // Of this kind when a resolver's own server refuses: it is not the upstream that did.
    HttpConnector::new_with_resolver(service_fn(|_| {
        ready(Err(io::ErrorKind::ConnectionRefused.into()))
    }))
}

#[tokio::test]
async fn name_that_is_not_resolved_is_told() {
    let pool = PoolOptions::new().build_with(nowhere());
    let upstream = pool.upstream("http://nowhere.invalid").unwrap();
    let said = said([Endpoint::from(upstream)]).await;
    assert!(said.starts_with("edge; error=dns_error;"), "{said}");
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn reqwest_tells_as_much() {
    use reqwest::dns::{Name, Resolve, Resolving};
    use tower_failover::upstream::ReqwestPool;

    struct Nowhere;
    impl Resolve for Nowhere {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(ready(Err(io::Error::other("no such name").into())))
        }
    }
    let client = reqwest::Client::builder().no_proxy();
    let pool = ReqwestPool::new(client.dns_resolver(Nowhere)).unwrap();
    let nowhere = pool.upstream("http://nowhere.invalid").unwrap();
    let nowhere = said([Endpoint::from(nowhere)]).await;
    assert!(nowhere.starts_with("edge; error=dns_error;"), "{nowhere}");

    let (_port, url) = refusing();
    let refused = pool.upstream(&url).unwrap();
    let refused = said([Endpoint::from(refused)]).await;
    assert!(
        refused.starts_with("edge; error=connection_refused;"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_the_upstream_did_is_told() {
    for (answer, error) in [
        ("", "connection_terminated"),
        ("HTTP/1.1 200", "connection_terminated"),
        ("rubbish\r\n\r\n", "http_protocol_error"),
    ] {
        let upstream = Pool::new().upstream(&raw(answer).await).unwrap();
        let said = said([Endpoint::from(upstream)]).await;
        assert!(said.starts_with(&format!("edge; error={error};")), "{said}");
    }
}

/// Serves a gateway over these peers, in HTTP/1 and HTTP/2.
async fn serve<P>(layer: GatewayLayer<P>, peers: &[String]) -> SocketAddr
where
    P: ErrorPage<Context: Send> + Clone + Send + 'static,
{
    let pool = Pool::<ReplayBody<Incoming>>::new();
    let peers = peers.iter().map(|url| pool.upstream(url).unwrap());
    let gateway = ServiceBuilder::new()
        .layer(layer)
        .layer(FailoverLayer::default())
        .service(Balance::new(peers).pick(InOrder));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let gateway = gateway.clone();
            let service = hyper_service_fn(move |request| gateway.clone().oneshot(request));
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let stream = TokioIo::new(stream);
                let _ = server.serve_connection_with_upgrades(stream, service).await;
            });
        }
    });
    addr
}

#[tokio::test]
async fn answer_to_head_has_no_content_whatever_the_version() {
    let (_port, url) = refusing();
    let gateway = serve(layer(), &[url]).await;
    for http2 in [false, true] {
        let client: Client<_, Body> = Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build_http();
        let request = Request::head(format!("http://{gateway}/"));
        let response = client.request(request.body(Body::default()).unwrap()).await;
        let response = response.unwrap();
        assert_eq!(response.status().as_u16(), 502);
        assert_eq!(response.headers()["content-length"], "12");
        assert_eq!(response.headers()["x-attempts"], "1");
        let content = response.into_body().collect().await.unwrap();
        assert_eq!(content.to_bytes(), "", "HTTP/2: {http2}");
    }
}

#[tokio::test]
async fn connection_goes_on_after_a_page() {
    let page = |failed: &Failed<'_>| {
        let response = Response::builder().status(failed.status());
        let response = response.header("content-type", "application/json");
        response.body(Bytes::from_static(b"{}")).unwrap()
    };
    let (_port, url) = refusing();
    let gateway = serve(GatewayLayer::new().page(page), &[url]).await;
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    for _ in 0..2 {
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
        assert!(head.contains("content-length: 2\r\n"), "{head}");
        let mut content = [0; 2];
        stream.read_exact(&mut content).await.unwrap();
        assert_eq!(&content, b"{}");
    }
}

#[tokio::test]
async fn switched_protocols_are_bridged_and_their_response_only_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let echoing = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        let answer = "HTTP/1.1 101 Switching Protocols\r\n\
                      connection: upgrade\r\nupgrade: echo\r\nx-end: 1\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let (_port, dead) = refusing();
    let gateway = serve(layer(), &[dead, echoing]).await;
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    let mut lines: Vec<_> = head.trim_end().split("\r\n").collect();
    lines.retain(|line| !line.starts_with("date: "));
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "HTTP/1.1 101 Switching Protocols",
            "connection: upgrade",
            "upgrade: echo",
            "x-attempts: 2",
            "x-end: 1",
        ]
    );
    let mut stream = BufReader::new(stream);
    stream.write_all(b"another protocol\n").await.unwrap();
    let mut echoed = String::new();
    stream.read_line(&mut echoed).await.unwrap();
    assert_eq!(echoed, "another protocol\n");
}
