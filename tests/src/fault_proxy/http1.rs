//! HTTP/1.1 by the byte, as a library would not send it: one request with a length, one answer in pieces.

use std::collections::BTreeMap;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use crate::{Answer, Recorded};

/// `None`: the client has gone, or says what no client here says.
pub(super) async fn read(connection: &mut (impl AsyncBufRead + Unpin)) -> Option<Recorded> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(Ok(0), |length| length.parse());
    let mut body = vec![0; length.ok()?];
    connection.read_exact(&mut body).await.ok()?;
    Some(Recorded {
        method,
        target,
        headers,
        body: body.into(),
        status: 0,
    })
}

/// What is sent before the body. Each answer is its connection's last.
pub(super) fn head(answer: &Answer) -> String {
    let mut head = format!("HTTP/1.1 {} Said\r\nconnection: close\r\n", answer.status);
    if answer.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", answer.body.len()));
    }
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head
}
