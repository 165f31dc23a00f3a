//! A client that sends one large body, or reads one.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http_body_util::BodyExt;
use hyper::{Request, body::Body};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use crate::{
    Result,
    roles::{Length, Pattern},
};

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// A POST with a length.
    Up,
    /// A POST whose length is not known beforehand.
    UpChunked,
    /// A GET.
    Down,
}

impl Transfer {
    pub(super) const ALL: [Self; 3] = [Self::Up, Self::UpChunked, Self::Down];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Up => "POST with a length",
            Self::UpChunked => "POST, chunked",
            Self::Down => "GET",
        }
    }
}

/// Sends a request, and reads its response to the end. `passed` counts the bytes of the large body.
pub(super) async fn send(
    transfer: Transfer,
    bytes: u64,
    addr: SocketAddr,
    passed: &Arc<AtomicU64>,
) -> Result<()> {
    let uri = format!("http://{addr}/");
    let nothing = Arc::default();
    let request = match transfer {
        Transfer::Up => Request::post(uri).body(Pattern::new(bytes, Length::Known, passed)),
        Transfer::UpChunked => {
            Request::post(uri).body(Pattern::new(bytes, Length::Unknown, passed))
        }
        Transfer::Down => Request::get(uri).body(Pattern::new(0, Length::Known, &nothing)),
    };
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request?).await?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("{}: {status}", transfer.name()).into());
    }
    let mut body = response.into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let size = frame?.data_ref().map_or(0, |data| data.len() as u64);
        read += size;
        if transfer == Transfer::Down {
            passed.fetch_add(size, Ordering::Relaxed);
        }
    }
    if transfer == Transfer::Down && read != bytes {
        return Err(format!("GET: {read} bytes of {bytes} at the client").into());
    }
    debug_assert!(body.is_end_stream());
    Ok(())
}
