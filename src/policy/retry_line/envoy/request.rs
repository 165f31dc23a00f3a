use http::HeaderMap;

use super::super::{ParseRetryLineError, RetryLine, error::Fault};
use super::{Envoy, names::REQUEST};

/// Reads what a request's headers ask for; `None` where they ask for nothing.
pub(in super::super) fn from_request(
    headers: &HeaderMap,
) -> Result<Option<RetryLine>, ParseRetryLineError> {
    let asks = |name| headers.contains_key(name);
    if !asks(REQUEST.retry_on) && !asks(REQUEST.retry_grpc_on) {
        return Ok(None);
    }
    let envoy = Envoy::named(REQUEST);
    let list = |name| {
        let values = headers.get_all(name).iter().map(|value| value.to_str());
        let values: Result<Vec<_>, _> = values.collect();
        let values = values.map_err(|_| envoy.wordless(name).wrong_all(Fault::NoText))?;
        Ok(values.join(","))
    };
    Ok(Some(
        envoy
            .clone()
            .retry_on(list(REQUEST.retry_on)?)
            .retry_grpc_on(list(REQUEST.retry_grpc_on)?)
            .num_retries(list(REQUEST.num_retries)?)
            .retriable_status_codes(list(REQUEST.retriable_status_codes)?)
            .retriable_header_names(list(REQUEST.retriable_header_names)?)
            .line()?,
    ))
}
