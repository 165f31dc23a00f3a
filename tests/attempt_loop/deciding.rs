//! Which requests are tried again after what.

use crate::support::script::status;
use crate::*;

#[tokio::test(start_paused = true)]
async fn get_is_repeated_after_a_reset() {
    let script = Script::new()
        .then(|_| async { Err(reset()) })
        .then(|_| async { status(200) });
    assert_eq!(outcome(&script, get()).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn post_is_not_repeated_after_a_reset() {
    let script = Script::new()
        .then(|_| async { Err(reset()) })
        .then(|_| async { status(200) });
    assert_eq!(outcome(&script, post()).await, Err(FailureKind::Reset));
    assert_eq!(script.steps_left(), 1);
}

#[tokio::test(start_paused = true)]
async fn post_that_was_not_sent_is_repeated() {
    let script = Script::new()
        .then(|_| async { Err(refused()) })
        .then(|request| async {
            assert_eq!(body(request).await, "request body");
            status(200)
        });
    let layer = layer().replay_cap(0);
    assert_eq!(outcome_of(layer, &script, post()).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn post_that_was_refused_by_the_protocol_is_repeated() {
    struct Refusals;
    impl Classify for Refusals {
        fn classify(&self, _: &(dyn std::error::Error + 'static)) -> Option<Evidence> {
            Some(Evidence {
                stage: Stage::Refused,
                kind: FailureKind::RefusedStream,
            })
        }
    }
    let script = Script::new()
        .then(|request| async {
            body(request).await;
            Err("refused".into())
        })
        .then(|request| async {
            assert_eq!(body(request).await, "request body");
            status(200)
        });
    let layer = layer().classify(Refusals);
    assert_eq!(outcome_of(layer, &script, post()).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn error_that_nobody_knows_proves_nothing() {
    let script = Script::new().then(|_| async { Err("whatever".into()) });
    assert_eq!(outcome(&script, post()).await, Err(FailureKind::Other));
}

#[tokio::test(start_paused = true)]
async fn get_goes_on_after_503_and_post_does_not() {
    let script = Script::new()
        .then(|_| async { status(503) })
        .then(|_| async { status(200) })
        .then(|_| async { status(503) });
    assert_eq!(outcome(&script, get()).await, Ok(200));
    assert_eq!(outcome(&script, post()).await, Ok(503));
}

#[tokio::test(start_paused = true)]
async fn verdict_can_repeat_a_post_on_purpose_only() {
    use tower_failover::policy::{Event, Verdict, policy_fn};
    let script = || {
        Script::new()
            .then(|_| async { status(425) })
            .then(|_| async { status(200) })
    };
    let decide = |verdict: Verdict| {
        policy_fn(move |_, event| match event {
            Event::Response(response) if response.status == 425 => verdict,
            _ => Verdict::deliver(),
        })
    };
    let careless = FailoverLayer::new(decide(Verdict::failover()));
    let response = run(careless, &script(), post()).await.unwrap();
    assert_eq!(response.status(), 425);
    let purposeful = FailoverLayer::new(decide(Verdict::failover().even_non_idempotent()));
    let response = run(purposeful, &script(), post()).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn empty_list_tries_nothing_again() {
    let script = Script::new().then(|_| async { Err(refused()) });
    let layer = FailoverLayer::new(Standard::new("".parse().unwrap()));
    assert!(outcome_of(layer, &script, get()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn overload_of_our_own_is_final() {
    let overloaded = || -> BoxError { tower::load_shed::error::Overloaded::new().into() };
    let script = Script::new()
        .then(move |_| async move { Err(overloaded()) })
        .then(|_| async { status(200) });
    assert_eq!(outcome(&script, get()).await, Err(FailureKind::Overload));
    assert_eq!(script.steps_left(), 1);
}

#[tokio::test(start_paused = true)]
async fn readiness_error_reaches_the_policy_as_not_sent() {
    let script = Script::new()
        .ready([None, Some("worker gone".into())])
        .then(|_| async { Err(refused()) })
        .then(|request| async {
            assert_eq!(body(request).await, "request body");
            status(200)
        });
    let response = run(layer(), &script, post()).await.unwrap();
    let report: &tower_failover::report::Report = response.extensions().get().unwrap();
    assert_eq!(report.attempts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn readiness_error_before_the_first_attempt_passes_through() {
    let script = Script::new().ready([Some(reset())]);
    let error = run(layer(), &script, post()).await.unwrap_err();
    assert_eq!(error.stage(), Stage::NotSent);
    assert_eq!(error.attempts(), 0);
}

#[derive(Clone, Default)]
struct Recorder {
    calls: Arc<std::sync::Mutex<Vec<String>>>,
    /// The request's own: it must not be seen by the next one.
    own: u32,
}

impl Recorder {
    fn note(&mut self, call: String) {
        self.own += 1;
        self.calls
            .lock()
            .unwrap()
            .push(format!("{} {call}", self.own));
    }
}

impl Policy for Recorder {
    fn fail_to_connect(
        &mut self,
        attempt: &tower_failover::policy::Attempt<'_>,
        failure: &tower_failover::failure::Failure,
    ) -> tower_failover::policy::Verdict {
        self.note(format!("connect {}: {}", attempt.number(), failure.kind()));
        tower_failover::policy::Verdict::failover()
    }

    fn error_while_proxy(
        &mut self,
        attempt: &tower_failover::policy::Attempt<'_>,
        failure: &tower_failover::failure::Failure,
    ) -> tower_failover::policy::Verdict {
        self.note(format!("proxy {}: {}", attempt.number(), failure.kind()));
        tower_failover::policy::Verdict::failover()
    }

    fn upstream_response_decision(
        &mut self,
        attempt: &tower_failover::policy::Attempt<'_>,
        response: &http::response::Parts,
    ) -> tower_failover::policy::Verdict {
        self.note(format!(
            "response {}: {}",
            attempt.number(),
            response.status
        ));
        tower_failover::policy::Verdict::deliver()
    }

    fn prepare(
        &mut self,
        attempt: &tower_failover::policy::Attempt<'_>,
        head: &mut http::request::Parts,
    ) {
        let number = attempt.number().to_string();
        head.headers.append("x-attempt", number.parse().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn each_callback_is_for_its_own_kind_of_outcome() {
    let attempts = |request: &Request<ReplayBody<Body>>| -> Vec<String> {
        let values = request.headers().get_all("x-attempt").iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    };
    let script = Script::new()
        .then(move |request| async move {
            assert_eq!(attempts(&request), ["1"]);
            Err(refused())
        })
        .then(move |request| async move {
            // Each attempt is prepared from the head as it came.
            assert_eq!(attempts(&request), ["2"]);
            Err(reset())
        })
        .then(|_| async { status(200) })
        .then(|_| async { status(404) });
    let recorder = Recorder::default();
    let layer = FailoverLayer::new(recorder.clone());
    run(layer.clone(), &script, get()).await.unwrap();
    run(layer, &script, get()).await.unwrap();
    let expected = [
        "1 connect 1: connect failure",
        "2 proxy 2: connection closed before a response",
        "3 response 3: 200 OK",
        "1 response 1: 404 Not Found",
    ];
    assert_eq!(*recorder.calls.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn policy_that_never_retries_is_not_asked() {
    #[derive(Clone)]
    struct Never;
    impl Policy for Never {
        fn fail_to_connect(
            &mut self,
            _: &tower_failover::policy::Attempt<'_>,
            _: &tower_failover::failure::Failure,
        ) -> tower_failover::policy::Verdict {
            panic!("asked")
        }

        fn may_retry(&mut self, _: &http::request::Parts) -> bool {
            false
        }
    }
    let script = Script::new().then(|request| async move {
        assert!(tower_failover::trail::Trail::of(request.extensions()).is_none());
        Err(refused())
    });
    let error = run(FailoverLayer::new(Never), &script, get())
        .await
        .unwrap_err();
    assert_eq!((error.stage(), error.attempts()), (Stage::NotSent, 1));
}

#[tokio::test(start_paused = true)]
async fn inner_error_can_be_had_back() {
    let script = Script::new().then(|_| async { Err(reset()) });
    let error = run(layer(), &script, post()).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.is::<io::Error>());
    let source = error
        .into_source()
        .unwrap()
        .downcast::<io::Error>()
        .unwrap();
    assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
}
