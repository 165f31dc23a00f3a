//! nginx: a master and its workers.

use std::{fmt::Write, net::SocketAddr, path::Path};

use super::{Body, Setup, System, TakesPart, arguments};
use crate::process::installed;

pub(super) const NGINX: System = System {
    name: "nginx",
    program: || installed("NGINX", "nginx"),
    version: Some("-v"),
    arguments: |setup, listen, dir| {
        let text = configuration(setup, listen, dir.path());
        let file = dir.file("nginx.conf", &text)?;
        let mut all = arguments(["-e", "stderr", "-c"]);
        all.push(file.into());
        Ok(all)
    },
    takes_part: TakesPart::Everywhere,
};

fn configuration(setup: &Setup<'_>, listen: SocketAddr, dir: &Path) -> String {
    let Setup {
        upstreams, threads, ..
    } = setup;
    let dir = dir.display();
    let mut servers = String::new();
    for upstream in *upstreams {
        let _ = writeln!(servers, "server {upstream} max_fails=0;");
    }
    // Towards the clients, and as many towards the upstreams.
    let both = 2 * setup.connections as usize;
    let body = match setup.body {
        // Without it a body of 16 KiB goes to a file first.
        Body::None | Body::Held => "client_body_buffer_size 64k;",
        Body::Streamed => {
            "client_max_body_size 0; proxy_request_buffering off; proxy_max_temp_file_size 0;"
        }
    };
    format!(
        "user root;
        daemon off;
        worker_processes {threads};
        pid {dir}/pid;
        # A refused connection is an error, of which there may be thousands a second.
        error_log stderr crit;
        events {{ worker_connections {most}; }}
        http {{
            access_log off;
            client_body_temp_path {dir}/body;
            proxy_temp_path {dir}/proxy;
            fastcgi_temp_path {dir}/fastcgi;
            uwsgi_temp_path {dir}/uwsgi;
            scgi_temp_path {dir}/scgi;
            keepalive_requests 1000000000;
            proxy_http_version 1.1;
            proxy_set_header connection '';
            proxy_next_upstream error timeout http_503 non_idempotent;
            proxy_next_upstream_tries {attempts};
            {body}
            upstream all {{
                {servers}
                keepalive {idle};
                keepalive_requests 1000000000;
            }}
            server {{
                listen {listen} backlog=16384;
                location / {{ proxy_pass http://all; }}
            }}
        }}
        ",
        // With fewer it ends connections that it may need again.
        most = (2 * both + upstreams.len()).max(1024),
        attempts = setup.attempts,
        idle = both.max(upstreams.len()),
    )
}
