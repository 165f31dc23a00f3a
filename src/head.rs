//! The remembered head of a request: cheap to take, dear to restore, which is rare.
//!
//! Header names and values are packed into one buffer; a whole copy of a header map costs several
//! allocations, and nearly every copy is thrown away unused.

use bytes::Bytes;
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, request::Parts,
};

pub(crate) struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    extensions: Extensions,
    packed: Bytes,
    names: usize,
}

/// One packed field: both lengths, then whether the value is sensitive, then name and value.
const LENGTH: usize = size_of::<usize>();
const PREFIX: usize = 2 * LENGTH + 1;

impl Head {
    pub(crate) fn take(parts: &Parts) -> Self {
        let headers = &parts.headers;
        let length = |(name, value): (&HeaderName, &HeaderValue)| {
            PREFIX + name.as_str().len() + value.as_bytes().len()
        };
        let mut packed = Vec::with_capacity(headers.iter().map(length).sum());
        for (name, value) in headers {
            let (name, bytes) = (name.as_str().as_bytes(), value.as_bytes());
            packed.extend_from_slice(&name.len().to_ne_bytes());
            packed.extend_from_slice(&bytes.len().to_ne_bytes());
            packed.push(u8::from(value.is_sensitive()));
            packed.extend_from_slice(name);
            packed.extend_from_slice(bytes);
        }
        Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            extensions: parts.extensions.clone(),
            packed: packed.into(),
            names: headers.keys_len(),
        }
    }

    /// The head as it was taken.
    pub(crate) fn restore(&self) -> Parts {
        let mut headers = HeaderMap::try_with_capacity(self.names).unwrap_or_default();
        for field in self.fields() {
            // What was a name and a value when it was packed is one still.
            let Ok(name) = HeaderName::from_bytes(field.name) else {
                continue;
            };
            let Ok(mut value) = HeaderValue::from_maybe_shared(self.packed.slice_ref(field.value))
            else {
                continue;
            };
            value.set_sensitive(field.sensitive);
            headers.append(name, value);
        }
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = self.method.clone();
        parts.uri = self.uri.clone();
        parts.version = self.version;
        parts.headers = headers;
        parts.extensions = self.extensions.clone();
        parts
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The first value of a header; names are compared without regard to case.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers(name).next()
    }

    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields()
            .filter(move |field| field.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| field.value)
    }

    fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        let mut rest = &self.packed[..];
        std::iter::from_fn(move || {
            let (name_length, tail) = rest.split_first_chunk::<LENGTH>()?;
            let (value_length, tail) = tail.split_first_chunk::<LENGTH>()?;
            let (sensitive, tail) = tail.split_first()?;
            let (name, tail) = tail.split_at_checked(usize::from_ne_bytes(*name_length))?;
            let (value, tail) = tail.split_at_checked(usize::from_ne_bytes(*value_length))?;
            rest = tail;
            Some(Field {
                name,
                value,
                sensitive: *sensitive == 1,
            })
        })
    }
}

struct Field<'a> {
    name: &'a [u8],
    value: &'a [u8],
    sensitive: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Parts {
        let mut secret = HeaderValue::from_static("token");
        secret.set_sensitive(true);
        let request = Request::builder()
            .method("PURGE-EVERYTHING-NOW")
            .uri("http://example.test/path?query#")
            .version(Version::HTTP_2)
            .header("accept", "a")
            .header("authorization", secret)
            .header("accept", "b")
            .header("x-empty", "")
            .header("x-opaque", HeaderValue::from_bytes(b"\xff\x80").unwrap())
            .extension(7_u8)
            .body(())
            .unwrap();
        request.into_parts().0
    }

    #[test]
    fn restores_exactly_what_was_taken() {
        let parts = parts();
        let head = Head::take(&parts);
        for restored in [head.restore(), head.restore()] {
            assert_eq!(restored.method, parts.method);
            assert_eq!(restored.uri, parts.uri);
            assert_eq!(restored.version, parts.version);
            assert_eq!(restored.headers, parts.headers);
            assert!(restored.headers["authorization"].is_sensitive());
            assert!(!restored.headers["accept"].is_sensitive());
            assert_eq!(restored.extensions.get::<u8>(), Some(&7));
        }
    }

    #[test]
    fn finds_headers_without_regard_to_case() {
        let head = Head::take(&parts());
        assert_eq!(head.header("Accept"), Some(&b"a"[..]));
        assert_eq!(head.header("x-empty"), Some(&b""[..]));
        assert_eq!(head.header("x-none"), None);
    }

    #[test]
    fn head_without_headers_takes_no_buffer() {
        let head = Head::take(&Request::new(()).into_parts().0);
        assert!(head.packed.is_empty());
        assert!(head.restore().headers.is_empty());
    }
}
