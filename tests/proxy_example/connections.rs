use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::*;

#[tokio::test]
async fn ten_thousand_connections_opened_and_dropped_leave_it_serving() {
    let (upstream, _) = server(echo).await;
    let proxy = Proxy::before(&[upstream], &[]).await;
    for batch in 0..100 {
        let opened = (0..100).map(|_| TcpStream::connect(proxy.addr));
        for (index, stream) in futures_util::future::join_all(opened)
            .await
            .into_iter()
            .enumerate()
        {
            let mut stream = stream.unwrap();
            // Some leave at once, some in the middle of a head, some in the middle of a body.
            let text: &[u8] = match (batch + index) % 3 {
                0 => b"",
                1 => b"GET / HTTP/1.1\r\nhost: a\r\n",
                _ => b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf",
            };
            stream.write_all(text).await.unwrap();
        }
    }
    assert_eq!(proxy.get("/").await.0, 200);
    let open = std::fs::read_dir(format!("/proc/{}/fd", proxy.child.id().unwrap()));
    if let Ok(open) = open {
        assert!(open.count() < 1_000);
    }
}

#[tokio::test]
async fn interrupt_finishes_what_is_in_flight_and_takes_no_more() {
    finishes_what_is_in_flight_and_takes_no_more("-INT").await;
}

#[tokio::test]
async fn what_a_container_is_stopped_with_finishes_what_is_in_flight_as_well() {
    finishes_what_is_in_flight_and_takes_no_more("-TERM").await;
}

async fn finishes_what_is_in_flight_and_takes_no_more(signal: &str) {
    let Holding {
        addr: upstream,
        begun,
        finish,
        ..
    } = Holding::start().await;
    let mut proxy = Proxy::before(&[upstream], &[]).await;
    let mut silent = TcpStream::connect(proxy.addr).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    begun.notified().await;
    let pid = proxy.child.id().unwrap().to_string();
    let kill = Command::new("kill")
        .args([signal, &pid])
        .status()
        .await
        .unwrap();
    assert!(kill.success());
    // The listener closes first.
    let closed = async {
        while TcpStream::connect(proxy.addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, closed).await.unwrap();
    // Who has asked for nothing is not waited for.
    let said = timeout(PATIENCE, silent.read(&mut [0])).await;
    assert_eq!(said.unwrap().unwrap(), 0);
    finish.notify_one();
    let mut answer = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut answer));
    read.await.unwrap().unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("finished"),
        "{answer}"
    );
    // It is told that there will be no other.
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    let status = timeout(PATIENCE, proxy.child.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn head_that_is_too_large_for_an_upstream_does_not_end_what_others_have_in_flight() {
    let Holding {
        addr: upstream,
        requests,
        begun,
        finish,
    } = Holding::start().await;
    let proxy = Proxy::before(&[upstream], &["--http2"]).await;
    let others = proxy.send(Request::post(proxy.url("/")), b"once");
    let hostile = async {
        begun.notified().await;
        let mut stream = TcpStream::connect(proxy.addr).await.unwrap();
        let line = format!("x: {}\r\n", "x".repeat(8_000));
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", line.repeat(15));
        // The connection may end before it has read all of it.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = [0; 64];
        let _ = timeout(PATIENCE, stream.read(&mut answer)).await;
        finish.notify_one();
    };
    let ((status, _), ()) = tokio::join!(others, hostile);
    assert_eq!((status, requests.load(Ordering::SeqCst)), (200, 1));
}

#[tokio::test]
async fn what_comes_byte_by_byte_is_served_whatever_it_begins_like() {
    let (upstream, _) = server(echo).await;
    let proxy = Proxy::before(&[upstream], &[]).await;
    let requests = ["GET", "POST", "PUT", "P", "PR", "PRI", "PRIX"].map(|method| {
        let head = "/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        (format!("{method} {head}"), &b"HTTP/1.1 200 OK\r\n"[..])
    });
    // An empty SETTINGS frame is answered with one that is not.
    let http2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_owned();
    for (request, expected) in requests.into_iter().chain([(http2, &b"\0\0"[..])]) {
        let mut stream = TcpStream::connect(proxy.addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in request.bytes() {
            stream.write_all(&[byte]).await.unwrap();
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        let mut answer = vec![0; expected.len()];
        let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await;
        read.unwrap().unwrap();
        assert_eq!(answer, expected, "{request:?}");
    }
}
