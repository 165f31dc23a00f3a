//! TLS: a session that does not come about is a connection that does not; the certificate is its own kind.

use std::sync::Arc;

use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tower_failover::failure::FailureKind;

use super::support::{Peer, Recording, beside, get, maybe_processed, not_sent, over, read_head};

/// What a certificate problem counts as.
fn certificate() -> FailureKind {
    if cfg!(feature = "rustls") {
        FailureKind::Certificate
    } else {
        FailureKind::Connect
    }
}

/// A certificate for "peer.test".
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn new() -> Self {
        let names = vec!["peer.test".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        Self {
            certificate: made.cert.der().clone(),
            key: PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()),
        }
    }

    fn trusted(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("well formed");
        roots
    }

    /// A server that asks for a certificate of the client's if it knows `clients` to trust.
    fn server(&self, clients: Option<RootCertStore>) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring has them");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(clients.into(), provider)
                    .build()
                    .expect("roots"),
            ),
        };
        let chain = vec![self.certificate.clone()];
        let config = builder.with_single_cert(chain, self.key.clone_key());
        TlsAcceptor::from(Arc::new(config.expect("a key that fits")))
    }
}

fn client(roots: RootCertStore, name: &'static str) -> Recording<HttpsConnector<HttpConnector>> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    let name = ServerName::try_from(name).expect("a name");
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .with_server_name_resolver(FixedServerNameResolver::new(name))
        .enable_http1()
        .wrap_connector(http);
    over(connector, |_| ())
}

fn https(peer: &Peer) -> String {
    peer.uri.replace("http:", "https:")
}

#[tokio::test]
async fn a_plain_port_is_no_connection() {
    let peer = Peer::bind().await;
    let client = client(Identity::new().trusted(), "peer.test");
    let evidence = beside(client.fails(get(&https(&peer))), async {
        let mut stream = peer.accept().await;
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.expect("the client reads");
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert_eq!(evidence, not_sent(FailureKind::Connect));
}

#[tokio::test]
async fn closed_during_the_handshake_is_no_connection() {
    let peer = Peer::bind().await;
    let client = client(Identity::new().trusted(), "peer.test");
    let evidence = beside(client.fails(get(&https(&peer))), async {
        drop(peer.accept().await);
    })
    .await;
    assert_eq!(evidence, not_sent(FailureKind::Connect));
}

/// Connects to a peer that shows `identity`, expecting `name` from an issuer in `roots`.
async fn turned_down(identity: &Identity, roots: RootCertStore, name: &'static str) {
    let peer = Peer::bind().await;
    let client = client(roots, name);
    let evidence = beside(client.fails(get(&https(&peer))), async {
        let _ = identity.server(None).accept(peer.accept().await).await;
    })
    .await;
    assert_eq!(evidence, not_sent(certificate()));
}

#[tokio::test]
async fn a_wrong_name_is_a_certificate_problem() {
    let identity = Identity::new();
    turned_down(&identity, identity.trusted(), "another.test").await;
}

#[tokio::test]
async fn an_unknown_issuer_is_a_certificate_problem() {
    turned_down(&Identity::new(), RootCertStore::empty(), "peer.test").await;
}

#[tokio::test]
async fn closed_after_the_request_may_be_processed() {
    let identity = Identity::new();
    let peer = Peer::bind().await;
    let client = client(identity.trusted(), "peer.test");
    let evidence = beside(client.fails(get(&https(&peer))), async {
        let stream = peer.accept().await;
        let mut stream = identity.server(None).accept(stream).await.expect("TLS");
        read_head(&mut stream).await;
    })
    .await;
    assert_eq!(evidence, maybe_processed(FailureKind::Reset));
}

/// In TLS 1.3 the client is done first, and may have sent its request before it hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_turned_down_is_never_a_false_proof() {
    let identity = Identity::new();
    let peer = Peer::bind().await;
    for _ in 0..50 {
        let client = client(identity.trusted(), "peer.test");
        let evidence = beside(client.fails(get(&https(&peer))), async {
            let server = identity.server(Some(identity.trusted()));
            let _ = server.accept(peer.accept().await).await;
        })
        .await;
        assert_ne!(evidence.expect("known").kind, FailureKind::Certificate);
    }
}

#[cfg(feature = "rustls")]
#[test]
fn a_certificate_below_an_unknown_error_proves_nothing() {
    use super::layers::Wrapper;
    use super::support::classify;
    use rustls::{AlertDescription, CertificateError, Error};

    let bad = || Error::InvalidCertificate(CertificateError::Expired);
    let proof = not_sent(FailureKind::Certificate);
    assert_eq!(classify(&bad()), proof);
    // How tokio-rustls hands it on.
    let error = std::io::Error::new(std::io::ErrorKind::InvalidData, bad());
    assert_eq!(classify(&error), proof);
    assert_eq!(
        classify(&Wrapper(bad())),
        maybe_processed(FailureKind::Certificate)
    );
    let alert = Error::AlertReceived(AlertDescription::BadCertificate);
    assert_eq!(classify(&alert), None);
}

/// How many connections a request takes that is tried again on a connect failure, up to four times.
async fn connections(identity: &Identity, name: &'static str) -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use tower::{Layer, ServiceExt, service_fn};
    use tower_failover::{FailoverLayer, ReplayBody, limits::Backoff, policy::Standard};

    let peer = Peer::bind().await;
    let uri = https(&peer);
    let accepted = AtomicUsize::new(0);
    let client = client(identity.trusted(), name).client;
    let policy = Standard::new("connect-failure".parse().expect("a list"))
        .reuse_tried(true)
        .backoff(Backoff::NONE);
    let layer = FailoverLayer::new(policy).max_attempts(4);
    // The client's own body type is fixed; a GET has none to lose.
    let service = layer.layer(service_fn(move |request: http::Request<ReplayBody<_>>| {
        client.request(get(&request.uri().to_string()))
    }));
    let request = get(&uri);
    beside(service.oneshot(request), async {
        loop {
            let stream = peer.accept().await;
            accepted.fetch_add(1, Relaxed);
            if name == "peer.test" {
                continue;
            }
            let _ = identity.server(None).accept(stream).await;
        }
    })
    .await
    .expect_err("nobody answers");
    accepted.load(Relaxed)
}

/// HAProxy's back_handle_st_cer gives up in the same way.
#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_certificate_problem_is_not_tried_again() {
    assert_eq!(connections(&Identity::new(), "another.test").await, 1);
}

#[tokio::test]
async fn a_handshake_that_breaks_off_is_tried_again() {
    assert_eq!(connections(&Identity::new(), "peer.test").await, 4);
}
