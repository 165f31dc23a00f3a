//! The remembered head of a request: cheap to take, dear to restore, which is rare.
//!
//! Header names and values are packed into one piece of memory, which the trail carries: for a head of eight fields
//! that is half the instructions of a copied header map, and none of its five allocations.

use bytes::Bytes;
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, request::Parts,
};

use crate::trail::Trail;

pub(crate) struct Head {
    /// The current attempt's handle.
    pub(crate) trail: Trail,
    method: Method,
    uri: Uri,
    version: Version,
    extensions: Extensions,
    /// How long the fields are together, when they are packed one after the other.
    length: usize,
    /// The fields of a head that is too long for the trail to carry.
    own: Option<Box<[u8]>>,
    names: usize,
}

/// One packed field: the length of the name, that of the value with whether it is sensitive in the topmost bit, then name
/// and value.
const PREFIX: usize = size_of::<u16>() + size_of::<u64>();
const SENSITIVE: u64 = 1 << 63;

impl Head {
    /// Remembers a head, and starts the trail that carries it; `timed` says whether the attempts have a per-try timeout.
    pub(crate) fn take(parts: &Parts, timed: bool) -> Self {
        let headers = &parts.headers;
        let length = length(headers);
        let (trail, carried) = Trail::begin_with(timed, length, |room| pack(headers, room));
        let own = (!carried).then(|| {
            let mut own = vec![0; length].into_boxed_slice();
            pack(headers, &mut own);
            own
        });
        Self {
            trail,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            extensions: parts.extensions.clone(),
            length,
            own,
            names: headers.keys_len(),
        }
    }

    /// The head as it was taken.
    pub(crate) fn restore(&self) -> Parts {
        let packed = Bytes::copy_from_slice(self.packed());
        let mut headers = HeaderMap::try_with_capacity(self.names).unwrap_or_default();
        for field in fields(&packed) {
            // What was a name and a value when it was packed is one still.
            let Ok(name) = HeaderName::from_bytes(field.name) else {
                continue;
            };
            let Ok(mut value) = HeaderValue::from_maybe_shared(packed.slice_ref(field.value))
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
        fields(self.packed())
            .filter(move |field| field.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| field.value)
    }

    fn packed(&self) -> &[u8] {
        match &self.own {
            Some(own) => own,
            None => self.trail.luggage().get(..self.length).unwrap_or_default(),
        }
    }
}

/// How much room fields take when they are packed.
fn length(headers: &HeaderMap) -> usize {
    let fields = headers.iter();
    fields
        .map(|(name, value)| PREFIX + name.as_str().len() + value.len())
        .sum()
}

/// Packs fields into room for just them.
fn pack(headers: &HeaderMap, mut room: &mut [u8]) {
    for (name, value) in headers {
        let (name, bytes) = (name.as_str().as_bytes(), value.as_bytes());
        // A name has at most 65,535 bytes.
        let name_length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        let sensitive = if value.is_sensitive() { SENSITIVE } else { 0 };
        room = put(room, &name_length.to_ne_bytes());
        room = put(room, &(bytes.len() as u64 | sensitive).to_ne_bytes());
        room = put(room, name);
        room = put(room, bytes);
    }
}

/// Puts bytes at the start of room that is there, and returns the rest.
fn put<'a>(room: &'a mut [u8], bytes: &[u8]) -> &'a mut [u8] {
    let (start, rest) = room.split_at_mut(bytes.len());
    start.copy_from_slice(bytes);
    rest
}

fn fields(packed: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = packed;
    std::iter::from_fn(move || {
        let (name_length, tail) = rest.split_first_chunk()?;
        let (value_length, tail) = tail.split_first_chunk()?;
        let value_length = u64::from_ne_bytes(*value_length);
        let (name, tail) = tail.split_at_checked(u16::from_ne_bytes(*name_length).into())?;
        let length = usize::try_from(value_length & !SENSITIVE).ok()?;
        let (value, tail) = tail.split_at_checked(length)?;
        rest = tail;
        Some(Field {
            name,
            value,
            sensitive: value_length & SENSITIVE != 0,
        })
    })
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
        let head = Head::take(&parts, false);
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
        let head = Head::take(&parts(), false);
        assert_eq!(head.header("Accept"), Some(&b"a"[..]));
        assert_eq!(head.header("x-empty"), Some(&b""[..]));
        assert_eq!(head.header("x-none"), None);
    }

    #[test]
    fn heads_that_just_fit_into_a_room_and_those_that_just_do_not_are_remembered() {
        for room in [128_usize, 256, 512, 1024, 2048, 4096, 8192] {
            for packed in [room - 1, room, room + 1] {
                let mut parts = parts();
                parts.headers.clear();
                let value = "v".repeat(packed - PREFIX - 1);
                let value = HeaderValue::try_from(value).unwrap();
                parts
                    .headers
                    .insert("x".parse::<HeaderName>().unwrap(), value);
                let head = Head::take(&parts, false);
                assert_eq!(head.packed().len(), packed);
                assert_eq!(head.restore().headers, parts.headers);
                assert_eq!(head.own.is_some(), packed > 8192);
            }
        }
    }

    #[test]
    fn heads_of_every_size_are_remembered() {
        for count in [0, 1, 10, 50, 200, 2_000] {
            let mut parts = parts();
            parts.headers.clear();
            for index in 0..count {
                let name = HeaderName::try_from(format!("x-field-{index}")).unwrap();
                parts.headers.insert(name, HeaderValue::from(index));
            }
            let head = Head::take(&parts, false);
            assert_eq!(head.restore().headers, parts.headers, "{count}");
            assert_eq!(head.own.is_some(), count > 200, "{count}");
        }
    }
}
