//! Envoy: a virtual host and a cluster for each pair.
//!
//! Its balancers begin anywhere, so that each upstream has a priority of its own, and a retry goes to one
//! that the request has not been to. Nothing checks health, and nothing is ejected.

use std::{fmt::Write, net::SocketAddr};

use super::{Peer, Task, host, process::arguments};

pub(super) const ENVOY: Peer = Peer {
    name: "envoy",
    variable: "ENVOY",
    file: "envoy.yaml",
    version: "--version",
    configuration,
    arguments: |file| {
        arguments([
            "--disable-hot-restart".as_ref(),
            "--concurrency".as_ref(),
            "1".as_ref(),
            "--log-level".as_ref(),
            "error".as_ref(),
            "--config-path".as_ref(),
            file.as_ref(),
        ])
    },
    attempts: |response| response.header("x-envoy-attempt-count")?.parse().ok(),
};

fn configuration(task: &Task<'_>) -> String {
    let policy = policy(task);
    let mut hosts = String::new();
    let mut clusters = String::new();
    for (index, route) in task.routes.iter().enumerate() {
        let host = host(index);
        let _ = write!(
            hosts,
            "
              - name: {host}
                domains: [{host}]
                include_attempt_count_in_response: true
                retry_policy: {policy}
                routes:
                - match: {{ prefix: / }}
                  route: {{ cluster: {host}, timeout: 10s }}"
        );
        let endpoints: Vec<String> = route.upstreams.iter().enumerate().map(endpoint).collect();
        let _ = write!(
            clusters,
            "
  - name: {host}
    connect_timeout: {timeout}
    load_assignment:
      cluster_name: {host}
      endpoints: [{endpoints}]",
            timeout = seconds(task.line.times.connect),
            endpoints = endpoints.join(", "),
        );
        if route.http2 {
            clusters += r#"
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }"#;
        }
    }
    let listen = address(task.listen);
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
          http_filters:
          - name: router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:{hosts}
  clusters:{clusters}
"#
    )
}

fn policy(task: &Task<'_>) -> String {
    let timeout = seconds(task.line.times.head);
    let more = match task.line.more {
        "" => String::new(),
        more => format!("{more}, "),
    };
    format!(
        r#"{{
                  retry_on: "{text}", {more}per_try_timeout: {timeout},
                  retry_priority: {{ name: previous, typed_config: {{
                    "@type": type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig,
                    update_frequency: 1
                  }} }}
                }}"#,
        text = task.line.text,
    )
}

fn endpoint((priority, upstream): (usize, &SocketAddr)) -> String {
    let address = address(*upstream);
    format!("{{ priority: {priority}, lb_endpoints: [{{ endpoint: {{ address: {address} }} }}] }}")
}

fn address(addr: SocketAddr) -> String {
    let (ip, port) = (addr.ip(), addr.port());
    format!("{{ socket_address: {{ address: {ip}, port_value: {port} }} }}")
}

fn seconds(ms: u32) -> String {
    format!("{}s", f64::from(ms) / 1000.0)
}
