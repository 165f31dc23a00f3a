//! What went wrong, for clients (RFC 9209).

mod field;
mod next_hop;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use self::{
    field::{string, token},
    next_hop::next_hop,
};
use super::Failed;
use crate::ConfigError;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Under which name the gateway speaks, as it is written in the field.
#[derive(Clone, Debug)]
pub(super) struct ProxyStatus {
    name: Arc<str>,
}

impl ProxyStatus {
    pub(super) fn new(name: &str) -> Result<Self, ConfigError> {
        let written = if name.is_empty() {
            None
        } else {
            token(name).or_else(|| string(name))
        };
        let Some(written) = written else {
            let expected = "a name of printable ASCII characters";
            // Quoted: what is wrong with it cannot be seen.
            return Err(ConfigError::new(
                "proxy_status",
                format!("{name:?}"),
                expected,
            ));
        };
        Ok(Self {
            name: written.into(),
        })
    }

    /// Adds what went wrong, behind what intermediaries closer to the origin have said.
    pub(super) fn append(&self, failed: &Failed<'_>, headers: &mut HeaderMap) {
        if let Ok(member) = HeaderValue::try_from(self.member(failed)) {
            headers.append(PROXY_STATUS, member);
        }
    }

    fn member(&self, failed: &Failed<'_>) -> String {
        let mut member = format!("{}; error={}", self.name, failed.error_type());
        let last = failed.report().and_then(|report| report.attempts().last());
        let peer = last.and_then(|last| last.peer());
        let details = match failed.attempts() {
            0 | 1 => failed.kind().to_string(),
            attempts => format!("{} after {attempts} attempts", failed.kind()),
        };
        let parameters = [
            ("next-hop", peer.and_then(|peer| next_hop(peer.name()))),
            ("details", Some(details)),
        ];
        for (key, value) in parameters {
            if let Some(value) = value.as_deref().and_then(string) {
                member.extend(["; ", key, "=", &value]);
            }
        }
        member
    }
}
