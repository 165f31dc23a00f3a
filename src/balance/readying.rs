use std::task::{Context, Poll};

use http::Request;
use tower_service::Service;

use super::{asked::Level, set::Chosen};
use crate::trail::Peer;

/// How many peers a request waits for at once, where none is ready.
const MOST_AWAITED: usize = 16;

/// How many it looks at to find one that is.
const MOST_LOOKED_AT: usize = 64;

/// Peers that were picked for a request, none of which was ready at once.
pub(super) struct Readying<S> {
    /// The best.
    first: Chosen<S>,
    others: Vec<Chosen<S>>,
}

impl<S> Readying<S> {
    pub(super) fn new(first: Chosen<S>) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }

    /// The best, or what is ready.
    pub(super) fn first(&self) -> &Peer {
        self.first.standing.peer()
    }

    /// What is ready.
    pub(super) fn into_first(mut self) -> Chosen<S> {
        // It was chosen a while ago.
        self.first.at = None;
        self.first
    }

    /// Waits for one of the chosen endpoints to be ready, and looks for others meanwhile. What is ready is put
    /// first.
    pub(super) fn poll_ready<B>(
        &mut self,
        cx: &mut Context<'_>,
        choose: impl Fn(&[Peer], Level) -> Option<Chosen<S>>,
    ) -> Poll<Result<(), S::Error>>
    where
        S: Service<Request<B>>,
    {
        let Self { first, others } = self;
        if let Poll::Ready(readied) = first.service.poll_ready(cx) {
            return Poll::Ready(readied);
        }
        for other in &mut *others {
            if let Poll::Ready(readied) = other.service.poll_ready(cx) {
                std::mem::swap(first, other);
                return Poll::Ready(readied);
            }
        }
        let awaited = others.iter().chain([&*first]);
        let mut passed: Vec<_> = awaited
            .map(|chosen| chosen.standing.peer().clone())
            .collect();
        // One that starts slowly is well: it is better than one that is busy.
        let down_to = first.level.max(Level::Well);
        while passed.len() < MOST_LOOKED_AT {
            let Some(mut next) = choose(&passed, down_to) else {
                break;
            };
            if let Poll::Ready(readied) = next.service.poll_ready(cx) {
                *first = next;
                return Poll::Ready(readied);
            }
            passed.push(next.standing.peer().clone());
            if others.len() + 1 < MOST_AWAITED {
                others.push(next);
            }
        }
        Poll::Pending
    }
}
