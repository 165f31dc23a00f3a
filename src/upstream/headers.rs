//! Hop-by-hop fields: what a proxy must not pass on (RFC 9110, section 7.6.1).

use std::fmt;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONNECTION, CONTENT_LENGTH, COOKIE, FORWARDED, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
    },
};

/// Removed whether `Connection` names them or not.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

/// Which fields there are of those that matter here.
///
/// Most heads have hardly any: one look at all names costs a tenth of looking for each of these.
#[derive(Clone, Copy)]
struct Present(u8);

impl Present {
    /// The places of [`HOP_BY_HOP`], and one behind them.
    const CONNECTION: usize = 0;
    const TRANSFER_ENCODING: usize = 1;
    const TE: usize = 7;

    fn in_head(headers: &HeaderMap) -> Self {
        let bit = |name: &HeaderName| match name.as_str() {
            "connection" => 1 << Self::CONNECTION,
            "transfer-encoding" => 1 << Self::TRANSFER_ENCODING,
            "upgrade" => 1 << 2,
            "keep-alive" => 1 << 3,
            "proxy-connection" => 1 << 4,
            "proxy-authenticate" => 1 << 5,
            "proxy-authorization" => 1 << 6,
            "te" => 1 << Self::TE,
            _ => 0,
        };
        Self(headers.keys().map(bit).fold(0, std::ops::BitOr::bitor))
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn has(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }
}

/// Removes what concerns the client's connection from a request, and returns the protocol that it asks
/// to be upgraded to, if it does; those two fields then stay.
///
/// # Errors
///
/// The body has a transfer coding that is not removed with its field: it would be taken for plain.
pub(super) fn clean_request(headers: &mut HeaderMap) -> Result<Option<HeaderValue>, Coded> {
    let present = Present::in_head(headers);
    if present.is_empty() {
        return Ok(None);
    }
    let upgrade = remove_hop_by_hop(headers, present)?;
    // HTTP/2 begins in a way of its own; asking for it here is how requests are smuggled.
    let upgrade = upgrade.filter(|to| !tokens(to).any(|to| to.eq_ignore_ascii_case(b"h2c")));
    if present.has(Present::TE) {
        clean_te(headers);
    }
    restore_upgrade(headers, upgrade.as_ref());
    Ok(upgrade)
}

/// Only trailers may be asked for across a hop, and gRPC does.
fn clean_te(headers: &mut HeaderMap) {
    let trailers = headers
        .get_all(TE)
        .iter()
        .any(|te| tokens(te).any(|token| token.eq_ignore_ascii_case(b"trailers")));
    headers.remove(TE);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes what concerns the upstream's connection from a response; of one that switches protocols,
/// the two fields of the upgrade stay, and the protocol is returned.
///
/// # Errors
///
/// As [`clean_request`].
pub(super) fn clean_response(
    headers: &mut HeaderMap,
    switches: bool,
) -> Result<Option<HeaderValue>, Coded> {
    let present = Present::in_head(headers);
    if present.is_empty() {
        return Ok(None);
    }
    let upgrade = remove_hop_by_hop(headers, present)?.filter(|_| switches);
    restore_upgrade(headers, upgrade.as_ref());
    Ok(upgrade)
}

/// Returns the protocol that an upgrade was asked to.
fn remove_hop_by_hop(
    headers: &mut HeaderMap,
    present: Present,
) -> Result<Option<HeaderValue>, Coded> {
    if present.has(Present::TRANSFER_ENCODING) {
        let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        let mut values = headers.get_all(TRANSFER_ENCODING).iter();
        if !values.all(|value| tokens(value).all(is_chunked)) {
            return Err(Coded);
        }
        // The length that was obeyed is that of the chunks (RFC 9112, section 6.3).
        headers.remove(CONTENT_LENGTH);
    }
    let upgrades = present.has(Present::CONNECTION) && remove_named(headers);
    let protocol = headers.get(UPGRADE).filter(|_| upgrades).cloned();
    for (index, name) in HOP_BY_HOP.iter().enumerate() {
        if present.has(index) {
            headers.remove(name);
        }
    }
    Ok(protocol)
}

/// Removes the fields that `Connection` names; returns whether it names `Upgrade`.
fn remove_named(headers: &mut HeaderMap) -> bool {
    // These name no field, and are what it mostly says.
    let is_option = |token: &&[u8]| {
        token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close")
    };
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(tokens)
        .filter(|token| !is_option(token))
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .collect();
    let mut upgrades = false;
    for name in named {
        if name == UPGRADE {
            upgrades = true;
        } else if name != TE && !is_ours(&name) {
            headers.remove(name);
        }
    }
    upgrades
}

/// What a sender must not take away by naming it in `Connection`: a request cannot be routed without its
/// host, and the proxies before us have written down where it came from.
fn is_ours(name: &HeaderName) -> bool {
    *name == HOST || *name == FORWARDED || name.as_str().starts_with("x-forwarded-")
}

fn restore_upgrade(headers: &mut HeaderMap, protocol: Option<&HeaderValue>) {
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
}

/// Joins the lines of a cookie, which HTTP/2 may send apart and HTTP/1 may not (RFC 9113, section
/// 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let lines = || headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    if lines().nth(1).is_none() {
        return;
    }
    let lines: Vec<&[u8]> = lines().collect();
    if let Ok(cookie) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(COOKIE, cookie);
    }
}

/// The entries of a list, as bytes: one that is not ASCII must not hide the others.
fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
}

/// A transfer coding other than chunked.
#[derive(Debug)]
pub(super) struct Coded;

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("body has a transfer coding that is not supported")
    }
}

impl std::error::Error for Coded {}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        // `extend` would replace equal names.
        let mut map = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            map.append(name, value);
        }
        map
    }

    #[test]
    fn removes_hop_by_hop_fields_and_what_connection_names() {
        let mut request = headers(&[
            ("connection", "close, X-Named"),
            ("connection", "x-other"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip"),
            ("x-named", "1"),
            ("x-other", "2"),
            ("x-kept", "3"),
        ]);
        assert_eq!(clean_request(&mut request).unwrap(), None);
        assert_eq!(request, headers(&[("x-kept", "3")]));
    }

    #[test]
    fn keeps_end_to_end_fields() {
        let end_to_end = headers(&[("host", "a"), ("authorization", "b"), ("trailer", "c")]);
        let mut request = end_to_end.clone();
        clean_request(&mut request).unwrap();
        assert_eq!(request, end_to_end);
    }

    #[test]
    fn keeps_the_fields_of_an_upgrade_and_no_others() {
        let mut request = headers(&[
            ("connection", "keep-alive, Upgrade, x-hop"),
            ("upgrade", "websocket"),
            ("x-hop", "1"),
        ]);
        assert_eq!(clean_request(&mut request).unwrap().unwrap(), "websocket");
        let kept = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(request, headers(&kept));
    }

    #[test]
    fn upgrade_that_connection_does_not_name_is_none() {
        let mut request = headers(&[("upgrade", "h2c")]);
        assert_eq!(clean_request(&mut request).unwrap(), None);
        assert!(request.is_empty());
    }

    #[test]
    fn response_keeps_its_upgrade_only_if_it_switches() {
        let fields = [("connection", "upgrade"), ("upgrade", "websocket")];
        let mut response = headers(&fields);
        clean_response(&mut response, true).unwrap();
        assert_eq!(response, headers(&fields));
        clean_response(&mut response, false).unwrap();
        assert!(response.is_empty());
    }

    #[test]
    fn asking_for_trailers_passes_and_other_codings_do_not() {
        let mut request = headers(&[("te", "gzip, Trailers"), ("connection", "te")]);
        clean_request(&mut request).unwrap();
        assert_eq!(request, headers(&[("te", "trailers")]));
    }

    #[test]
    fn connection_cannot_take_away_the_host_and_where_a_request_came_from() {
        let kept = [("host", "a"), ("x-forwarded-for", "b"), ("forwarded", "c")];
        let mut request = headers(&kept);
        let named = "host, x-forwarded-for, forwarded, x-forwarded-proto";
        request.insert(CONNECTION, HeaderValue::from_static(named));
        clean_request(&mut request).unwrap();
        assert_eq!(request, headers(&kept));
    }

    #[test]
    fn byte_that_is_not_ascii_hides_no_other_name() {
        let mut request = headers(&[("x-named", "1"), ("x-kept", "2")]);
        let named = HeaderValue::from_bytes(b"\xff, x-named").unwrap();
        request.insert(CONNECTION, named);
        clean_request(&mut request).unwrap();
        assert_eq!(request, headers(&[("x-kept", "2")]));
    }

    #[test]
    fn length_beside_chunks_is_removed_and_a_length_alone_is_not() {
        let fields = [("content-length", "3"), ("transfer-encoding", "Chunked")];
        let mut response = headers(&fields);
        clean_response(&mut response, false).unwrap();
        assert!(response.is_empty());
        let mut response = headers(&fields[..1]);
        clean_response(&mut response, false).unwrap();
        assert_eq!(response, headers(&fields[..1]));
    }

    #[test]
    fn other_transfer_codings_are_refused() {
        for coding in ["gzip", "gzip, chunked", "identity", "chunked, gzip", ""] {
            let mut fields = HeaderMap::new();
            fields.insert(TRANSFER_ENCODING, HeaderValue::from_static(coding));
            assert!(clean_request(&mut fields.clone()).is_err(), "{coding}");
            assert!(clean_response(&mut fields, false).is_err(), "{coding}");
        }
    }

    #[test]
    fn upgrade_to_http2_is_none() {
        let fields = [
            ("connection", "upgrade, http2-settings"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
        ];
        let mut request = headers(&fields);
        assert_eq!(clean_request(&mut request).unwrap(), None);
        assert!(request.is_empty());
    }

    #[test]
    fn lines_of_a_cookie_become_one() {
        let mut request = headers(&[("cookie", "a=1"), ("cookie", "b=2")]);
        join_cookies(&mut request);
        assert_eq!(request, headers(&[("cookie", "a=1; b=2")]));
    }
}
