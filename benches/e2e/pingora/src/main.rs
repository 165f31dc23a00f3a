//! A load balancer on Pingora that fails over, as its guide shows it: round robin, three attempts, no health.
//!
//! ```text
//! pingora 127.0.0.1:8080 10.0.0.1:80,10.0.0.2:80
//! ```
//!
//! A 503 is failed over as its guide does it: made an error that may be retried.

use std::{process::ExitCode, time::Duration};

use async_trait::async_trait;
use pingora_core::{
    Error, ErrorType, Result,
    protocols::l4::socket::SocketAddr,
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};
use pingora_http::ResponseHeader;
use pingora_load_balancing::{LoadBalancer, selection::RoundRobin};
use pingora_proxy::{ProxyHttp, Session};

/// How many upstreams a request is sent to at most.
const ATTEMPTS: usize = 3;

/// How many peers are looked at for one that the request has not been to.
const LOOKED_AT: usize = 256;

struct Failover {
    peers: LoadBalancer<RoundRobin>,
}

/// Where a request has been.
type Tried = Vec<SocketAddr>;

/// An error after which another peer is picked, while there are attempts left.
fn retryable(mut error: Box<Error>, tried: &Tried) -> Box<Error> {
    if tried.len() < ATTEMPTS {
        error.set_retry(true);
    }
    error
}

#[async_trait]
impl ProxyHttp for Failover {
    type CTX = Tried;

    fn new_ctx(&self) -> Tried {
        Tried::new()
    }

    async fn upstream_peer(&self, _: &mut Session, tried: &mut Tried) -> Result<Box<HttpPeer>> {
        let picked = self.peers.select_with(b"", LOOKED_AT, |peer, healthy| {
            healthy && !tried.contains(&peer.addr)
        });
        let Some(picked) = picked else {
            return Error::e_explain(ErrorType::ConnectNoRoute, "no peer is left");
        };
        tried.push(picked.addr.clone());
        let mut peer = HttpPeer::new(picked.addr, false, String::new());
        let options = &mut peer.options;
        options.connection_timeout = Some(Duration::from_secs(1));
        options.read_timeout = Some(Duration::from_secs(30));
        options.write_timeout = Some(Duration::from_secs(30));
        options.idle_timeout = Some(Duration::from_secs(60));
        Ok(Box::new(peer))
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        tried: &mut Tried,
        error: Box<Error>,
    ) -> Box<Error> {
        retryable(error, tried)
    }

    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        tried: &mut Tried,
    ) -> Result<()> {
        let status = response.status.as_u16();
        // The last one is the client's.
        if status == 503 && tried.len() < ATTEMPTS {
            return Err(retryable(Error::new(ErrorType::HTTPStatus(status)), tried));
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, peers] = arguments.as_slice() else {
        eprintln!("usage: pingora LISTEN PEER,PEER..");
        return ExitCode::from(2);
    };
    let peers = match LoadBalancer::try_from_iter(peers.split(',')) {
        Ok(peers) => peers,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let threads = ServerConf {
        threads: 1,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, threads);
    server.bootstrap();
    let mut proxy = pingora_proxy::http_proxy_service(&server.configuration, Failover { peers });
    proxy.add_tcp(listen);
    server.add_service(proxy);
    server.run_forever()
}
