//! The requests, as a server's parser leaves them: the path and the values are slices of one buffer that was read.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

pub(crate) type Body = Full<Bytes>;

pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    headers: usize,
    extensions: bool,
    body: usize,
    /// Whether the service below answers in its second poll and not in its first.
    pub(crate) pends: bool,
}

const GET: Shape = Shape {
    name: "get",
    what: "GET, 8 headers",
    headers: 8,
    extensions: false,
    body: 0,
    pends: false,
};

pub(crate) const REQUESTS: [Shape; 6] = [
    GET,
    Shape {
        name: "get-0",
        what: "GET, no headers",
        headers: 0,
        ..GET
    },
    Shape {
        name: "get-30",
        what: "GET, 30 headers",
        headers: 30,
        ..GET
    },
    Shape {
        name: "extensions",
        what: "GET, 8 headers, with extensions",
        extensions: true,
        ..GET
    },
    Shape {
        name: "post",
        what: "POST, 8 headers, 16 KiB in one frame",
        body: 16 * 1024,
        ..GET
    },
    Shape {
        name: "pending",
        what: "GET, 8 headers, answered in the second poll",
        pends: true,
        ..GET
    },
];

const FIELDS: [(&str, &str); 8] = [
    ("host", "service.example.com:8080"),
    ("user-agent", "curl/8.5.0 (x86_64-pc-linux-gnu)"),
    ("accept", "application/json, text/plain, */*"),
    ("accept-encoding", "gzip, br"),
    (
        "authorization",
        "Bearer 0123456789abcdef0123456789abcdef01234567",
    ),
    ("x-request-id", "3d5e8f2a-94b1-4c7e-a1d0-6b2f9c8e7d10"),
    (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    ("x-forwarded-for", "192.0.2.17"),
];

const PATH: &str = "/api/v1/items/12345?expand=owner&limit=50";

/// What is copied for each request: all its text, and where its parts lie.
pub(crate) struct Template {
    text: Vec<u8>,
    names: Vec<String>,
    values: Vec<(usize, usize)>,
    extensions: bool,
    body: Bytes,
}

impl Template {
    pub(crate) fn new(shape: &Shape) -> Self {
        let mut text = PATH.as_bytes().to_vec();
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for index in 0..shape.headers {
            let (name, value) = match FIELDS.get(index) {
                Some((name, value)) => ((*name).to_owned(), *value),
                None => (format!("x-field-{index}"), "a value of a usual length"),
            };
            values.push((text.len(), text.len() + value.len()));
            text.extend_from_slice(value.as_bytes());
            names.push(name);
        }
        Self {
            text,
            names,
            values,
            extensions: shape.extensions,
            body: Bytes::from(vec![b'x'; shape.body]),
        }
    }

    pub(crate) fn request(&self) -> Request<Body> {
        let buffer = Bytes::copy_from_slice(&self.text);
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.uri_mut() = Uri::from_maybe_shared(buffer.slice(..PATH.len())).unwrap();
        if !self.body.is_empty() {
            *request.method_mut() = Method::POST;
        }
        let headers = request.headers_mut();
        headers.reserve(self.names.len());
        for (name, (start, end)) in self.names.iter().zip(&self.values) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let value = HeaderValue::from_maybe_shared(buffer.slice(*start..*end)).unwrap();
            headers.insert(name, value);
        }
        if self.extensions {
            request.extensions_mut().insert(7_u64);
            request.extensions_mut().insert("a route");
        }
        request
    }
}
