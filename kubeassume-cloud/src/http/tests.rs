use http::header::LOCATION;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that answers each connection with these bytes, once the request's head is there, and closes.
async fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match connection.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    url
}

async fn call(url: &str, take: Take) -> Result<Answer, CallError> {
    let request = Request::get(url).header(AUTHORIZATION, "Bearer the-token");
    HttpClient::new(None)
        .unwrap()
        .send(request.body(Bytes::new()).unwrap(), take)
        .await
}

#[tokio::test]
async fn an_answer_is_status_headers_and_body() {
    let url = server("HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 2\r\n\r\nhi").await;
    let answer = call(&url, Take::All(2)).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"hi"[..]));
    assert_eq!(answer.headers["x-a"], "b");
    assert!(!format!("{answer:?}").contains("hi"));
}

#[tokio::test]
async fn a_body_is_bounded() {
    let url = server("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nhello").await;
    assert_eq!(call(&url, Take::All(3)).await, Err(CallError::TooLarge(3)));
    assert_eq!(&call(&url, Take::Beginning(3)).await.unwrap().body[..], b"hel");
}

#[tokio::test]
async fn a_body_that_ends_too_early_is_a_lost_answer() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhel",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 29\r\n\r\n{\"code\":\"ObjectNo",
        "HTTP/1.1 200 OK\r\n",
        "",
    ] {
        let error = call(&server(answer).await, Take::All(99)).await.unwrap_err();
        assert!(
            matches!(error, CallError::Lost(_)) && error.may_have_happened(),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn nothing_is_sent_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for scheme in ["http", "https"] {
        let error = call(&format!("{scheme}://{address}/"), Take::All(9))
            .await
            .unwrap_err();
        assert!(
            matches!(error, CallError::NotSent(_)) && !error.may_have_happened(),
            "{error:?}"
        );
    }
    // Nor where TLS is not spoken.
    let plain = server("HTTP/1.1 200 OK\r\n\r\n").await;
    let error = call(&plain.replace("http:", "https:"), Take::All(9))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
}

#[tokio::test]
async fn a_token_goes_over_https_to_one_host() {
    for url in [
        "http://storage.example.com/",
        "http://127.0.0.1.example.com/",
        "ftp://h/",
        "/x",
    ] {
        let error = call(url, Take::All(9)).await.unwrap_err();
        assert!(matches!(error, CallError::Unsendable(_)), "{url}: {error:?}");
    }
    let client = HttpClient::new(None).unwrap().with_plain_http_to("emulator");
    assert!(
        client
            .client_for(&Uri::from_static("http://emulator:4443/"))
            .is_ok()
    );
    assert!(client.client_for(&Uri::from_static("http://[::1]:4443/")).is_ok());
    assert!(
        client
            .client_for(&Uri::from_static("http://emulator.example.com/"))
            .is_err()
    );

    let other = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let moved = format!("HTTP/1.1 307 Moved\r\n{LOCATION}: {other}\r\ncontent-length: 0\r\n\r\n");
    let error = call(&server(moved.leak()).await, Take::All(9)).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Refused(refusal) if refusal.status == 307),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refusal_says_who_and_why_but_no_token() {
    let url = server(
        "HTTP/1.1 403 Forbidden\r\nretry-after: 3\r\ncontent-length: 48\r\n\r\n\
         {\"code\":\"Denied\",\"message\":\"the-token lacks it\"}",
    )
    .await;
    let error = call(&url, Take::All(9)).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(error.to_string(), "HTTP status 403: Denied: [withheld] lacks it");
    assert!(!format!("{error:?}").contains("the-token"));
}

#[test]
fn a_bad_ca_file_is_an_error_and_no_panic() {
    let block = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    for pem in [
        String::new(),
        "no PEM at all".to_owned(),
        block("!!!!"),
        block("MAA="),
    ] {
        let error = HttpClient::new(Some(pem.as_bytes())).expect_err(&pem);
        assert!(matches!(error, HttpClientError::Roots(_)), "{error:?}");
    }
}
