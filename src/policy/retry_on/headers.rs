use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Response headers to look for, each once and in order, so that equal sets are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Headers(Vec<Header>);

impl Headers {
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn insert(&mut self, header: Header) {
        if let Err(index) = self
            .0
            .binary_search_by(|known| known.key().cmp(&header.key()))
        {
            self.0.insert(index, header);
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is there.
    pub(super) fn any_in(&self, headers: &HeaderMap) -> bool {
        self.0.iter().any(|header| header.is_in(headers))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }
}

/// A header, with any value or with one.
///
/// In text it is `NAME` or `NAME=VALUE`. A value may hold what the list itself is made of, and bytes that
/// are no text: `%2C` is a comma, and every percent sign is `%25`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: HeaderName,
    pub(super) value: Option<HeaderValue>,
}

/// Why a text is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    Name,
    Value,
}

impl Header {
    pub(super) fn read(text: &str) -> Result<Self, NoHeader> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let name = name.trim().parse().map_err(|_| NoHeader::Name)?;
        let value = value.map(|value| unescape(value.trim()).ok_or(NoHeader::Value));
        Ok(Self {
            name,
            value: value.transpose()?,
        })
    }

    fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut found = headers.get_all(&self.name).iter();
        match &self.value {
            Some(value) => found.any(|found| found == value),
            None => found.next().is_some(),
        }
    }

    fn key(&self) -> (&str, Option<&[u8]>) {
        (
            self.name.as_str(),
            self.value.as_ref().map(HeaderValue::as_bytes),
        )
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_str())?;
        let Some(value) = &self.value else {
            return Ok(());
        };
        f.write_str("=")?;
        for byte in value.as_bytes() {
            match byte {
                b'%' | b',' => write!(f, "%{byte:02X}")?,
                b'!'..=b'~' => write!(f, "{}", char::from(*byte))?,
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

fn unescape(text: &str) -> Option<HeaderValue> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            bytes.push(hex(rest.next()?)? << 4 | hex(rest.next()?)?);
        } else {
            bytes.push(byte);
        }
    }
    HeaderValue::from_bytes(&bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_back() {
        let texts = [
            ("X-Retry", "x-retry"),
            ("x-retry=", "x-retry="),
            ("x-retry = yes ", "x-retry=yes"),
            ("x-retry=a=b", "x-retry=a=b"),
            (
                "cache-control=no-store%2C no-cache",
                "cache-control=no-store%2C%20no-cache",
            ),
            ("x=100%25", "x=100%25"),
            ("x=%C3%a9", "x=%C3%A9"),
            ("x=é", "x=%C3%A9"),
            ("x=%09%20", "x=%09%20"),
        ];
        for (text, short) in texts {
            let header = Header::read(text).unwrap();
            assert_eq!(header.to_string(), short);
            assert_eq!(Header::read(short), Ok(header), "{text}");
        }
    }

    #[test]
    fn what_is_no_header_is_none() {
        for text in ["", "=", "=yes", "x retry", "x:y", "ｘ", "x\ny", "x\0=y"] {
            assert_eq!(Header::read(text), Err(NoHeader::Name), "{text:?}");
        }
        for text in ["x=100%", "x=%2", "x=%zz", "x=%0A", "x=a\u{7f}b", "x=a\nb"] {
            assert_eq!(Header::read(text), Err(NoHeader::Value), "{text:?}");
        }
    }

    #[test]
    fn each_stands_once_and_order_is_no_difference() {
        let set = |texts: &[&str]| {
            let mut set = Headers::none();
            let headers = texts.iter().map(|text| Header::read(text).unwrap());
            headers.for_each(|header| set.insert(header));
            set
        };
        assert_eq!(set(&["b", "a", "a=1", "B"]), set(&["a=1", "b", "a"]));
        assert_ne!(set(&["a=1"]), set(&["a=2"]));
        assert_ne!(set(&["a="]), set(&["a"]));
    }
}
