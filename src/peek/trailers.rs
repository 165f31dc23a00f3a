use http::{Extensions, HeaderMap, HeaderValue, header::GetAll};

pub(super) const GRPC_STATUS: &str = "grpc-status";

/// The trailers of a response without data, in the response's extensions.
///
/// A [`PeekLayer`](super::PeekLayer) puts them there for a policy to see; the body still yields them. A
/// body that ended with neither data nor trailers has none, and is told apart from one that was not
/// held, or has data, whose response does not carry this.
///
/// ```
/// use http::response;
/// use tower_failover::{peek::FirstTrailers, policy::{Attempt, Verdict, policy_fn}};
///
/// // A gRPC response must have a status; one that ends without is not the server's own.
/// fn is_cut(response: &response::Parts) -> bool {
///     FirstTrailers::of(&response.extensions)
///         .is_some_and(|trailers| trailers.get("grpc-status").is_none())
/// }
/// # let (parts, ()) = http::Response::new(()).into_parts();
/// # assert!(!is_cut(&parts));
/// ```
#[derive(Clone, Debug, Default)]
pub struct FirstTrailers(HeaderMap);

impl FirstTrailers {
    pub(super) const fn new(trailers: HeaderMap) -> Self {
        Self(trailers)
    }

    /// The trailers that a response carries, if it was held and its body has no data.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The first value of a trailer; its name is compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&HeaderValue> {
        self.0.get(name)
    }

    /// All of them.
    pub fn headers(&self) -> &HeaderMap {
        &self.0
    }
}

/// The values of a field of a gRPC response, such as `grpc-status`: those in its head, or if there are none
/// those in its first trailers.
pub(crate) fn grpc_header<'a>(
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    name: &str,
) -> GetAll<'a, HeaderValue> {
    let headers = match FirstTrailers::of(extensions) {
        Some(trailers) if !headers.contains_key(name) => trailers.headers(),
        _ => headers,
    };
    headers.get_all(name)
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn statuses(head: &[&str], trailers: &[&str]) -> Vec<String> {
        let fields = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(GRPC_STATUS, value.parse().unwrap());
            }
            headers
        };
        let mut response = Response::new(());
        *response.headers_mut() = fields(head);
        let trailers = FirstTrailers::new(fields(trailers));
        response.extensions_mut().insert(trailers);
        let (parts, ()) = response.into_parts();
        let found = grpc_header(&parts.headers, &parts.extensions, GRPC_STATUS);
        let texts = found.iter().map(|value| value.to_str().unwrap().to_owned());
        texts.collect()
    }

    #[test]
    fn head_speaks_before_the_trailers() {
        assert_eq!(statuses(&["1"], &["2"]), ["1"]);
        assert_eq!(statuses(&["1", "3"], &["2"]), ["1", "3"]);
        assert_eq!(statuses(&[], &["2", "4"]), ["2", "4"]);
        assert_eq!(statuses(&["1"], &[]), ["1"]);
        assert!(statuses(&[], &[]).is_empty());
    }

    #[test]
    fn head_speaks_alone_where_nothing_was_held() {
        let response = Response::builder().header(GRPC_STATUS, "1");
        let (parts, ()) = response.body(()).unwrap().into_parts();
        assert_eq!(
            grpc_header(&parts.headers, &parts.extensions, GRPC_STATUS)
                .iter()
                .count(),
            1
        );
        let (parts, ()) = Response::new(()).into_parts();
        assert_eq!(
            grpc_header(&parts.headers, &parts.extensions, GRPC_STATUS)
                .iter()
                .count(),
            0
        );
    }
}
