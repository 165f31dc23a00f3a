use std::{fmt, sync::Arc};

use http::{StatusCode, header::CONTENT_TYPE, response};

use super::trailers::GRPC_STATUS;

/// Which responses are held.
#[derive(Clone, Default)]
pub(super) enum When {
    #[default]
    AwaitsGrpcStatus,
    Chosen(Arc<dyn Fn(&response::Parts) -> bool + Send + Sync>),
}

impl When {
    pub(super) fn chosen(holds: impl Fn(&response::Parts) -> bool + Send + Sync + 'static) -> Self {
        Self::Chosen(Arc::new(holds))
    }

    pub(super) fn holds(&self, response: &response::Parts) -> bool {
        match self {
            Self::AwaitsGrpcStatus => awaits_grpc_status(response),
            Self::Chosen(holds) => holds(response),
        }
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AwaitsGrpcStatus => "AwaitsGrpcStatus",
            Self::Chosen(_) => "Chosen",
        })
    }
}

/// Whether a response is gRPC's and its status is still to come: 200 (OK) with a `content-type` of
/// `application/grpc` and without a `grpc-status`.
///
/// `application/grpc+proto` is gRPC's too, as is any other suffix or parameter;
/// `application/grpc-web` is not: its status comes in the data.
pub fn awaits_grpc_status(response: &response::Parts) -> bool {
    response.status == StatusCode::OK
        && !response.headers.contains_key(GRPC_STATUS)
        && response
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| is_grpc(value.as_bytes()))
}

fn is_grpc(content_type: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let Some((name, rest)) = content_type.split_at_checked(GRPC.len()) else {
        return false;
    };
    name.eq_ignore_ascii_case(GRPC)
        && match rest {
            [] | [b'+', ..] => true,
            // A parameter, which white space may stand before (RFC 9110, section 5.6.6).
            _ => rest.trim_ascii_start().starts_with(b";"),
        }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn awaits(status: u16, headers: &[(&str, &str)]) -> bool {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        awaits_grpc_status(&response.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn grpc_is_known_by_its_content_type() {
        for value in [
            "application/grpc",
            "Application/GRPC",
            "application/grpc+proto",
            "application/grpc+json;charset=utf-8",
            "application/grpc;charset=utf-8",
            "application/grpc ; charset=utf-8",
        ] {
            assert!(awaits(200, &[("content-type", value)]), "{value}");
        }
    }

    #[test]
    fn other_content_types_are_not_grpc() {
        for value in [
            "",
            "application/grp",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc-web-text",
            "application/grpcfoo",
            "application/grpc proto",
            "text/plain; x=application/grpc",
        ] {
            assert!(!awaits(200, &[("content-type", value)]), "{value}");
        }
        assert!(!awaits(200, &[]));
    }

    #[test]
    fn status_in_the_head_or_of_http_is_not_waited_for() {
        let grpc = ("content-type", "application/grpc");
        assert!(!awaits(200, &[grpc, ("grpc-status", "14")]));
        for status in [101, 204, 206, 404, 503] {
            assert!(!awaits(status, &[grpc]), "{status}");
        }
    }
}
