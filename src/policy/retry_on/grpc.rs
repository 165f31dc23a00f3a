use http::response;

use super::super::GrpcCode;

/// The gRPC status codes of a list, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GrpcCodes(u32);

impl GrpcCodes {
    pub(super) const fn none() -> Self {
        Self(0)
    }

    pub(super) const fn and(self, code: GrpcCode) -> Self {
        Self(self.0 | 1 << code.number())
    }

    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    const fn contains(self, code: GrpcCode) -> bool {
        self.0 & 1 << code.number() != 0
    }

    /// Whether the response's status is one of them.
    pub(super) fn any_in(self, response: &response::Parts) -> bool {
        !self.is_none() && GrpcCode::of(response).is_some_and(|code| self.contains(code))
    }

    pub(super) fn iter(self) -> impl Iterator<Item = GrpcCode> {
        GrpcCode::ALL
            .into_iter()
            .filter(move |code| self.contains(*code))
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn status(values: &[&str]) -> Option<GrpcCode> {
        let head = values.iter().fold(Response::builder(), |head, value| {
            head.header("grpc-status", *value)
        });
        let (parts, ()) = head.body(()).unwrap().into_parts();
        GrpcCode::of(&parts)
    }

    #[test]
    fn status_is_a_number() {
        for value in ["14", " 14 ", "\t14"] {
            assert_eq!(status(&[value]), Some(GrpcCode::Unavailable), "{value:?}");
        }
        assert_eq!(status(&["0"]), Some(GrpcCode::Ok));
        assert_eq!(status(&["04"]), Some(GrpcCode::DeadlineExceeded));
    }

    #[test]
    fn anything_else_is_none() {
        for value in [
            "",
            "17",
            "014",
            "-1",
            "+1",
            "1 4",
            "14, 14",
            "unavailable",
            "1e1",
        ] {
            assert_eq!(status(&[value]), None, "{value:?}");
        }
        assert_eq!(status(&[]), None);
        assert_eq!(status(&["14", "14"]), None);
    }
}
