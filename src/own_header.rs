//! Headers of our own, and what they must not be called.

use http::{
    HeaderName,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};

use crate::ConfigError;

/// Names that say where a message ends, where it goes, or what one connection is to do (RFC 9110, sections
/// 7.2, 7.6.1, 8.6 and 10.1.1): a number written in their place breaks the message.
const FRAMING: [HeaderName; 10] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The name, if a header of ours may be called so.
pub(crate) fn own_header(
    setting: &'static str,
    name: HeaderName,
) -> Result<HeaderName, ConfigError> {
    if FRAMING.contains(&name) {
        let expected = "a name for it: that header frames or routes the message";
        return Err(ConfigError::new(setting, name, expected));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_frame_a_message_are_refused() {
        for name in [
            "content-length",
            "Transfer-Encoding",
            "host",
            "connection",
            "te",
        ] {
            let error = own_header("attempt header", name.parse().unwrap()).unwrap_err();
            let name = name.to_ascii_lowercase();
            assert_eq!((error.setting(), error.value()), ("attempt header", &*name));
        }
    }

    #[test]
    fn other_names_are_not() {
        for name in ["x-attempt", "grpc-timeout", "content-type", "x-host"] {
            assert!(own_header("attempt header", name.parse().unwrap()).is_ok());
        }
    }
}
