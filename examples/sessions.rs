//! Sticky sessions by cookie, while a server is added and another one drained.
//!
//! ```text
//! cargo run --example sessions
//! ```

use std::{error::Error, io};

use axum::Router;
use http::{Request, header::COOKIE};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_failover::{
    FailoverLayer,
    balance::{Balance, ConsistentHash, Endpoint},
    upstream::Pool,
};

const SESSIONS: [&str; 6] = ["1f0c", "2b9e", "3d7a", "4c55", "5e21", "6a83"];

/// Asks for each session: with two servers, with three, and when the first is drained. Returns who answered.
pub(crate) async fn run() -> Result<[Vec<String>; 3], Box<dyn Error>> {
    let pool = Pool::new();
    let endpoint = async |name: &'static str| {
        let upstream = pool.upstream(&serve(name).await?)?;
        Ok::<_, Box<dyn Error>>(Endpoint::new(name, upstream))
    };
    let servers = [endpoint("a").await?, endpoint("b").await?];
    let (balance, handle) = Balance::with_handle(servers);
    // It sets no cookie: the servers do that.
    let client = ServiceBuilder::new()
        .layer(FailoverLayer::default())
        .service(balance.pick(ConsistentHash::cookie("session")));

    let ask_all = async || {
        let mut answers = Vec::new();
        for session in SESSIONS {
            let cookies = format!("theme=dark; session={session}");
            let request = Request::get("/").header(COOKIE, cookies);
            let response = client.clone().oneshot(request.body(String::new())?).await?;
            let body = response.into_body().collect().await?.to_bytes();
            answers.push(String::from_utf8(body.into())?);
        }
        Ok::<_, Box<dyn Error>>(answers)
    };
    let two = ask_all().await?;
    handle.insert(endpoint("c").await?);
    let three = ask_all().await?;
    if let Some(drain) = handle.drain("a") {
        // When the last response of `a` has been read, it can be stopped.
        drain.await;
    }
    Ok([two, three, ask_all().await?])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("{:<13}{}", "sessions", SESSIONS.join("\t"));
    let whens = ["a and b", "c is added", "a is drained"];
    for (when, answers) in whens.into_iter().zip(run().await?) {
        println!("{when:<13}{}", answers.join("\t"));
    }
    Ok(())
}

async fn serve(name: &'static str) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().fallback(async move || name);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
