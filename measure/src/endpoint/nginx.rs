//! nginx with the same certificate, the same files and the same headers.

use std::fs;
use std::time::{Duration, Instant};

use kubeassume_tests::{Process, Testbed, free_port, until};

use super::{Document, Target, attack, tools};

const LIMIT: Duration = Duration::from_secs(60);

/// It runs in the foreground with two workers, in a folder of its own.
pub(super) struct Nginx {
    process: Process,
    port: u16,
}

impl Nginx {
    pub(super) async fn start(bed: &Testbed, documents: &[Document]) -> Self {
        let folder = bed.path().join("nginx");
        fs::create_dir(&folder).expect("a folder for nginx");
        let leaf = bed.pki().leaf(&folder, "tls");
        let port = free_port();
        let mut locations = String::new();
        for (number, document) in documents.iter().enumerate() {
            let file = folder.join(format!("document-{number}"));
            fs::write(&file, &document.body).expect("a document for nginx");
            locations.push_str(&format!(
                "    location = {} {{ alias {}; default_type {}; add_header Cache-Control \"public, max-age=300\"; \
                 add_header Strict-Transport-Security \"max-age=31536000\"; add_header X-Content-Type-Options nosniff; }}\n",
                document.path,
                file.display(),
                document.content_type
            ));
        }
        let config = folder.join("nginx.conf");
        let own = folder.display();
        // The workers of a root's nginx are nobody else, or they could not read this folder.
        let user = if rustix::process::geteuid().is_root() {
            "user root;\n"
        } else {
            ""
        };
        fs::write(
            &config,
            format!(
                "{user}daemon off;
worker_processes 2;
worker_rlimit_nofile 65536;
pid {own}/pid;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  client_body_temp_path {own}/body; proxy_temp_path {own}/proxy; fastcgi_temp_path {own}/fastcgi;
  scgi_temp_path {own}/scgi; uwsgi_temp_path {own}/uwsgi;
  sendfile on; tcp_nopush on;
  open_file_cache max=16 inactive=60s;
  keepalive_timeout 65s; keepalive_requests 100000000;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:tls:1m;
  server {{
    listen 127.0.0.1:{port} ssl backlog=4096;
    server_name localhost;
    ssl_certificate {}; ssl_certificate_key {};
{locations}  }}
}}
",
                leaf.cert.display(),
                leaf.key.display()
            ),
        )
        .expect("nginx.conf");
        let process = bed
            .launch("nginx", tools::nginx())
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&config)
            .arg("-e")
            .arg(folder.join("error.log"))
            .start();
        let mut nginx = Self { process, port };
        let target = nginx.target(documents.to_vec());
        until("nginx to answer", LIMIT, async || {
            assert!(
                nginx.process.ended().is_none(),
                "nginx ended; {}",
                nginx.process.log_tail()
            );
            attack::answers(&bed.http(), &target).await
        })
        .await;
        nginx
    }

    pub(super) fn target(&self, documents: Vec<Document>) -> Target {
        let master = self.process.pid();
        let workers =
            fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
        let workers = workers.split_whitespace().filter_map(|pid| pid.parse().ok());
        Target {
            name: "nginx",
            port: self.port,
            pids: std::iter::once(master).chain(workers).collect(),
            documents,
        }
    }
}

/// In good order: workers outlive a master that is killed.
impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.signal("TERM");
        let end = Instant::now() + Duration::from_secs(10);
        while self.process.ended().is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
