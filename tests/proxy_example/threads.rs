use crate::*;

/// How many threads it has that are its runtime's workers.
#[cfg(target_os = "linux")]
fn workers(proxy: &Proxy) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", proxy.child.id().unwrap())).unwrap();
    let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
    names
        .filter(|name| name.as_ref().is_ok_and(|name| name.starts_with("tokio-r")))
        .count()
}

async fn fails_over(flags: &[&str]) -> Proxy {
    let (_bound, closed) = refusing();
    let (well, _) = server(echo).await;
    let proxy = Proxy::before(&[closed, well], flags).await;
    let post = Request::post(proxy.url("/"));
    assert_eq!(
        proxy.send(post, b"once").await,
        (200, Bytes::from("once")),
        "{flags:?}"
    );
    proxy
}

#[tokio::test]
async fn one_thread_serves() {
    let proxy = fails_over(&["--threads", "1"]).await;
    let many = (0..32).map(|_| proxy.get("/"));
    for (status, _) in futures_util::future::join_all(many).await {
        assert_eq!(status, 200);
    }
    #[cfg(target_os = "linux")]
    assert_eq!(workers(&proxy), 0);
}

#[tokio::test]
async fn more_threads_serve_as_well() {
    let proxy = fails_over(&["--threads", "3"]).await;
    #[cfg(target_os = "linux")]
    assert_eq!(workers(&proxy), 3);
    drop(proxy);
}

#[tokio::test]
async fn no_threads_at_all_do_not() {
    let said = command(&["--threads", "0"]).output().await.unwrap();
    assert_eq!(said.status.code(), Some(2));
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("--threads"), "{said}");
}
