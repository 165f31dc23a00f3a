//! The client's side of a case: its request, and when its body's bytes become available.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Full, channel::Channel, combinators::UnsyncBoxBody};

use super::{configure, stack::Stack};
use crate::support::cases::{At, Case, Step};

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Bytes that tell a shift or a repetition.
pub(crate) fn payload(length: usize) -> Vec<u8> {
    let pattern = (0..=250_u8).cycle();
    pattern.take(length).collect()
}

pub(crate) fn request(case: &Case, stack: &Stack) -> Request<Body> {
    let asked = &case.request;
    let mut request = Request::builder()
        .method(asked.method.as_str())
        .uri(asked.path.as_str())
        .header("host", "client.test");
    for (name, value) in &asked.headers {
        request = request.header(name, value);
    }
    for name in asked.trailers.keys() {
        // hyper sends no trailer that was not announced.
        request = request.header("trailer", name);
    }
    if let Some(limit) = configure::own_limit(case) {
        request = request.extension(limit);
    }
    let steps = &asked.body_schedule;
    let body = if steps.is_empty() && !asked.chunked && asked.trailers.is_empty() {
        let body = Full::from(payload(asked.body_bytes));
        body.map_err(|never| match never {}).boxed_unsync()
    } else {
        let whole = Step {
            at: At::Start,
            bytes: asked.body_bytes,
            trailers: !asked.trailers.is_empty(),
            end: true,
        };
        let steps = if steps.is_empty() {
            vec![whole]
        } else {
            steps.clone()
        };
        scheduled(steps, trailers(case), stack)
    };
    request.body(body).unwrap()
}

fn trailers(case: &Case) -> HeaderMap {
    let field = |(name, value): (&String, &String)| {
        let name: HeaderName = name.parse().unwrap();
        let value: HeaderValue = value.parse().unwrap();
        (name, value)
    };
    case.request.trailers.iter().map(field).collect()
}

fn scheduled(steps: Vec<Step>, trailers: HeaderMap, stack: &Stack) -> Body {
    let (mut client, body) = Channel::<Bytes, io::Error>::new(1);
    let progress = stack.progress();
    let length = steps.iter().map(|step| step.bytes).sum();
    let mut payload = Bytes::from(payload(length));
    tokio::spawn(async move {
        let mut progress = progress;
        for step in steps {
            // Whoever waits for what has ended waits no more.
            let _ = match step.at {
                At::Start => Ok(()),
                At::InBackoff => progress.wait_for(|seen| seen.ended >= 1).await.map(drop),
                At::AttemptStarted(n) => progress.wait_for(|seen| seen.begun >= n).await.map(drop),
            };
            if step.bytes > 0 {
                let data = payload.split_to(step.bytes);
                if client.send(Frame::data(data)).await.is_err() {
                    return;
                }
            }
            if step.trailers
                && client
                    .send(Frame::trailers(trailers.clone()))
                    .await
                    .is_err()
            {
                return;
            }
        }
    });
    debug_assert!(!body.is_end_stream());
    body.boxed_unsync()
}
