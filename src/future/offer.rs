use std::task::Context;

use http::Response;
use http_body::Body;
use tracing::debug;

use super::drain::drain;
use crate::{
    BoxError, Error,
    failure::{Evidence, Failure, FailureKind, Stage},
    policy::Verdict,
    report::{Outcome, Report, Tried},
    trail::Peer,
};

/// What the client would get now, if no further attempt were made.
///
/// It is nothing, and takes no room, until an attempt fails.
pub(super) struct Offer<R> {
    made: Option<Box<Made<R>>>,
}

struct Made<R> {
    /// A response that is delivered if nothing better comes, and whether it tells its reader that the
    /// request may be sent again.
    held: Option<(Response<R>, bool)>,
    /// The last attempt's failure.
    failure: Option<(FailureKind, Option<BoxError>)>,
    /// How far the request got, over all attempts.
    stage: Stage,
    report: Report,
}

impl<R> Default for Made<R> {
    fn default() -> Self {
        Self {
            held: None,
            failure: None,
            stage: Stage::NotSent,
            report: Report::default(),
        }
    }
}

impl<R> Offer<R> {
    pub(super) const fn nothing() -> Self {
        Self { made: None }
    }

    fn made(&mut self) -> &mut Made<R> {
        self.made.get_or_insert_default()
    }

    fn attempts(&self) -> &[Tried] {
        let made = self.made.as_ref();
        made.map_or(&[], |made| made.report.attempts())
    }

    /// Whether every attempt so far is the one whose response is at hand.
    pub(super) fn is_untouched(&self) -> bool {
        self.attempts().is_empty()
    }

    /// Whether one of the attempts so far may have been processed.
    pub(super) fn may_be_processed(&self) -> bool {
        let made = self.made.as_ref();
        made.is_some_and(|made| made.is_tried() && made.stage == Stage::MaybeProcessed)
    }

    /// An attempt brought a response that is not wanted.
    ///
    /// `stage` is what it proves, and `invites` whether that alone lets the request be sent again. It is
    /// kept only if its request was sent in full: to take the body from an unfinished upload
    /// breaks the exchange that the response's own body depends on, in HTTP/1 and HTTP/2 alike.
    pub(super) fn decline(
        &mut self,
        response: Response<R>,
        (stage, invites): (Stage, bool),
        sent_in_full: bool,
        peer: Option<Peer>,
        cx: &mut Context<'_>,
    ) where
        R: Body,
    {
        let made = self.made();
        made.stage = made.stage.or(stage);
        let outcome = Outcome::Answered(response.status());
        made.report.push(peer, outcome);
        let unwanted = if sent_in_full {
            let held = made.held.replace((response, invites));
            held.map(|(held, _)| held)
        } else {
            Some(response)
        };
        if let Some(unwanted) = unwanted {
            drain(unwanted, cx);
        }
    }

    /// An attempt failed.
    pub(super) fn fail(&mut self, failure: Failure, verdict: Verdict, peer: Option<Peer>) {
        let (kind, made) = (failure.kind(), self.made());
        made.stage = made.stage.or(verdict.proved(failure.stage()));
        made.report.push(peer, Outcome::Failed(kind));
        made.failure = Some((kind, failure.into_source()));
    }

    /// The deadline passed while no attempt was in flight.
    pub(super) fn run_out(&mut self) {
        self.made().failure = Some((FailureKind::Deadline, None));
    }

    /// There was no peer for another attempt: what there was stands, if there was anything.
    pub(super) fn no_peer(&mut self, source: BoxError) {
        let failure = &mut self.made().failure;
        failure.get_or_insert((FailureKind::NoPeer, Some(source)));
    }

    /// This response is what the client gets.
    pub(super) fn deliver(
        &mut self,
        response: Response<R>,
        peer: Option<Peer>,
        cx: &mut Context<'_>,
    ) -> Response<R>
    where
        R: Body,
    {
        let made = self.made();
        if let Some((held, _)) = made.held.take() {
            drain(held, cx);
        }
        made.report.push(peer, Outcome::Answered(response.status()));
        response
    }

    /// Hands the report over with a response, if there is more to say than the response itself does.
    pub(super) fn report(&mut self, mut response: Response<R>) -> Response<R> {
        if self.attempts().len() > 1 {
            let report = std::mem::take(&mut self.made().report);
            response.extensions_mut().insert(report);
        }
        response
    }

    /// No further attempt is made: the held response, or the last failure.
    ///
    /// A response that says that its request was not processed, which must not be repeated otherwise, is
    /// not delivered after an attempt that may have been processed: whoever reads it would send the
    /// request once more.
    pub(super) fn close(&mut self) -> Result<Response<R>, Error> {
        let made = self.made();
        let stage = made.stage;
        if let Some((held, invites)) = made.held.take() {
            if !invites || stage != Stage::MaybeProcessed {
                return Ok(self.report(held));
            }
        }
        let failure = made.failure.take();
        let (kind, source) = failure.unwrap_or((FailureKind::Other, None));
        let evidence = Evidence { stage, kind };
        let report = std::mem::take(&mut self.made().report);
        Err(Error::new(evidence, report, source))
    }

    /// Shows what the last attempt came to, and why no other follows, if none does.
    pub(super) fn show(&self, next: Result<(), &'static str>) {
        let Some((made, last)) = self.last() else {
            return;
        };
        let source = match last.outcome() {
            Outcome::Failed(_) => made
                .failure
                .as_ref()
                .and_then(|(_, source)| source.as_deref()),
            Outcome::Answered(_) => None,
        };
        debug!(
            attempt = made.report.attempts().len(),
            peer = last.peer().map(tracing::field::display),
            outcome = %last.outcome(),
            error = source.map(tracing::field::debug),
            final_because = next.err(),
            "attempt",
        );
    }

    fn last(&self) -> Option<(&Made<R>, &Tried)> {
        let made = self.made.as_deref()?;
        Some((made, made.report.attempts().last()?))
    }
}

impl<R> Made<R> {
    fn is_tried(&self) -> bool {
        !self.report.attempts().is_empty()
    }
}
