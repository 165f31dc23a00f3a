use http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::ConfigError;

/// Where an upstream is: `http://host:port/prefix`.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// Without a slash at its end; mostly empty.
    prefix: String,
}

const EXPECTED: &str = "a base URI such as `http://host:port` or `https://host/prefix`, without \
                        user information and query";

impl Base {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = || Self::wrong(text);
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(wrong());
        };
        let path = parts
            .path_and_query
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        let known = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        let named = !authority.host().is_empty() && !authority.as_str().contains('@');
        // What is too large to be a port is none to `http`.
        let port = authority.as_str().rsplit_once(':').map(|(_, port)| port);
        let port = port
            .filter(|port| !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit()));
        let named = named && port.is_none_or(|port| port.parse::<u16>().is_ok());
        if !known || !named || path.query().is_some() || text.contains('#') {
            return Err(wrong());
        }
        Ok(Self {
            scheme,
            authority,
            prefix: path.path().trim_end_matches('/').to_owned(),
        })
    }

    /// What is said of a text that is no base URI.
    pub(super) fn wrong(text: &str) -> ConfigError {
        ConfigError::new("upstream", format!("`{text}`"), EXPECTED)
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The path and query of a request at this upstream; `None` when the two make none together.
    pub(super) fn path(&self, uri: &Uri) -> Option<PathAndQuery> {
        let asked = uri.path_and_query().cloned();
        let asked = asked.unwrap_or_else(|| PathAndQuery::from_static("/"));
        match (self.prefix.as_str(), asked.as_str()) {
            ("", _) => Some(asked),
            // The whole server is asked about; here, that is what stands below the prefix.
            (prefix, "*") => PathAndQuery::try_from(prefix).ok(),
            (prefix, path) => PathAndQuery::try_from(format!("{prefix}{path}")).ok(),
        }
    }

    /// The URI of a request at this upstream; `None` when the two make no URI together.
    #[cfg(any(feature = "reqwest", test))]
    pub(super) fn join(&self, uri: &Uri) -> Option<Uri> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(self.path(uri)?)
            .build()
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(base: &str, uri: &str) -> String {
        let uri = Base::parse(base).unwrap().join(&uri.parse().unwrap());
        uri.unwrap().to_string()
    }

    #[test]
    fn puts_its_prefix_before_the_path() {
        assert_eq!(join("http://u:1", "/a?b=c"), "http://u:1/a?b=c");
        assert_eq!(join("http://u:1/", "/a"), "http://u:1/a");
        assert_eq!(join("http://u:1/p/", "/a?b"), "http://u:1/p/a?b");
        assert_eq!(join("https://u/p", "http://client/a"), "https://u/p/a");
    }

    #[test]
    fn asterisk_is_the_whole_of_what_is_below_the_prefix() {
        assert_eq!(join("http://u/p", "*"), "http://u/p");
        let asterisk = Base::parse("http://u").unwrap().join(&"*".parse().unwrap());
        assert_eq!(asterisk.unwrap().path(), "*");
    }

    #[test]
    fn uri_that_would_be_too_long_is_none() {
        let base = Base::parse(&format!("http://u/{}", "p".repeat(100))).unwrap();
        let uri = format!("http://me/{}", "a".repeat(65_450)).parse().unwrap();
        assert!(base.join(&uri).is_none());
    }

    #[test]
    fn does_not_touch_what_it_passes_on() {
        assert_eq!(
            join("http://u", "//a/../b%2F?x=%00"),
            "http://u//a/../b%2F?x=%00"
        );
    }

    #[test]
    fn refuses_what_is_no_base_and_names_it() {
        let wrong = [
            "",
            "u:1",
            "/path",
            "ftp://u",
            "http://",
            "http://me@u",
            "http://u?x",
            "http://u/#x",
            "http://u 1",
        ];
        for text in wrong {
            let error = Base::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("upstream: `{text}` is not a base URI")));
        }
    }
}
