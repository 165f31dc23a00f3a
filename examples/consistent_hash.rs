//! Active-active: each user has a server of their own, and others while it is drained.
//!
//! ```text
//! cargo run --example consistent_hash
//! ```

use std::{
    error::Error,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use axum::Router;
use http::{HeaderName, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_failover::{
    FailoverLayer,
    balance::{Balance, ConsistentHash, Endpoint},
    upstream::Pool,
};

const USERS: [&str; 6] = ["ann", "bob", "cleo", "dan", "eve", "fay"];

/// Asks for each user: with all servers, while `b` is drained, and when it is back. Returns who answered.
pub(crate) async fn run() -> Result<[Vec<String>; 3], Box<dyn Error>> {
    let pool = Pool::new();
    let drained = Arc::new(AtomicBool::new(false));
    let mut servers = Vec::new();
    for name in ["a", "b", "c"] {
        let switch = (name == "b").then(|| Arc::clone(&drained));
        let upstream = pool.upstream(&serve(name, switch).await?)?;
        // Where users belong depends on the names: these outlive an address.
        servers.push(Endpoint::new(name, upstream));
    }
    let by_user = ConsistentHash::header(HeaderName::from_static("x-user"));
    let client = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(Balance::new(servers).pick(by_user));

    let ask_all = async || {
        let mut answers = Vec::new();
        for user in USERS {
            let request = Request::get("/").header("x-user", user);
            let response = client.clone().oneshot(request.body(String::new())?).await?;
            let body = response.into_body().collect().await?.to_bytes();
            answers.push(String::from_utf8(body.into())?);
        }
        Ok::<_, Box<dyn Error>>(answers)
    };
    let before = ask_all().await?;
    drained.store(true, Relaxed);
    let meanwhile = ask_all().await?;
    drained.store(false, Relaxed);
    Ok([before, meanwhile, ask_all().await?])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("{:<13}{}", "users", USERS.join("\t"));
    let whens = ["before", "b is drained", "b is back"];
    for (when, answers) in whens.into_iter().zip(run().await?) {
        println!("{when:<13}{}", answers.join("\t"));
    }
    Ok(())
}

async fn serve(name: &'static str, drained: Option<Arc<AtomicBool>>) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().fallback(async move || match &drained {
        Some(drained) if drained.load(Relaxed) => (StatusCode::SERVICE_UNAVAILABLE, "drained"),
        _ => (StatusCode::OK, name),
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
