//! When nothing fails, nothing changes; when the client goes, everything ends.

use http_body::Body as _;
use tower_failover::{report::Report, trail::Trail};

use crate::support::script::status;
use crate::*;

#[derive(Clone, Debug, PartialEq)]
struct Mark(u8);

#[tokio::test(start_paused = true)]
async fn request_arrives_as_it_was() {
    let script = Script::new().then(|request| async {
        assert_eq!(request.method(), Method::PUT);
        assert_eq!(request.uri(), "http://example.test/a?b");
        assert_eq!(request.version(), http::Version::HTTP_2);
        assert_eq!(request.headers().len(), 1);
        assert_eq!(request.headers()["x-field"], "value");
        assert_eq!(request.extensions().get(), Some(&Mark(1)));
        assert_eq!(request.body().size_hint().exact(), Some(4));
        assert_eq!(body(request).await, "body");
        status(200)
    });
    let request = Request::put("http://example.test/a?b")
        .version(http::Version::HTTP_2)
        .header("x-field", "value")
        .extension(Mark(1))
        .body(Full::from("body"))
        .unwrap();
    assert_eq!(outcome(&script, request).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn response_arrives_as_it_was() {
    let script = Script::new().then(|_| async {
        let response = Response::builder()
            .status(404)
            .header("x-field", "value")
            .extension(Mark(2));
        Ok(response.body(Full::from("not here")).unwrap())
    });
    let response = run(layer(), &script, get()).await.unwrap();
    assert_eq!(response.headers().len(), 1);
    assert_eq!(response.extensions().get(), Some(&Mark(2)));
    assert!(response.extensions().get::<Report>().is_none());
    assert_eq!(response.body().size_hint().exact(), Some(8));
}

#[tokio::test(start_paused = true)]
async fn later_attempts_carry_the_same_extensions_and_a_trail_of_their_own() {
    let script = Script::new()
        .then(|mut request| async move {
            // What happens to one attempt's extensions is not seen by the next.
            request.extensions_mut().insert(Mark(9));
            assert_eq!(Trail::of(request.extensions()).unwrap().attempt(), 1);
            Err(reset())
        })
        .then(|request| async move {
            assert_eq!(request.extensions().get(), Some(&Mark(1)));
            assert_eq!(Trail::of(request.extensions()).unwrap().attempt(), 2);
            status(200)
        });
    let mut request = get();
    request.extensions_mut().insert(Mark(1));
    assert_eq!(outcome(&script, request).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_ends_the_attempt_and_frees_the_body() {
    let alive = Arc::new(());
    let inside = Arc::clone(&alive);
    let script = Script::new().then(move |request| async move {
        let _inside = (inside, request);
        std::future::pending().await
    });
    let memory = tower_failover::replay::ReplayMemory::default();
    let layer = layer().replay_memory(memory.clone());
    let mut future = Box::pin(run(layer, &script, post()));
    assert!(futures_util::poll!(&mut future).is_pending());
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(future);
    assert_eq!(Arc::strong_count(&alive), 1);
    assert_eq!(memory.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn nested_failovers_each_keep_their_own_trail() {
    let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
    let endpoint = tower::service_fn({
        let calls = Arc::clone(&calls);
        move |request: Request<ReplayBody<ReplayBody<Body>>>| {
            let calls = Arc::clone(&calls);
            let attempt = Trail::of(request.extensions()).unwrap().attempt();
            let call = {
                let mut calls = calls.lock().unwrap();
                calls.push(attempt);
                calls.len()
            };
            async move {
                match call {
                    1 | 2 => Err(refused()),
                    _ => {
                        assert_eq!(body(request).await, "request body");
                        status(200)
                    }
                }
            }
        }
    });
    let layer = layer().max_attempts(2);
    let nested = layer.layer(layer.layer(crate::support::strict::Strict::new(endpoint)));
    let response = nested.oneshot(post()).await.unwrap();
    assert_eq!(response.status(), 200);
    // The outer one's second attempt is the inner one's first.
    assert_eq!(*calls.lock().unwrap(), [1, 2, 1]);
}
