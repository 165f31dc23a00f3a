//! Hop-by-hop fields: what a proxy must not pass on (RFC 9110, section 7.6.1).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONNECTION, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
    },
};

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

/// Removes what concerns the client's connection from a request, and returns whether it asks for an
/// upgrade, whose two fields then stay.
pub(super) fn clean_request(headers: &mut HeaderMap) -> bool {
    // Only this one coding may be asked for across a hop, and gRPC does.
    let trailers = headers
        .get_all(TE)
        .iter()
        .any(|te| tokens(te).any(|token| token.eq_ignore_ascii_case("trailers")));
    let upgrade = remove_hop_by_hop(headers);
    if headers.contains_key(TE) {
        headers.remove(TE);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    restore_upgrade(headers, upgrade)
}

/// Removes what concerns the upstream's connection from a response; of one that switches protocols,
/// the two fields of the upgrade stay.
pub(super) fn clean_response(headers: &mut HeaderMap, switches: bool) {
    let upgrade = remove_hop_by_hop(headers);
    restore_upgrade(headers, upgrade.filter(|_| switches));
}

/// Returns the protocol that an upgrade was asked to.
fn remove_hop_by_hop(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let mut upgrades = false;
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(tokens)
            .filter_map(|token| token.parse().ok())
            .collect();
        for name in named {
            if name == UPGRADE {
                upgrades = true;
            // A request cannot be routed without its host: a sender must not take it away.
            } else if name != HOST && name != TE {
                headers.remove(name);
            }
        }
    }
    let protocol = headers.get(UPGRADE).filter(|_| upgrades).cloned();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    protocol
}

fn restore_upgrade(headers: &mut HeaderMap, protocol: Option<HeaderValue>) -> bool {
    let upgrades = protocol.is_some();
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
    upgrades
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let list = value.to_str().unwrap_or_default();
    list.split(',').map(str::trim)
}

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
        assert!(!clean_request(&mut request));
        assert_eq!(request, headers(&[("x-kept", "3")]));
    }

    #[test]
    fn keeps_end_to_end_fields() {
        let end_to_end = headers(&[("host", "a"), ("authorization", "b"), ("trailer", "c")]);
        let mut request = end_to_end.clone();
        clean_request(&mut request);
        assert_eq!(request, end_to_end);
    }

    #[test]
    fn keeps_the_fields_of_an_upgrade_and_no_others() {
        let mut request = headers(&[
            ("connection", "keep-alive, Upgrade, x-hop"),
            ("upgrade", "websocket"),
            ("x-hop", "1"),
        ]);
        assert!(clean_request(&mut request));
        let kept = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(request, headers(&kept));
    }

    #[test]
    fn upgrade_that_connection_does_not_name_is_none() {
        let mut request = headers(&[("upgrade", "h2c")]);
        assert!(!clean_request(&mut request));
        assert!(request.is_empty());
    }

    #[test]
    fn response_keeps_its_upgrade_only_if_it_switches() {
        let fields = [("connection", "upgrade"), ("upgrade", "websocket")];
        let mut response = headers(&fields);
        clean_response(&mut response, true);
        assert_eq!(response, headers(&fields));
        clean_response(&mut response, false);
        assert!(response.is_empty());
    }

    #[test]
    fn asking_for_trailers_passes_and_other_codings_do_not() {
        let mut request = headers(&[("te", "gzip, Trailers"), ("connection", "te")]);
        clean_request(&mut request);
        assert_eq!(request, headers(&[("te", "trailers")]));
    }

    #[test]
    fn connection_cannot_take_the_host_away() {
        let mut request = headers(&[("connection", "host"), ("host", "a")]);
        clean_request(&mut request);
        assert_eq!(request, headers(&[("host", "a")]));
    }
}
