use http::Method;

use crate::head::Head;

/// A request extension that says whether the request may be processed more than once, over what its
/// method and headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafeToRepeat(pub bool);

/// Idempotent methods are those of RFC 9110, section 9.2.2, and QUERY; a request with an
/// `Idempotency-Key` is recognised by the origin when it comes again.
pub(super) fn is_safe_to_repeat(head: &Head) -> bool {
    if let Some(SafeToRepeat(said)) = head.extensions().get() {
        return *said;
    }
    matches!(
        *head.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    ) || head.method().as_str() == "QUERY"
        || head.header("idempotency-key").is_some()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn is_safe(request: http::request::Builder) -> bool {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        is_safe_to_repeat(&Head::take(&parts))
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
    fn the_user_has_the_last_word() {
        let post = Request::builder().method("POST");
        assert!(is_safe(post.extension(SafeToRepeat(true))));
        assert!(!is_safe(Request::builder().extension(SafeToRepeat(false))));
    }
}
