//! Connections that are given away.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

use http::{HeaderValue, header};
use http_body_util::channel::Channel;
use hyper::upgrade::{OnUpgrade, Upgraded};
use tokio::io::ReadBuf;

use super::super::*;

const SWITCHES: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

fn to_echo(mut request: Request<Body>) -> Request<Body> {
    let headers = request.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("echo"));
    request
}

#[tokio::test]
async fn connection_that_is_upgraded_is_handed_over() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let (response, mut end) = tokio::join!(send(&upstream, to_echo(get())), async {
        let mut end = server.accept().await;
        end.head().await;
        end.write(SWITCHES).await;
        end.write("hello").await;
        end
    });
    let upgraded = in_time(hyper::upgrade::on(response.unwrap())).await;
    let mut upgraded = TokioIo::new(upgraded.unwrap());
    let mut hello = [0; 5];
    in_time(upgraded.read_exact(&mut hello)).await.unwrap();
    assert_eq!(&hello, b"hello");
    let (again, ()) = tokio::join!(in_time(upgraded.read_exact(&mut hello)), end.write("again"));
    again.unwrap();
    assert_eq!(&hello, b"again");
    upgraded.write_all(b"bye").await.unwrap();
    drop(upgraded);
    assert_eq!(end.rest().await, b"bye");
    tokio::join!(read(&upstream, get()), async {
        server.accept().await.answer().await
    });
}

/// Takes an upgraded connection over as soon as it is told of it, and waits for what it brings.
struct Eager {
    upgrade: Mutex<OnUpgrade>,
    upgraded: Mutex<Option<TokioIo<Upgraded>>>,
    told: Arc<AtomicBool>,
}

struct Told(Arc<AtomicBool>);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Eager {
    fn begin(self: &Arc<Self>) {
        let waker = Arc::clone(self).into();
        let polled =
            Pin::new(&mut *self.upgrade.lock().unwrap()).poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(upgraded) = polled {
            let mut upgraded = TokioIo::new(upgraded.unwrap());
            let waker = Arc::new(Told(Arc::clone(&self.told))).into();
            let mut room = [0; 5];
            let read = Pin::new(&mut upgraded).poll_read(
                &mut Context::from_waker(&waker),
                &mut ReadBuf::new(&mut room),
            );
            assert!(read.is_pending());
            *self.upgraded.lock().unwrap() = Some(upgraded);
        }
    }
}

impl Wake for Eager {
    fn wake(self: Arc<Self>) {
        self.begin();
    }
}

#[tokio::test]
async fn upgraded_connection_tells_its_new_owner_what_comes_while_it_is_handed_over() {
    let server = Server::bind().await;
    let upstream = server.upstream();
    let (upload, body) = Channel::<Bytes, BoxError>::new(1);
    let request = to_echo(post(body.boxed()));
    let (response, mut end) = tokio::join!(send(&upstream, request), async {
        let mut end = server.accept().await;
        end.head().await;
        end.write(SWITCHES).await;
        end
    });
    let eager = Arc::new(Eager {
        upgrade: Mutex::new(hyper::upgrade::on(response.unwrap())),
        upgraded: Mutex::default(),
        told: Arc::default(),
    });
    eager.begin();
    settle().await;
    // Only now is the request over, and the connection handed over.
    drop(upload);
    settle().await;
    assert!(eager.upgraded.lock().unwrap().is_some());
    end.write("hello").await;
    settle().await;
    assert!(eager.told.load(Ordering::SeqCst));
}
