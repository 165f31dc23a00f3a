use http::Method;

use crate::head::Head;

/// A request extension that says whether the request may be processed more than once, over what its
/// method and headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafeToRepeat(pub bool);

/// Idempotent methods are those of RFC 9110, section 9.2.2, and QUERY; a request with an
/// `Idempotency-Key` is recognised by the origin when it comes again.
pub(crate) fn is_safe_to_repeat(head: &Head) -> bool {
    if let Some(SafeToRepeat(said)) = head.extensions().get() {
        return *said;
    }
    matches!(
        *head.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    ) || head.method().as_str() == "QUERY"
        || has_idempotency_key(head)
}

/// A key that is empty, or that `Connection` names and a proxy removes, is none that an origin could
/// recognise.
fn has_idempotency_key(head: &Head) -> bool {
    const NAME: &str = "idempotency-key";
    let hop_by_hop = |list: &[u8]| {
        list.split(|byte| *byte == b',')
            .any(|name| name.trim_ascii().eq_ignore_ascii_case(NAME.as_bytes()))
    };
    head.header(NAME)
        .is_some_and(|key| !key.trim_ascii().is_empty())
        && !head.headers("connection").any(hop_by_hop)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn is_safe(request: http::request::Builder) -> bool {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        is_safe_to_repeat(&Head::take(&parts, false))
    }

    #[test]
    fn idempotent_methods_are_safe() {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"] {
            assert!(is_safe(Request::builder().method(method)), "{method}");
        }
    }

    #[test]
    fn other_methods_are_not() {
        for method in ["POST", "PATCH", "CONNECT", "get", "PROPPATCH"] {
            assert!(!is_safe(Request::builder().method(method)), "{method}");
        }
    }

    #[test]
    fn idempotency_key_makes_a_post_safe() {
        let post = Request::builder().method("POST");
        assert!(is_safe(post.header("Idempotency-Key", "\"a\"")));
    }

    #[test]
    fn key_that_the_origin_will_not_see_is_none() {
        let post = || Request::builder().method("POST");
        assert!(!is_safe(post().header("idempotency-key", " ")));
        let named = post().header("idempotency-key", "a");
        let named = named.header("connection", "close");
        assert!(!is_safe(named.header("connection", "x, Idempotency-Key")));
    }

    #[test]
    fn the_user_has_the_last_word() {
        let post = Request::builder().method("POST");
        assert!(is_safe(post.extension(SafeToRepeat(true))));
        assert!(!is_safe(Request::builder().extension(SafeToRepeat(false))));
    }
}
