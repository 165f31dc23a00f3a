use std::task::Context;

use http::Response;
use http_body::Body;
use tracing::debug;

use super::drain::drain;
use crate::{
    BoxError, Error,
    failure::{Evidence, Failure, FailureKind, Stage},
    policy::Verdict,
    report::{Outcome, Report},
    trail::Peer,
};

/// What the client would get now, if no further attempt were made.
pub(super) struct Offer<R> {
    /// A response that is delivered if nothing better comes, and whether it tells its reader that the
    /// request may be sent again.
    held: Option<(Response<R>, bool)>,
    /// The last attempt's failure.
    failure: Option<(FailureKind, Option<BoxError>)>,
    /// How far the request got, over all attempts.
    stage: Stage,
    report: Report,
}

impl<R> Offer<R> {
    pub(super) fn nothing() -> Self {
        Self {
            held: None,
            failure: None,
            stage: Stage::NotSent,
            report: Report::default(),
        }
    }

    /// Whether every attempt so far is the one whose response is at hand.
    pub(super) fn is_untouched(&self) -> bool {
        self.report.attempts().is_empty()
    }

    /// Whether one of the attempts so far may have been processed.
    pub(super) fn may_be_processed(&self) -> bool {
        !self.is_untouched() && self.stage == Stage::MaybeProcessed
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
        self.stage = self.stage.or(stage);
        let outcome = Outcome::Answered(response.status());
        self.report.push(peer, outcome);
        let unwanted = if sent_in_full {
            let held = self.held.replace((response, invites));
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
        let kind = failure.kind();
        self.stage = self.stage.or(verdict.proved(failure.stage()));
        self.report.push(peer, Outcome::Failed(kind));
        self.failure = Some((kind, failure.into_source()));
    }

    /// The deadline passed while no attempt was in flight.
    pub(super) fn run_out(&mut self) {
        self.failure = Some((FailureKind::Deadline, None));
    }

    /// There was no peer for another attempt: what there was stands, if there was anything.
    pub(super) fn no_peer(&mut self, source: BoxError) {
        if self.failure.is_none() {
            self.failure = Some((FailureKind::NoPeer, Some(source)));
        }
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
        if let Some((held, _)) = self.held.take() {
            drain(held, cx);
        }
        self.report.push(peer, Outcome::Answered(response.status()));
        response
    }

    /// Hands the report over with a response, if there is more to say than the response itself does.
    pub(super) fn report(&mut self, mut response: Response<R>) -> Response<R> {
        if self.report.attempts().len() > 1 {
            let report = std::mem::take(&mut self.report);
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
        if let Some((held, invites)) = self.held.take() {
            if !invites || self.stage != Stage::MaybeProcessed {
                return Ok(self.report(held));
            }
        }
        let (kind, source) = self.failure.take().unwrap_or((FailureKind::Other, None));
        let evidence = Evidence {
            stage: self.stage,
            kind,
        };
        let report = std::mem::take(&mut self.report);
        Err(Error::new(evidence, report, source))
    }

    /// Shows what the last attempt came to, and why no other follows, if none does.
    pub(super) fn show(&self, next: Result<(), &'static str>) {
        let Some(last) = self.report.attempts().last() else {
            return;
        };
        let source = match last.outcome() {
            Outcome::Failed(_) => self
                .failure
                .as_ref()
                .and_then(|(_, source)| source.as_deref()),
            Outcome::Answered(_) => None,
        };
        debug!(
            attempt = self.report.attempts().len(),
            peer = last.peer().map(tracing::field::display),
            outcome = %last.outcome(),
            error = source.map(tracing::field::debug),
            final_because = next.err(),
            "attempt",
        );
    }
}
