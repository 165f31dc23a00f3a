use http::{HeaderMap, HeaderName, HeaderValue, header::CONNECTION, request::Parts};

use super::clock::Clock;
use crate::limits::Limits;

/// Tells an attempt what it is to be told of itself; the last number stands beside its own.
pub(super) fn tell(limits: &Limits, clock: &Clock, (number, last): (u32, u32), head: &mut Parts) {
    if let Some(name) = &limits.attempt_header {
        head.headers.insert(name, HeaderValue::from(number));
        pass_on(name, &mut head.headers);
    }
    if let Some(header) = &limits.send_deadline {
        if let Some(left) = clock.left(limits, limits.lift_on_last && number == last) {
            header.write(left, &mut head.headers);
            pass_on(header.name(), &mut head.headers);
        }
    }
}

/// Takes a name out of the client's `Connection`, which would have it removed on the way.
fn pass_on(name: &HeaderName, headers: &mut HeaderMap) {
    let is_ours = |token: &[u8]| token.trim_ascii().eq_ignore_ascii_case(name.as_ref());
    let tokens = |value: &HeaderValue| -> Vec<Vec<u8>> {
        let tokens = value.as_bytes().split(|byte| *byte == b',');
        tokens.map(<[u8]>::to_vec).collect()
    };
    let values: Vec<_> = headers.get_all(CONNECTION).iter().map(tokens).collect();
    if !values.iter().flatten().any(|token| is_ours(token)) {
        return;
    }
    headers.remove(CONNECTION);
    for mut tokens in values {
        tokens.retain(|token| !is_ours(token));
        // What was a part of a value is one.
        let value = HeaderValue::from_bytes(&tokens.join(&b','));
        if let (false, Ok(value)) = (tokens.is_empty(), value) {
            headers.append(CONNECTION, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_cannot_have_it_removed() {
        let name = HeaderName::from_static("x-attempt");
        for (before, after) in [
            (&["close"][..], &["close"][..]),
            (&["X-Attempt"], &[]),
            (
                &["close, x-attempt ,te", "x-attempts"],
                &["close,te", "x-attempts"],
            ),
            (&["x-attempt", "upgrade"], &["upgrade"]),
        ] {
            let mut headers = HeaderMap::new();
            for value in before {
                headers.append(CONNECTION, HeaderValue::from_static(value));
            }
            pass_on(&name, &mut headers);
            let left: Vec<_> = headers.get_all(CONNECTION).iter().collect();
            assert_eq!(left, after, "{before:?}");
        }
    }
}
