use http::{
    HeaderValue, Request, Uri,
    header::HOST,
    uri::{Authority, PathAndQuery, Scheme},
};

/// Where a server is, and how requests say so: in HTTP/1 by `Host`, in HTTP/2 and to proxies by their URI.
#[derive(Clone, Debug)]
pub(super) struct Place {
    scheme: Scheme,
    authority: Authority,
    /// The authority without the port that its scheme has by itself.
    host: HeaderValue,
    /// What a connector is told.
    uri: Uri,
}

impl Place {
    pub(super) fn new(scheme: Scheme, authority: Authority) -> Self {
        let own = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let host = match authority.port_u16() {
            Some(port) if port != own => authority.as_str(),
            _ => authority.host(),
        };
        // All that an authority may hold, a field may.
        let host = HeaderValue::from_str(host);
        Self {
            host: host.unwrap_or_else(|_| HeaderValue::from_static("")),
            uri: at(&scheme, &authority, PathAndQuery::from_static("/")),
            scheme,
            authority,
        }
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// `Host`, where it is the server's own.
    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// What a connector is told.
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Gives a request its whole URI.
    pub(super) fn locate<T>(&self, request: &mut Request<T>) {
        *request.uri_mut() = at(&self.scheme, &self.authority, path(request));
    }

    /// Makes a request in HTTP/1 one in HTTP/2.
    pub(super) fn raise<T>(&self, request: &mut Request<T>) {
        if request.uri().authority().is_none() {
            self.locate(request);
            // `:authority` says it.
            if request.headers().get(HOST) == Some(&self.host) {
                request.headers_mut().remove(HOST);
            }
        }
    }

    /// Undoes [`locate`](Self::locate) and [`raise`](Self::raise).
    pub(super) fn lower<T>(&self, request: &mut Request<T>) {
        if request.uri().authority().is_some() {
            *request.uri_mut() = path(request).into();
            let headers = request.headers_mut();
            headers.entry(HOST).or_insert_with(|| self.host.clone());
        }
    }
}

fn at(scheme: &Scheme, authority: &Authority, path: PathAndQuery) -> Uri {
    let uri = Uri::builder()
        .scheme(scheme.clone())
        .authority(authority.clone())
        .path_and_query(path);
    // Only a part that is missing, or no part of a URI, could fail.
    uri.build().unwrap_or_default()
}

fn path<T>(request: &Request<T>) -> PathAndQuery {
    let path = request.uri().path_and_query().cloned();
    path.unwrap_or_else(|| PathAndQuery::from_static("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(base: &str) -> Place {
        let parts = base.parse::<Uri>().unwrap().into_parts();
        Place::new(parts.scheme.unwrap(), parts.authority.unwrap())
    }

    #[test]
    fn host_has_a_port_only_if_it_is_not_the_schemes_own() {
        let hosts = [
            ("http://u", "u"),
            ("http://u:80", "u"),
            ("http://u:443", "u:443"),
            ("https://u:443", "u"),
            ("http://[::1]:80", "[::1]"),
        ];
        for (base, host) in hosts {
            assert_eq!(place(base).host(), host);
        }
    }

    #[test]
    fn request_that_is_raised_and_lowered_is_as_it_was() {
        for host in ["u:1", "asked"] {
            let mut request = Request::get("/a?b").header(HOST, host).body(()).unwrap();
            let place = place("http://u:1");
            place.raise(&mut request);
            assert_eq!(request.uri(), "http://u:1/a?b");
            assert_eq!(request.headers().contains_key(HOST), host == "asked");
            place.lower(&mut request);
            assert_eq!(request.uri(), "/a?b");
            assert_eq!(request.headers()[HOST], host);
        }
    }
}
