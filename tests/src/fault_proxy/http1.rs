//! As much of HTTP/1.1 as the clients and servers of the tests speak: one request with a length, one answer.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// A request with its body.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What a server says, or what is said in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers but for those about the body's length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Incoming {
    /// `None`: the client has gone, or says what nobody here says.
    pub(crate) async fn read(connection: &mut (impl AsyncBufRead + Unpin)) -> Option<Self> {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let mut words = line.split_whitespace();
        let mut request = Self {
            method: words.next()?.to_owned(),
            target: words.next()?.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let mut length = 0;
        loop {
            let mut line = String::new();
            connection.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
            if name == "content-length" {
                length = value.parse().ok()?;
            }
            request.headers.push((name, value));
        }
        request.body = vec![0; length];
        connection.read_exact(&mut request.body).await.ok()?;
        Some(request)
    }

    /// The same request at a server: `None` if it gives no whole answer.
    pub(crate) async fn pass(&self, http: &reqwest::Client, url: &str) -> Option<Answer> {
        let method = reqwest::Method::from_bytes(self.method.as_bytes()).ok()?;
        let mut passed = http.request(method, url);
        for (name, value) in &self.headers {
            // The host stays: it is signed.
            if !matches!(name.as_str(), "content-length" | "connection") {
                passed = passed.header(name, value);
            }
        }
        let answer = passed.body(self.body.clone()).send().await.ok()?;
        let length = |name: &str| matches!(name, "content-length" | "transfer-encoding" | "connection");
        let headers = answer.headers().iter().filter(|(name, _)| !length(name.as_str()));
        Some(Answer {
            status: answer.status().as_u16(),
            headers: headers
                .map(|(name, value)| {
                    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                    (name.to_string(), value)
                })
                .collect(),
            body: answer.bytes().await.ok()?.to_vec(),
        })
    }
}

impl Answer {
    /// An answer of this type of content.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into(),
        }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// What is sent before the body. Each answer is its connection's last.
    pub(crate) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Said\r\nconnection: close\r\n", self.status);
        if self.status != 204 {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head
    }
}
