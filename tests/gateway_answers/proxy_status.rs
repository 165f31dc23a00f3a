//! What went wrong, in `Proxy-Status` (RFC 9209).

use std::io::{self, ErrorKind};

use http::HeaderValue;
use tower_failover::{
    gateway::Failed,
    trail::{Peer, Trail},
};

use crate::*;

fn layer() -> GatewayLayer {
    GatewayLayer::new().proxy_status("edge").unwrap()
}

/// The field's lines.
fn lines(response: &Answer) -> Vec<&str> {
    let values = response.headers().get_all("proxy-status").iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn each_kind_of_failure_has_its_error_type() {
    let types = [
        "destination_unavailable",
        "connection_timeout",
        "tls_certificate_error",
        "connection_terminated",
        "http_protocol_error",
        "http_response_timeout",
        "http_response_timeout",
        "connection_terminated",
        "connection_limit_reached",
        "http_request_error",
        "http_request_error",
        "destination_unavailable",
        "proxy_internal_error",
    ];
    for (kind, error) in KINDS.into_iter().zip(types) {
        let response = answer_to_kind(layer(), kind).await;
        let said = format!("edge; error={error}; details=\"{kind}\"");
        assert_eq!(lines(&response), [said]);
    }
}

#[tokio::test]
async fn connect_failure_has_the_error_type_of_its_reason() {
    async fn error_type<E: Into<BoxError>>(error: fn() -> E) -> String {
        let response = answer_to(layer(), 1, error).await;
        assert_eq!(response.status().as_u16(), 502);
        let line = lines(&response)[0];
        let (_, error) = line.split_once("error=").unwrap();
        error.split(';').next().unwrap().to_owned()
    }
    assert_eq!(error_type(refused).await, "connection_refused");
    let host = || NotSent::new(Wrapped(io::Error::from(ErrorKind::HostUnreachable)));
    assert_eq!(error_type(host).await, "destination_ip_unroutable");
    let network = || NotSent::new(io::Error::from(ErrorKind::NetworkUnreachable));
    assert_eq!(error_type(network).await, "destination_ip_unroutable");
    let closed = || NotSent::new(io::Error::from(ErrorKind::UnexpectedEof));
    assert_eq!(error_type(closed).await, "connection_terminated");
    let ports = || NotSent::new(io::Error::from(ErrorKind::AddrNotAvailable));
    assert_eq!(error_type(ports).await, "destination_unavailable");
    let unknown = || NotSent::new("no route to host");
    assert_eq!(error_type(unknown).await, "destination_unavailable");
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn failed_handshake_has_the_error_type_of_its_reason() {
    use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
    let cases = [
        (
            Error::AlertReceived(AlertDescription::HandshakeFailure),
            "tls_alert_received",
        ),
        (
            PeerIncompatible::NoKxGroupsInCommon.into(),
            "tls_protocol_error",
        ),
        (CertificateError::Expired.into(), "tls_certificate_error"),
    ];
    for (error, said) in cases {
        let failing = service_fn(move |_: Request<Body>| {
            // As rustls' errors travel.
            let error = io::Error::new(ErrorKind::InvalidData, error.clone());
            async { Err::<Response<Body>, _>(NotSent::new(error)) }
        });
        let response = answer(layer(), failing, get()).await;
        let lines = lines(&response);
        assert!(lines[0].contains(&format!("error={said};")), "{lines:?}");
    }
}

#[tokio::test]
async fn reason_is_not_taken_from_what_layers_above_have_wrapped() {
    let failing = service_fn(|_: Request<ReplayBody<Body>>| async {
        Err::<Response<Body>, _>(NotSent::new("no reason"))
    });
    let service = ServiceBuilder::new()
        .map_err(|error| io::Error::new(ErrorKind::HostUnreachable, error))
        .layer(FailoverLayer::default().max_attempts(1))
        .service(failing);
    let response = answer(layer(), service, get()).await;
    assert!(lines(&response)[0].starts_with("edge; error=destination_unavailable;"));
}

#[tokio::test]
async fn details_tell_the_number_of_attempts_if_there_were_several() {
    let response = answer_to(layer(), 2, refused).await;
    let said = r#"edge; error=connection_refused; details="connect failure after 2 attempts""#;
    assert_eq!(lines(&response), [said]);
}

#[tokio::test]
async fn member_is_added_behind_those_of_the_page() {
    let page = |_: &Failed<'_>| {
        let response = Response::builder()
            .header("proxy-status", "first.test")
            .header("proxy-status", "second.test; error=dns_error");
        response.body(Bytes::new()).unwrap()
    };
    let response = answer_to(layer().page(page), 1, refused).await;
    let said = lines(&response);
    assert_eq!(said[..2], ["first.test", "second.test; error=dns_error"]);
    assert!(said[2].starts_with("edge; error=connection_refused"));
}

#[tokio::test]
async fn relayed_response_gets_no_member() {
    let response = answer(layer(), service_fn(not_found), get()).await;
    assert_eq!(lines(&response), ["upstream.test; received-status=404"]);

    // Not even a 503 that is relayed because no further attempt was made.
    let unavailable = service_fn(|_: Request<ReplayBody<Body>>| async {
        let response = Response::builder().status(503);
        Ok::<_, NotSent>(response.body(Body::default()).unwrap())
    });
    let service = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(unavailable);
    let response = answer(layer(), service, get()).await;
    assert_eq!(response.status().as_u16(), 503);
    assert!(lines(&response).is_empty());
}

#[tokio::test]
async fn nothing_is_said_unless_it_is_asked_for() {
    let response = answer_to(GatewayLayer::new(), 1, refused).await;
    assert!(lines(&response).is_empty());
}

/// What is said of two attempts that went to these peers; an empty name is no peer.
async fn next_hop(peers: [&'static str; 2]) -> Option<String> {
    let failing = service_fn(move |request: Request<ReplayBody<Body>>| {
        let trail = Trail::of(request.extensions()).unwrap();
        let name = peers[trail.attempt() as usize - 1];
        if !name.is_empty() {
            assert!(trail.choose(&Peer::new(name), None));
        }
        async { Err::<Response<Body>, _>(refused()) }
    });
    let service = ServiceBuilder::new()
        .layer(FailoverLayer::default().max_attempts(2))
        .service(failing);
    let response = answer(layer(), service, get()).await;
    let (_, said) = lines(&response)[0].split_once("; next-hop=")?;
    let (next_hop, _) = said.split_once("; details=").unwrap();
    Some(next_hop.to_owned())
}

#[tokio::test]
async fn next_hop_is_the_last_attempts_peer() {
    let said = next_hop(["http://10.0.0.1:80", "http://10.0.0.2:80"]).await;
    assert_eq!(said.as_deref(), Some(r#""http://10.0.0.2:80""#));
}

#[tokio::test]
async fn next_hop_is_not_the_peer_of_an_earlier_attempt() {
    assert_eq!(next_hop(["http://10.0.0.1:80", ""]).await, None);
}

#[tokio::test]
async fn hostile_name_of_a_peer_stays_inside_its_string() {
    let said = next_hop(["a", r#"b"; error=dns_error, "c\"#]).await;
    assert_eq!(said.as_deref(), Some(r#""b\"; error=dns_error, \"c\\""#));
}

#[tokio::test]
async fn name_that_is_not_printable_ascii_is_left_out() {
    assert_eq!(next_hop(["a", "http://bücher.example"]).await, None);
    assert_eq!(next_hop(["a", "b\r\nset-cookie: c"]).await, None);
}

#[tokio::test]
async fn user_information_of_a_peer_is_left_out() {
    let said = next_hop(["a", "http://me:secret@10.0.0.1:80/path"]).await;
    assert_eq!(said.as_deref(), Some(r#""http://10.0.0.1:80/path""#));
    assert_eq!(next_hop(["a", "http://me:sec/ret@10.0.0.1"]).await, None);
}

#[tokio::test]
async fn name_is_a_token_or_a_string() {
    for (name, written) in [
        ("edge.example.com:8080", "edge.example.com:8080"),
        ("*", "*"),
        ("10.0.0.1", r#""10.0.0.1""#),
        ("Example CDN", r#""Example CDN""#),
        (r#"a "b"\"#, r#""a \"b\"\\""#),
        ("a, b; error=c", r#""a, b; error=c""#),
    ] {
        let layer = GatewayLayer::new().proxy_status(name).unwrap();
        let response = answer_to(layer, 1, refused).await;
        let (said, _) = lines(&response)[0]
            .split_once("; error=connection")
            .unwrap();
        assert_eq!(said, written);
    }
}

#[test]
fn name_that_cannot_be_written_is_refused_and_named() {
    for (name, named) in [
        ("", r#""""#),
        ("Bücher", r#""Bücher""#),
        ("a\nb", r#""a\nb""#),
        ("a\tb", r#""a\tb""#),
        ("\u{7f}", r#""\u{7f}""#),
    ] {
        let error = GatewayLayer::new().proxy_status(name).unwrap_err();
        assert_eq!(error.setting(), "proxy_status");
        assert_eq!(
            error.to_string(),
            format!("proxy_status: {named} is not a name of printable ASCII characters")
        );
    }
}

#[tokio::test]
async fn page_and_name_may_be_set_in_any_order() {
    let page = |_: &Failed<'_>| {
        let mut response = Response::new(Bytes::new());
        let value = HeaderValue::from_static("set");
        response.headers_mut().insert("x-page", value);
        response
    };
    let first = GatewayLayer::new().page(page).proxy_status("edge").unwrap();
    let last = layer().page(page);
    for layer in [first, last] {
        let response = answer_to(layer, 1, refused).await;
        assert_eq!(response.headers()["x-page"], "set");
        assert_eq!(lines(&response).len(), 1);
    }
}
