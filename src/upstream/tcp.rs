use std::{
    future::Future,
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::BoxError;

/// The connector of plain TCP. Names are looked up by hyper-util's, which tries all of their addresses.
///
/// An address needs none of that: one that refuses takes six system calls in place of eight, and one that takes the
/// connection seven in place of eleven, which matters where every third request finds an upstream down.
#[derive(Clone, Debug)]
pub(super) struct Tcp {
    named: HttpConnector,
}

impl Tcp {
    pub(super) const fn new(named: HttpConnector) -> Self {
        Self { named }
    }
}

impl Service<Uri> for Tcp {
    type Response = Plain;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Plain, BoxError>> + Send>>;

    /// Always ready, as hyper-util's is.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match address(&uri) {
            Some(address) => Box::pin(async move {
                let stream = TcpStream::connect(address).await?;
                // A small write must not wait for the acknowledgement of the last one.
                stream.set_nodelay(true)?;
                Ok(Plain(TokioIo::new(stream)))
            }),
            None => {
                let connecting = self.named.call(uri);
                Box::pin(async move { Ok(Plain(connecting.await?)) })
            }
        }
    }
}

/// The address that a URI names, unless it names a host.
fn address(uri: &Uri) -> Option<SocketAddr> {
    let host = uri.host()?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let ip: IpAddr = bare.unwrap_or(host).parse().ok()?;
    Some(SocketAddr::new(ip, uri.port_u16().unwrap_or(80)))
}

/// A plain connection, which has nothing to say of itself: to ask for its addresses would be two system calls.
#[derive(Debug)]
pub(super) struct Plain(TokioIo<TcpStream>);

impl Connection for Plain {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Plain {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_names() {
        let address = |uri: &'static str| {
            let address = address(&Uri::from_static(uri));
            address.map_or("a name".to_owned(), |address| address.to_string())
        };
        for (uri, expected) in [
            ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
            ("http://192.0.2.1/", "192.0.2.1:80"),
            ("http://[::1]:8080/", "[::1]:8080"),
            ("http://[2001:db8::1]/", "[2001:db8::1]:80"),
            ("http://localhost:8080/", "a name"),
            ("http://127.1/", "a name"),
            ("http://0x7f.example/", "a name"),
        ] {
            assert_eq!(address(uri), expected, "{uri}");
        }
    }
}
