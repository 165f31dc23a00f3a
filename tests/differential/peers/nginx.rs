//! nginx: a server and an upstream block for each pair.
//!
//! Round robin in a fresh process begins with the first server, and `max_fails=0` keeps a failure from
//! counting.

use std::fmt::Write;

use super::{Peer, Route, Task, host, process::arguments};
use crate::lines::Times;

pub(super) const NGINX: Peer = Peer {
    name: "nginx",
    variable: "NGINX",
    file: "nginx.conf",
    version: "-v",
    configuration,
    arguments: |file| {
        arguments([
            "-e".as_ref(),
            "stderr".as_ref(),
            "-c".as_ref(),
            file.as_ref(),
        ])
    },
    // One address for each attempt.
    attempts: |response| Some(response.header("x-tried")?.split(',').count()),
};

fn configuration(task: &Task<'_>) -> String {
    let Task { line, listen, .. } = task;
    let Times { connect, head } = line.times;
    let dir = task.dir.display();
    // Without a master there is one process, and killing it leaves none behind.
    let mut text = format!(
        "daemon off;
        master_process off;
        pid {dir}/pid;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {dir}/body;
            proxy_temp_path {dir}/proxy;
            fastcgi_temp_path {dir}/fastcgi;
            uwsgi_temp_path {dir}/uwsgi;
            scgi_temp_path {dir}/scgi;
            proxy_http_version 1.1;
            proxy_connect_timeout {connect}ms;
            proxy_send_timeout {head}ms;
            proxy_read_timeout {head}ms;
            proxy_next_upstream {text};
            add_header x-tried $upstream_addr always;
        ",
        text = line.text,
    );
    for (index, route) in task.routes.iter().enumerate() {
        let host = host(index);
        let Route {
            upstreams: [first, second],
            http2,
        } = route;
        assert!(!http2, "nginx speaks it with upstreams since 1.29.4 only");
        let _ = writeln!(
            text,
            "upstream {host} {{ server {first} max_fails=0; server {second} max_fails=0; }}
            server {{
                listen {listen};
                server_name {host};
                location / {{ proxy_pass http://{host}; }}
            }}"
        );
    }
    text + "}\n"
}
