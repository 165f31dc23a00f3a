//! What the client and the upstreams have seen of a case, against what is expected.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, response::Parts};
use http_body::Body;
use http_body_util::BodyExt;
use tower_failover::{
    BoxError,
    report::{Outcome, Report},
};

use super::{client, configure::ATTEMPT_HEADER, stack::Stack};
use crate::support::cases::{Case, Expect, ServedBy};

/// A response, read to its end.
pub(crate) struct Answer {
    head: Parts,
    body: Result<Bytes, BoxError>,
    elapsed: Duration,
}

impl Answer {
    pub(crate) async fn read<B>(response: Response<B>, elapsed: Duration) -> Self
    where
        B: Body<Data = Bytes, Error = BoxError>,
    {
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes());
        Self {
            head,
            body,
            elapsed,
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// What is not as it is expected to be.
    pub(crate) fn compare(&self, case: &Case, stack: &Stack) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |what: &str, right: bool, got: String| {
            if !right {
                wrong.push(format!("{what}: got {got}"));
            }
        };
        let expect = &case.expect;
        let status = self.head.status.as_u16();
        let right = expect.status.is_none_or(|code| code == status);
        check("status", right, status.to_string());
        let made = stack.attempts();
        let right = expect.attempts.is_none_or(|most| most == made);
        check("attempts", right, made.to_string());
        for upstream in stack.upstreams() {
            let expected = expect.attempts_by.get(upstream.name()).copied();
            let made = upstream.attempts();
            let right = expected.is_none_or(|most| most == made);
            check(upstream.name(), right, made.to_string());
        }
        for (name, expected) in &expect.health_failures {
            let failures = stack.peer(name).failures;
            let right = failures == *expected as u64;
            check("failures", right, format!("{failures} of {name}"));
        }
        for (name, expected) in &expect.inflight_after {
            let in_flight = stack.peer(name).in_flight;
            let right = in_flight == *expected;
            check("in flight", right, format!("{in_flight} at {name}"));
        }
        let served_by = self.served_by();
        let right = match &expect.served_by {
            ServedBy::Any => served_by.is_some(),
            ServedBy::Nobody => served_by.is_none() || stack.answers_itself(),
            ServedBy::Upstream(name) => served_by == Some(name),
        };
        check("served by", right, format!("{served_by:?}"));
        let right = expect.client_body_error == self.body.is_err();
        check("body error", right, format!("{:?}", self.body));
        if let (Some(text), Ok(body)) = (&expect.body, &self.body) {
            check("body", *body == text.as_bytes(), format!("{body:?}"));
        }
        if let Some([least, most]) = expect.elapsed_ms {
            let took = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
            // The upper bound is a peer's own timing; a busy machine may be slower.
            let right = took >= least && took <= most + 2_000;
            check("elapsed", right, took.to_string());
        }
        if !expect.delays_ms.is_empty() {
            let delays = stack.delays();
            let fits = |(delay, [least, most]): (&Duration, &[u64; 2])| {
                (u128::from(*least)..=u128::from(*most)).contains(&delay.as_millis())
            };
            let right = delays.len() == expect.delays_ms.len()
                && delays.iter().zip(&expect.delays_ms).all(fits);
            check("delays", right, format!("{delays:?}"));
        }
        if !expect.attempt_header_seen.is_empty() {
            let numbers = attempt_numbers(stack);
            let right = numbers == expect.attempt_header_seen;
            check("attempt header", right, format!("{numbers:?}"));
        }
        if let Some(expected) = expect.attempt_header_response {
            let told = self.header(ATTEMPT_HEADER.as_str());
            let right = told == Some(&expected.to_string());
            check("number of attempts", right, format!("{told:?}"));
        }
        let (right, got) = self.metrics(expect);
        check("metrics", right, got);
        wrong
    }

    /// The upstream whose response it is.
    pub(crate) fn served_by(&self) -> Option<&str> {
        self.header("x-served-by")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// Envoy's counters, as far as the report tells them.
    fn metrics(&self, expect: &Expect) -> (bool, String) {
        let report = Report::of(&self.head.extensions).cloned();
        let attempts = report.unwrap_or_default().attempts().to_vec();
        let answered = |outcome| matches!(outcome, Outcome::Answered(status) if status == 200);
        let good = attempts.last().is_some_and(|last| answered(last.outcome()));
        let retries = attempts.len().saturating_sub(1) as u64;
        let told = [
            ("retries", retries),
            ("retry_success", u64::from(retries > 0 && good)),
            ("limit_exceeded", u64::from(retries > 0 && !good)),
        ];
        let right = expect
            .metrics
            .iter()
            .all(|(name, expected)| told.contains(&(name.as_str(), *expected)));
        (right, format!("{told:?}"))
    }
}

fn attempt_numbers(stack: &Stack) -> Vec<usize> {
    let seen = stack.seen();
    let fields = seen.iter().flat_map(|seen| &seen.headers);
    let numbers = fields.filter(|(name, _)| name.eq_ignore_ascii_case(ATTEMPT_HEADER.as_str()));
    numbers
        .filter_map(|(_, value)| value.parse().ok())
        .collect()
}

/// What is wrong with the upload that the last attempt's upstream has seen.
pub(crate) async fn upload(case: &Case, stack: &Stack) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(length) = case.expect.body_seen else {
        return wrong;
    };
    let seen = stack.last_seen(stack.attempts()).await;
    if !seen.complete || seen.body != client::payload(length) {
        wrong.push(format!("body seen: {} bytes, {seen:?}", seen.body.len()));
    }
    for (name, value) in &case.expect.trailers_seen {
        let field = (name.clone(), value.clone());
        if !seen.trailers.contains(&field) {
            wrong.push(format!("trailer: got {:?}", seen.trailers));
        }
    }
    wrong
}
