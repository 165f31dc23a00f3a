//! The reference, seen from outside: what must be told without reading.

use http_body::SizeHint;
use tower_failover::replay::Unreplayable;

use super::{
    expected::{Model, Reader},
    outcome::Source,
};

impl Model {
    pub(crate) fn check(&self) -> Result<(), Unreplayable> {
        match self.source {
            Source::Failed { .. } => Err(Unreplayable::SourceFailed),
            Source::Live | Source::Ended => self.kept,
        }
    }

    pub(crate) fn is_source_dropped(&self) -> bool {
        self.source != Source::Live
    }

    /// What may be kept at most; a body that is known not to fit is not kept at all.
    pub(crate) fn cap(&self) -> u64 {
        if self.is_known_not_to_fit() {
            0
        } else {
            self.plan.cap
        }
    }

    pub(crate) fn is_known_not_to_fit(&self) -> bool {
        self.plan.promised() > Some(self.plan.cap)
    }

    /// Payload in the log that is still needed.
    pub(crate) fn needed(&self) -> u64 {
        if self.empty {
            0
        } else if self.kept.is_ok() {
            self.pulled
        } else {
            let first = self.live().map(|reader| reader.read).min();
            first.map_or(0, |first| self.pulled - first)
        }
    }

    /// How many frames hold the last bytes that were pulled.
    pub(crate) fn frames_within(&self, payload: u64) -> usize {
        let mut left = payload;
        let pulled = self.plan.parts[..self.taken].iter().rev();
        let frames = pulled.take_while(|part| {
            let within = left > 0;
            left = left.saturating_sub(part.length() as u64);
            within
        });
        frames.count()
    }

    /// Whether something in the log is still needed.
    pub(crate) fn needs_log(&self) -> bool {
        let pulled = self.pulled > 0 || self.pulled_trailers;
        self.kept.is_ok() && pulled || self.live().any(|reader| !self.is_at_log_end(reader))
    }

    pub(crate) fn is_end_stream(&self, reader: &Reader) -> bool {
        reader.done || !reader.revoked && self.is_at_log_end(reader) && self.tells_end()
    }

    pub(crate) fn size_hint(&self, reader: &Reader) -> SizeHint {
        if reader.done {
            return SizeHint::with_exact(0);
        }
        if reader.revoked {
            return SizeHint::default();
        }
        let logged = self.pulled - reader.read;
        let known = match self.source {
            Source::Live => self.promised_left(),
            Source::Ended => Some(0),
            Source::Failed { .. } => None,
        };
        let trailers_ahead = self.pulled_trailers && !reader.trailers;
        let mut hint = SizeHint::new();
        hint.set_lower(logged + known.unwrap_or(0));
        if let Some(known) = known.filter(|_| !trailers_ahead || self.plan.promised().is_some()) {
            hint.set_upper(logged + known);
        }
        hint
    }

    pub(crate) fn is_sent_in_full(&self) -> bool {
        let mut readers = self.readers.iter().chain(&self.former);
        self.empty || readers.any(|reader| reader.sent)
    }

    pub(crate) fn has_source_failed(&self) -> bool {
        matches!(self.source, Source::Failed { .. })
    }

    /// Whether a handle that was pending has something to find out.
    pub(crate) fn can_go_on(&self, reader: &Reader) -> bool {
        reader.revoked || !self.is_at_log_end(reader) || self.source != Source::Live || !self.quiet
    }
}
