//! Envoy: a retry goes to a host that the request has not been to, at once.

use std::net::SocketAddr;

use super::{Setup, System, TakesPart, arguments};
use crate::process::installed;

pub(super) const ENVOY: System = System {
    name: "envoy",
    program: || installed("ENVOY", "envoy"),
    version: Some("--version"),
    arguments: |setup, listen, dir| {
        let file = dir.file("envoy.yaml", &configuration(setup, listen))?;
        let threads = setup.threads.to_string();
        let settings = [["--concurrency", &threads], ["--log-level", "error"]];
        let mut all = arguments(settings.as_flattened().iter().copied());
        all.extend(arguments(["--disable-hot-restart", "--config-path"]));
        all.push(file.into());
        Ok(all)
    },
    takes_part: TakesPart::Everywhere,
};

fn configuration(setup: &Setup<'_>, listen: SocketAddr) -> String {
    let endpoints: Vec<String> = setup
        .upstreams
        .iter()
        .map(|upstream| format!("{{ endpoint: {{ address: {} }} }}", address(*upstream)))
        .collect();
    // By default three retries at once, 25 ms apart, and 1024 connections.
    format!(
        r#"static_resources:
  listeners:
  - address: {listen}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          generate_request_id: false
          http_filters:
          - name: router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{ prefix: / }}
                route:
                  cluster: all
                  timeout: 30s
                  retry_policy:
                    retry_on: connect-failure,reset,retriable-status-codes
                    retriable_status_codes: [503]
                    num_retries: {retries}
                    retry_back_off: {{ base_interval: 0.001s, max_interval: 0.001s }}
                    host_selection_retry_max_attempts: 5
                    retry_host_predicate:
                    - name: previous
                      typed_config:
                        "@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate
  clusters:
  - name: all
    lb_policy: ROUND_ROBIN
    connect_timeout: 1s
    circuit_breakers:
      thresholds: [{{ max_connections: {most}, max_pending_requests: {most}, max_requests: {most}, max_retries: {most} }}]
    load_assignment:
      cluster_name: all
      endpoints: [{{ lb_endpoints: [{endpoints}] }}]
"#,
        listen = address(listen),
        retries = setup.attempts.saturating_sub(1),
        most = 4096.max(2 * setup.connections),
        endpoints = endpoints.join(", "),
    )
}

fn address(addr: SocketAddr) -> String {
    let (ip, port) = (addr.ip(), addr.port());
    format!("{{ socket_address: {{ address: {ip}, port_value: {port} }} }}")
}
