//! The whole cross product of what an attempt's successor depends on, against the rules in plain words.

use std::{iter, ops::ControlFlow, sync::Mutex};

use tokio::time::Instant;
use tower::service_fn;
use tower_failover::{
    limits::Budget,
    policy::NonIdempotent,
    trail::{Peer, Roster, Trail},
};

use crate::support::{script::status, strict::Strict};
use crate::*;

/// What the first attempt comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum First {
    NotSent,
    Refused,
    MaybeProcessed,
    Answer503,
}

/// What becomes of the request's body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept {
    Whole,
    /// Nothing of it was read, and nothing may be kept.
    Untouched,
    /// It was read, and not kept.
    Gone,
}

/// What is known of other peers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Others {
    Untried,
    AllTried,
    /// Peers have names, and nobody tells whether there are more.
    NotTold,
    /// The service names no peers.
    Nameless,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    first: First,
    method: &'static str,
    key: bool,
    kept: Kept,
    tries_left: bool,
    deadline_near: bool,
    budget_empty: bool,
    others: Others,
    reuse_tried: bool,
    always: bool,
    declared: bool,
}

const DELAY: Duration = Duration::from_secs(1);
const NEAR: Duration = Duration::from_millis(500);
const FAR: Duration = Duration::from_secs(3_600);

impl Row {
    fn every(mut play: impl FnMut(Self) -> ControlFlow<()>) {
        let booleans = [false, true];
        let mut rows = vec![Self {
            first: First::NotSent,
            method: "GET",
            key: false,
            kept: Kept::Whole,
            tries_left: false,
            deadline_near: false,
            budget_empty: false,
            others: Others::Untried,
            reuse_tried: false,
            always: false,
            declared: false,
        }];
        fn vary<T: Copy>(rows: &mut Vec<Row>, values: &[T], set: impl Fn(&mut Row, T)) {
            let varied = rows.iter().flat_map(|row| {
                values.iter().map(|value| {
                    let mut row = *row;
                    set(&mut row, *value);
                    row
                })
            });
            *rows = varied.collect();
        }
        use {First::*, Kept::*, Others::*};
        vary(
            &mut rows,
            &[NotSent, Refused, MaybeProcessed, Answer503],
            |row, first| row.first = first,
        );
        vary(
            &mut rows,
            &["GET", "PUT", "QUERY", "POST", "PATCH"],
            |row, method| row.method = method,
        );
        vary(&mut rows, &booleans, |row, key| row.key = key);
        vary(&mut rows, &[Whole, Untouched, Gone], |row, kept| {
            row.kept = kept
        });
        vary(&mut rows, &booleans, |row, left| row.tries_left = left);
        vary(&mut rows, &booleans, |row, near| row.deadline_near = near);
        vary(&mut rows, &booleans, |row, empty| row.budget_empty = empty);
        vary(
            &mut rows,
            &[Untried, AllTried, NotTold, Nameless],
            |row, others| row.others = others,
        );
        vary(&mut rows, &booleans, |row, reuse| row.reuse_tried = reuse);
        vary(&mut rows, &booleans, |row, always| row.always = always);
        vary(&mut rows, &booleans, |row, declared| {
            row.declared = declared
        });
        for row in rows {
            if play(row).is_break() {
                break;
            }
        }
    }

    /// When the second attempt begins, if there is one.
    fn expected(self) -> Option<Duration> {
        let goes_elsewhere = match self.others {
            Others::Untried => true,
            Others::NotTold => !self.reuse_tried,
            Others::AllTried | Others::Nameless => false,
        };
        let has_a_peer = self.others != Others::AllTried || self.reuse_tried;
        let is_safe = self.key || ["GET", "PUT", "QUERY"].contains(&self.method);
        let may_be_sent_again = match self.first {
            First::NotSent | First::Refused => true,
            First::MaybeProcessed => is_safe || self.always,
            First::Answer503 => is_safe || self.always || self.declared,
        };
        let can_be_sent_again = self.kept != Kept::Gone;
        let delay = if goes_elsewhere {
            Duration::ZERO
        } else {
            DELAY
        };
        let fits = !(self.deadline_near && delay > NEAR);
        let is_free = self.first == First::NotSent && goes_elsewhere;
        let is_paid = is_free || !self.budget_empty;
        let again = self.tries_left
            && has_a_peer
            && may_be_sent_again
            && can_be_sent_again
            && fits
            && is_paid;
        again.then_some(delay)
    }

    async fn play(self) -> (Vec<Duration>, Result<u16, FailureKind>) {
        let start = Instant::now();
        let begun: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let begins = Arc::clone(&begun);
        let service = service_fn(move |request: Request<ReplayBody<Body>>| {
            let number = {
                let mut begins = begins.lock().unwrap();
                begins.push(start.elapsed());
                begins.len()
            };
            async move {
                self.choose(&request, number);
                if number > 1 {
                    assert_eq!(body(request).await, "request body");
                    return status(200);
                }
                if self.kept != Kept::Untouched {
                    body(request).await;
                }
                match self.first {
                    First::NotSent => Err(refused()),
                    First::Refused => Err("refused by the protocol".into()),
                    First::MaybeProcessed => Err(reset()),
                    First::Answer503 => status(503),
                }
            }
        });
        let layer = self.layer();
        let result = layer
            .layer(Strict::new(service))
            .oneshot(self.request())
            .await;
        let result = result
            .map(|response| response.status().as_u16())
            .map_err(|error| error.kind());
        (begun.lock().unwrap().clone(), result)
    }

    fn choose(self, request: &Request<ReplayBody<Body>>, number: usize) {
        let trail = Trail::of(request.extensions());
        let roster: Option<Arc<dyn Roster>> = match self.others {
            Others::Untried => Some(Arc::new(Told(true))),
            Others::AllTried => Some(Arc::new(Told(false))),
            Others::NotTold => None,
            Others::Nameless => return,
        };
        if let Some(trail) = trail {
            assert!(trail.choose(&Peer::new(format!("peer {number}")), roster));
        }
    }

    fn request(self) -> Request<Body> {
        let request = Request::builder().method(self.method).uri("/");
        let request = if self.key {
            request.header("idempotency-key", "key")
        } else {
            request
        };
        request.body(Full::from("request body")).unwrap()
    }

    fn layer(self) -> FailoverLayer {
        let declared = if self.declared { "503" } else { "" };
        let policy = Standard::default()
            .reuse_tried(self.reuse_tried)
            .refused_on(declared.parse().unwrap())
            .backoff(|| iter::repeat(DELAY))
            .non_idempotent(if self.always {
                NonIdempotent::Always
            } else {
                NonIdempotent::Never
            });
        let retries = u32::from(!self.budget_empty);
        FailoverLayer::new(policy)
            .classify(Refusals)
            .max_attempts(if self.tries_left { 2 } else { 1 })
            .deadline(if self.deadline_near { NEAR } else { FAR })
            .budget(Budget::new(0.0, 0).unwrap().starting_with(retries).unwrap())
            .replay_cap(if self.kept == Kept::Whole { 100 } else { 0 })
    }
}

struct Told(bool);

impl Roster for Told {
    fn has_untried(&self, _: &Trail) -> Option<bool> {
        Some(self.0)
    }
}

struct Refusals;

impl Classify for Refusals {
    fn classify(&self, error: &(dyn std::error::Error + 'static)) -> Option<Evidence> {
        if error.to_string() != "refused by the protocol" {
            return tower_failover::failure::KnownErrors.classify(error);
        }
        Some(Evidence {
            stage: Stage::Refused,
            kind: FailureKind::RefusedStream,
        })
    }
}

#[test]
fn every_case_is_decided_by_the_rules() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let (mut count, mut again, mut wrong) = (0, 0, Vec::new());
    Row::every(|row| {
        let (begun, result) = runtime.block_on(row.play());
        let expected = row.expected();
        let begins: Vec<_> = iter::once(Duration::ZERO).chain(expected).collect();
        let outcome = match (expected, row.first) {
            (Some(_), _) => Ok(200),
            (None, First::Answer503) => Ok(503),
            (None, First::NotSent) => Err(FailureKind::Connect),
            (None, First::Refused) => Err(FailureKind::RefusedStream),
            (None, First::MaybeProcessed) => Err(FailureKind::Reset),
        };
        if (&begun, result) != (&begins, outcome) {
            wrong.push(format!("{row:?}: began at {begun:?}, {result:?}"));
        }
        count += 1;
        again += usize::from(expected.is_some());
        if wrong.len() < 10 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The table is whole, and says yes as well as no.
    assert_eq!(count, 4 * 5 * 2 * 3 * 2 * 2 * 2 * 4 * 2 * 2 * 2);
    assert!(
        again > count / 10 && again < count / 2,
        "{again} of {count}"
    );
}
