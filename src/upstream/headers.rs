//! Hop-by-hop fields: what a proxy must not pass on (RFC 9110, section 7.6.1).

use std::fmt;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONNECTION, CONTENT_LENGTH, COOKIE, FORWARDED, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
    },
};

/// The fields that something is done about. Most heads have few of them: they are looked for in one pass, and
/// only those that are there are asked for by name, which costs a hash each.
#[derive(Clone, Copy, Debug, Default)]
struct Fields(u16);

/// Removed whether `Connection` names them or not.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

impl Fields {
    // The first are those of `HOP_BY_HOP`, in order.
    const CONNECTION: Self = Self(1);
    const TRANSFER_ENCODING: Self = Self(1 << 3);
    const UPGRADE: Self = Self(1 << 4);
    const TE: Self = Self(1 << 7);
    const COOKIE: Self = Self(1 << 8);

    fn of(headers: &HeaderMap) -> Self {
        headers
            .keys()
            .fold(Self(0), |found, name| Self(found.0 | Self::bit(name)))
    }

    fn bit(name: &HeaderName) -> u16 {
        match name.as_str() {
            "connection" => Self::CONNECTION.0,
            "keep-alive" => 1 << 1,
            "proxy-connection" => 1 << 2,
            "transfer-encoding" => Self::TRANSFER_ENCODING.0,
            "upgrade" => Self::UPGRADE.0,
            "proxy-authenticate" => 1 << 5,
            "proxy-authorization" => 1 << 6,
            "te" => Self::TE.0,
            "cookie" => Self::COOKIE.0,
            _ => 0,
        }
    }

    fn has(self, fields: Self) -> bool {
        self.0 & fields.0 != 0
    }
}

/// Removes what concerns the client's connection from a request, and returns the protocol that it asks
/// to be upgraded to, if it does; those two fields then stay. For HTTP/1, lines of a cookie become one.
///
/// # Errors
///
/// The body has a transfer coding that is not removed with its field: it would be taken for plain.
pub(super) fn clean_request(
    headers: &mut HeaderMap,
    http1: bool,
) -> Result<Option<HeaderValue>, Coded> {
    let found = Fields::of(headers);
    // Only this one coding may be asked for across a hop, and gRPC does.
    let trailers = found.has(Fields::TE)
        && headers
            .get_all(TE)
            .iter()
            .any(|te| tokens(te).any(|token| token.eq_ignore_ascii_case(b"trailers")));
    let upgrade = remove_hop_by_hop(headers, found)?;
    // HTTP/2 begins in a way of its own; asking for it here is how requests are smuggled.
    let upgrade = upgrade.filter(|to| !tokens(to).any(|to| to.eq_ignore_ascii_case(b"h2c")));
    if found.has(Fields::TE) {
        headers.remove(TE);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    restore_upgrade(headers, upgrade.as_ref());
    if http1 && found.has(Fields::COOKIE) {
        join_cookies(headers);
    }
    Ok(upgrade)
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
    let found = Fields::of(headers);
    let upgrade = remove_hop_by_hop(headers, found)?.filter(|_| switches);
    restore_upgrade(headers, upgrade.as_ref());
    Ok(upgrade)
}

/// Returns the protocol that an upgrade was asked to.
fn remove_hop_by_hop(headers: &mut HeaderMap, found: Fields) -> Result<Option<HeaderValue>, Coded> {
    if found.has(Fields::TRANSFER_ENCODING) {
        let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        let mut values = headers.get_all(TRANSFER_ENCODING).iter();
        if !values.all(|value| tokens(value).all(is_chunked)) {
            return Err(Coded);
        }
        // The length that was obeyed is that of the chunks (RFC 9112, section 6.3).
        headers.remove(CONTENT_LENGTH);
    }
    let upgrades = found.has(Fields::CONNECTION) && remove_named(headers);
    let protocol = if upgrades && found.has(Fields::UPGRADE) {
        headers.get(UPGRADE).cloned()
    } else {
        None
    };
    for (index, name) in HOP_BY_HOP.iter().enumerate() {
        if found.has(Fields(1 << index)) {
            headers.remove(name);
        }
    }
    Ok(protocol)
}

/// Removes the fields that `Connection` names; returns whether `Upgrade` is one, which stays.
fn remove_named(headers: &mut HeaderMap) -> bool {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(tokens)
        // No fields, or removed in any case; and what most connections say.
        .filter(|token| !token.eq_ignore_ascii_case(b"keep-alive"))
        .filter(|token| !token.eq_ignore_ascii_case(b"close"))
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
fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if lines.len() > 1 {
        if let Ok(cookie) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
            headers.insert(COOKIE, cookie);
        }
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
        assert_eq!(clean_request(&mut request, true).unwrap(), None);
        assert_eq!(request, headers(&[("x-kept", "3")]));
    }

    #[test]
    fn hop_by_hop_fields_are_found_in_the_order_in_which_they_are_removed() {
        for (index, name) in HOP_BY_HOP.iter().enumerate() {
            assert_eq!(Fields::bit(name), 1 << index, "{name}");
        }
    }

    #[test]
    fn keeps_end_to_end_fields() {
        let end_to_end = headers(&[("host", "a"), ("authorization", "b"), ("trailer", "c")]);
        let mut request = end_to_end.clone();
        clean_request(&mut request, true).unwrap();
        assert_eq!(request, end_to_end);
    }

    #[test]
    fn keeps_the_fields_of_an_upgrade_and_no_others() {
        let mut request = headers(&[
            ("connection", "keep-alive, Upgrade, x-hop"),
            ("upgrade", "websocket"),
            ("x-hop", "1"),
        ]);
        assert_eq!(
            clean_request(&mut request, true).unwrap().unwrap(),
            "websocket"
        );
        let kept = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(request, headers(&kept));
    }

    #[test]
    fn upgrade_that_connection_does_not_name_is_none() {
        let mut request = headers(&[("upgrade", "h2c")]);
        assert_eq!(clean_request(&mut request, true).unwrap(), None);
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
        clean_request(&mut request, true).unwrap();
        assert_eq!(request, headers(&[("te", "trailers")]));
    }

    #[test]
    fn connection_cannot_take_away_the_host_and_where_a_request_came_from() {
        let kept = [("host", "a"), ("x-forwarded-for", "b"), ("forwarded", "c")];
        let mut request = headers(&kept);
        let named = "host, x-forwarded-for, forwarded, x-forwarded-proto";
        request.insert(CONNECTION, HeaderValue::from_static(named));
        clean_request(&mut request, true).unwrap();
        assert_eq!(request, headers(&kept));
    }

    #[test]
    fn byte_that_is_not_ascii_hides_no_other_name() {
        let mut request = headers(&[("x-named", "1"), ("x-kept", "2")]);
        let named = HeaderValue::from_bytes(b"\xff, x-named").unwrap();
        request.insert(CONNECTION, named);
        clean_request(&mut request, true).unwrap();
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
            assert!(
                clean_request(&mut fields.clone(), true).is_err(),
                "{coding}"
            );
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
        assert_eq!(clean_request(&mut request, true).unwrap(), None);
        assert!(request.is_empty());
    }

    #[test]
    fn lines_of_a_cookie_become_one_in_http1() {
        let lines = headers(&[("cookie", "a=1"), ("cookie", "b=2")]);
        let mut request = lines.clone();
        clean_request(&mut request, true).unwrap();
        assert_eq!(request, headers(&[("cookie", "a=1; b=2")]));
        let mut request = lines.clone();
        clean_request(&mut request, false).unwrap();
        assert_eq!(request, lines);
    }
}
