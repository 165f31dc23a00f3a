//! What is logged. It is one test in a process of its own: whether an event is wanted is remembered for
//! all threads.

use std::{
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_failover::{
    FailoverLayer, ReplayBody,
    failure::NotSent,
    gateway::{ErrorPage, Failed, GatewayLayer},
};

type Body = Full<Bytes>;

async fn answer<S>(service: S, request: Request<Body>) -> u16
where
    S: Service<Request<Body>, Response = Response<Body>, Error = tower_failover::Error>,
{
    answer_with(GatewayLayer::new(), service, request).await
}

async fn answer_with<P, S>(layer: GatewayLayer<P>, service: S, request: Request<Body>) -> u16
where
    P: ErrorPage + Clone,
    S: Service<Request<Body>, Response = Response<Body>, Error = tower_failover::Error>,
{
    let gateway = ServiceBuilder::new().layer(layer).service(service);
    let response = gateway.oneshot(request).await.unwrap();
    response.status().as_u16()
}

fn get() -> Request<Body> {
    Request::new(Full::default())
}

/// What is logged, as one text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn every_failed_attempt_is_logged_and_a_good_one_is_not() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("tower_failover=debug")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let logged = || String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();

    let well = service_fn(|_: Request<ReplayBody<Body>>| async {
        Ok::<_, NotSent>(Response::new(Body::default()))
    });
    let service = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(well);
    assert_eq!(answer(service, get()).await, 200);
    assert_eq!(logged(), "");

    let resetting = service_fn(|_: Request<ReplayBody<Body>>| async {
        Err::<Response<Body>, _>(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    let layer = FailoverLayer::default().max_attempts(2);
    let service = ServiceBuilder::new().layer(layer).service(resetting);
    assert_eq!(answer(service, get()).await, 502);
    let text = logged();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains("attempt=1") && lines[0].contains("connection closed"));
    assert!(lines[1].contains("attempt=2") && lines[1].contains("final_because=\"attempts\""));
    assert!(lines[2].contains("WARN") && lines[2].contains("status=502"));

    // A response that is relayed although another attempt was wanted: why it is the last is told.
    let unavailable = service_fn(|_: Request<ReplayBody<Body>>| async {
        let response = Response::builder().status(503);
        Ok::<_, io::Error>(response.body(Body::default()).unwrap())
    });
    let service = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(unavailable);
    let post = Request::post("/").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(answer(service, post).await, 503);
    let text = logged();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(
        lines[0].contains("final_because=\"request is not safe to repeat\""),
        "{text}"
    );

    // One that is sent once fails visibly too.
    let once = FailoverLayer::default().max_attempts(1);
    let service = ServiceBuilder::new().layer(once).service(resetting);
    answer(service, get()).await;
    assert!(logged().contains("final_because=\"request is sent once\""));

    // Where a page answers with another status, it is the one that is sent.
    let teapot = |_: &Failed<'_>| {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    };
    let service = ServiceBuilder::new()
        .layer(FailoverLayer::default().max_attempts(1))
        .service(resetting);
    answer_with(GatewayLayer::new().page(teapot), service, get()).await;
    let text = logged();
    assert!(
        text.contains("WARN") && text.contains("status=418"),
        "{text}"
    );
}
