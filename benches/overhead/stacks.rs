//! What is called: this crate's layers, and tower's.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, request};
use http_body_util::Full;
use tower::{
    Layer, Service, ServiceExt,
    balance::p2c,
    buffer::Buffer,
    discover::ServiceList,
    load::{CompleteOnResponse, PeakEwma, PendingRequests},
    retry::{
        Retry,
        budget::{Budget, TpsBudget},
    },
    timeout::Timeout,
    util::{BoxCloneService, MapRequest},
};
use tower_failover::{
    FailoverLayer,
    balance::{Balance, Endpoint, LeastLoaded},
    policy::Policy,
    trail::{Follow, Trail},
};

use super::requests::{Body, Shape, Template};

/// The service that all others stand above.
pub(crate) const BARE: &str = "bare";

pub(crate) const STACKS: [&str; 19] = [
    "failover directly over balance",
    "failover, balance",
    "failover, another layer, balance",
    "failover, balance, timers armed",
    "failover, balance by load",
    "failover that never retries, balance",
    "balance",
    "failover",
    "failover that never retries",
    "copy of the request",
    "boxed service",
    "tower retry",
    "tower retry, budget",
    "tower timeout",
    "tower p2c, pending requests",
    "tower p2c, peak EWMA",
    "tower buffer",
    "tower retry, budget, buffer, p2c",
    "tower timeout, retry, budget, buffer, p2c",
];

/// Calls a stack so many times with one shape of request.
pub(crate) fn run(stack: &str, shape: &Shape, calls: i64) {
    let drive = Drive { shape, calls };
    let layer = FailoverLayer::default;
    let answer = || Answer { pends: shape.pends };
    let three = || {
        let name = |host: &str| format!("http://{host}.example.com:8080");
        Balance::new(["a", "b", "c"].map(|host| Endpoint::new(name(host), answer())))
    };
    let retry = |inner| Retry::new(Twice::new(Some(Arc::default())), inner);
    match stack {
        BARE => drive.service(answer),
        "failover directly over balance" => {
            drive.service(|| layer().directly().layer(three()));
        }
        "failover, balance" => drive.service(|| layer().layer(three())),
        "failover, another layer, balance" => {
            drive.service(|| layer().layer(MapRequest::new(three(), |request| request)));
        }
        "failover, balance, timers armed" => {
            let layer = layer()
                .deadline(Duration::from_secs(30))
                .per_try_timeout(Duration::from_secs(5));
            drive.service(|| layer.layer(three()));
        }
        "failover, balance by load" => {
            drive.service(|| layer().layer(three().pick(LeastLoaded)));
        }
        "failover that never retries, balance" => {
            drive.service(|| layer().policy(Never).layer(three()));
        }
        "balance" => drive.service(three),
        "failover" => drive.service(|| layer().layer(answer())),
        "failover that never retries" => drive.service(|| layer().policy(Never).layer(answer())),
        "copy of the request" => {
            let copy = |request: Request<Body>| {
                black_box(request.clone());
                request
            };
            drive.service(|| MapRequest::new(answer(), copy));
        }
        "boxed service" => drive.service(|| BoxCloneService::new(answer())),
        "tower retry" => drive.service(|| Retry::new(Twice::new(None), answer())),
        "tower retry, budget" => {
            drive.service(|| Retry::new(Twice::new(Some(Arc::default())), answer()));
        }
        "tower timeout" => {
            drive.service(|| Timeout::new(answer(), Duration::from_secs(30)));
        }
        "tower p2c, pending requests" => drive.service(|| pending(answer())),
        "tower p2c, peak EWMA" => drive.service(|| peak_ewma(answer())),
        "tower buffer" => drive.service(|| Buffer::new(answer(), 64)),
        "tower retry, budget, buffer, p2c" => {
            drive.service(|| retry(Buffer::new(pending(answer()), 64)));
        }
        "tower timeout, retry, budget, buffer, p2c" => drive.service(|| {
            let retry = retry(Buffer::new(pending(answer()), 64));
            Timeout::new(retry, Duration::from_secs(30))
        }),
        unknown => panic!("no such stack: {unknown}"),
    }
}

type P2c<S> = p2c::Balance<ServiceList<Vec<S>>, Request<Body>>;

fn pending(answer: Answer) -> P2c<PendingRequests<Answer>> {
    let measured =
        [0; 3].map(|_| PendingRequests::new(answer.clone(), CompleteOnResponse::default()));
    p2c::Balance::new(ServiceList::new::<Request<Body>>(Vec::from(measured)))
}

fn peak_ewma(answer: Answer) -> P2c<PeakEwma<Answer>> {
    let measured = [0; 3].map(|_| {
        let (first, decay) = (Duration::from_millis(10), 10e9);
        PeakEwma::new(answer.clone(), first, decay, CompleteOnResponse::default())
    });
    p2c::Balance::new(ServiceList::new::<Request<Body>>(Vec::from(measured)))
}

struct Drive<'a> {
    shape: &'a Shape,
    calls: i64,
}

impl Drive<'_> {
    /// Calls a service with a fresh request each time, and drops what it answers.
    fn service<S>(self, make: impl FnOnce() -> S)
    where
        S: Service<Request<Body>>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let template = Template::new(self.shape);
        runtime.block_on(async {
            let mut service = make();
            for _ in 0..self.calls {
                let Ok(ready) = service.ready().await else {
                    panic!("the service is not ready");
                };
                let answer = ready.call(template.request()).await;
                assert!(answer.is_ok(), "the service failed");
            }
        });
    }
}

/// The service below: it answers with 200 and 1 KiB.
#[derive(Clone)]
struct Answer {
    pends: bool,
}

impl<B: Unpin> Service<Request<B>> for Answer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answering<B> {
        Answering {
            request: Some(request),
            pends: self.pends,
        }
    }
}

struct Answering<B> {
    request: Option<Request<B>>,
    pends: bool,
}

impl<B: Unpin> Future for Answering<B> {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.pends) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        black_box(self.request.take());
        let body = Full::new(Bytes::from_static(&[b'x'; 1024]));
        Poll::Ready(Ok(Response::new(body)))
    }
}

impl<B: Unpin> Follow<Request<B>> for Answer {
    fn follow(&mut self, request: Request<B>, trail: Trail) -> Answering<B> {
        drop(trail);
        self.call(request)
    }
}

/// Two more attempts after an error or a 5xx, within a budget if there is one.
#[derive(Clone)]
struct Twice {
    left: u32,
    budget: Option<Arc<TpsBudget>>,
}

impl Twice {
    fn new(budget: Option<Arc<TpsBudget>>) -> Self {
        Self { left: 2, budget }
    }
}

impl<R, E> tower::retry::Policy<Request<Body>, Response<R>, E> for Twice {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<R>, E>,
    ) -> Option<Ready<()>> {
        let fails = |response: &Response<R>| response.status().is_server_error();
        let budget = self.budget.as_ref();
        if !result.as_ref().map_or(true, fails) {
            if let Some(budget) = budget {
                budget.deposit();
            }
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        budget
            .is_none_or(|budget| budget.withdraw())
            .then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

/// Knows before the first attempt that there will be no other.
#[derive(Clone)]
struct Never;

impl Policy for Never {
    fn may_retry(&mut self, _: &request::Parts) -> bool {
        false
    }
}
