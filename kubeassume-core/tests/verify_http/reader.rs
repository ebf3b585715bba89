//! The anonymous GET and everything that it must not do.

use std::time::Duration;

use kubeassume_core::http::{HttpReader, HttpReaderError};
use kubeassume_core::{PublicReadError, PublicReader};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::server::{Reply, Server, ok, response};

const LIMIT: usize = 1000;

#[tokio::test]
async fn a_document_comes_with_its_headers() {
    let server = Server::start("localhost", |_, _| {
        let headers =
            "Content-Type: application/json\r\nCache-Control: public, max-age=300\r\nSet-Cookie: a=b\r\n";
        Reply::Bytes(ok("{}", headers))
    })
    .await;
    let reader = server.reader();
    for _ in 0..2 {
        let document = reader.get(&server.url("/a"), LIMIT).await.unwrap();
        assert_eq!(&document.bytes[..], b"{}");
        assert_eq!(document.content_type.as_deref(), Some("application/json"));
        assert_eq!(document.cache_control.as_deref(), Some("public, max-age=300"));
    }
    for request in server.requests() {
        let request = request.to_ascii_lowercase();
        assert!(request.starts_with("get /a http/1.1\r\n"), "{request}");
        for header in [
            "\r\ncookie:",
            "\r\nauthorization:",
            "\r\nreferer:",
            "\r\naccept-encoding:",
        ] {
            assert!(!request.contains(header), "{request}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start("localhost", move |path, _| match path {
            "/from" => Reply::Bytes(response(&format!("{status} Moved"), "", "Location: /to\r\n")),
            _ => Reply::Bytes(ok("{}", "")),
        })
        .await;
        let read = server.reader().get(&server.url("/from"), LIMIT).await;
        assert_eq!(read.unwrap_err(), PublicReadError::Redirect(status));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn any_other_status_is_told() {
    for status in [201u16, 204, 401, 403, 404, 429, 500, 503] {
        let server = Server::start("localhost", move |_, _| {
            Reply::Bytes(response(&format!("{status} X"), "", ""))
        })
        .await;
        let read = server.reader().get(&server.url("/"), LIMIT).await;
        assert_eq!(read.unwrap_err(), PublicReadError::Status(status));
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_whether_or_not_its_length_is_promised() {
    let server = Server::start("localhost", |path, _| {
        let (promise, length) = path[1..].split_once('/').unwrap();
        let body = "x".repeat(length.parse().unwrap());
        match promise {
            "length" => Reply::Bytes(ok(&body, "")),
            "close" => {
                Reply::Bytes(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").into_bytes())
            }
            _ => {
                let chunk = format!("{:x}\r\n{body}\r\n", body.len());
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                Reply::Bytes(format!("{head}{}0\r\n\r\n", chunk.repeat(10)).into_bytes())
            }
        }
    })
    .await;
    let reader = server.reader();
    for (path, fits) in [
        ("/length/1000", true),
        ("/length/1001", false),
        ("/close/1000", true),
        ("/close/1001", false),
        ("/chunked/100", true),
        ("/chunked/101", false),
        ("/length/20000000", false),
    ] {
        match reader.get(&server.url(path), LIMIT).await {
            Ok(document) => assert!(fits && document.bytes.len() == LIMIT, "{path}"),
            Err(error) => {
                assert!(!fits, "{path}: {error}");
                assert_eq!(error, PublicReadError::TooLarge(LIMIT));
            }
        }
    }
}

#[tokio::test]
async fn half_a_body_is_no_document() {
    let server = Server::start("localhost", |_, _| {
        Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}".to_vec())
    })
    .await;
    let error = server.reader().get(&server.url("/"), LIMIT).await.unwrap_err();
    assert!(matches!(error, PublicReadError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn silence_and_dripping_end_in_a_timeout() {
    let server = Server::start("localhost", |path, _| match path {
        "/silence" => Reply::Silence,
        _ => Reply::Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec()),
    })
    .await;
    let reader = server.reader().with_timeout(Duration::from_millis(300));
    for path in ["/silence", "/drip"] {
        let read = reader.get(&server.url(path), 1 << 20).await;
        assert_eq!(read.unwrap_err(), PublicReadError::Timeout, "{path}");
    }
}

#[tokio::test]
async fn only_the_right_name_from_a_trusted_authority_is_believed() {
    let server = Server::start("localhost", |_, _| Reply::Bytes(ok("{}", ""))).await;
    let other = Server::start("other.example", |_, _| Reply::Bytes(ok("{}", ""))).await;
    for (reader, url) in [
        (HttpReader::new(None).unwrap(), server.url("/")),
        (other.reader(), server.url("/")),
        (other.reader(), other.url("/")),
        (server.reader(), format!("https://127.0.0.1:{}/", server.port)),
    ] {
        match reader.get(&url, LIMIT).await {
            Err(PublicReadError::Unreachable(why)) => assert!(why.contains("certificate"), "{why}"),
            other => panic!("{url}: {other:?}"),
        }
    }
    assert!(server.requests().is_empty() && other.requests().is_empty());
    // Several authorities in one file.
    let both = format!("{}{}", other.ca_pem, server.ca_pem);
    let reader = HttpReader::new(Some(both.as_bytes())).unwrap();
    reader.get(&server.url("/"), LIMIT).await.unwrap();
}

#[tokio::test]
async fn nothing_is_sent_without_tls_or_with_credentials() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let reader = HttpReader::new(None).unwrap();
    for url in [
        format!("http://localhost:{port}/"),
        format!("HTTP://localhost:{port}/"),
        "file:///etc/passwd".to_owned(),
        "/openid/v1/jwks".to_owned(),
        String::new(),
        "https://".to_owned(),
    ] {
        assert_eq!(
            reader.get(&url, LIMIT).await.unwrap_err(),
            PublicReadError::NotHttps,
            "{url}"
        );
    }
    for url in ["user:secret@", "user@", ":secret@"] {
        let error = reader
            .get(&format!("https://{url}localhost:{port}/"), LIMIT)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("user information"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    // The listener's queue is empty: an accept would be ready at once.
    tokio::select! {
        biased;
        connection = listener.accept() => panic!("{connection:?}"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn an_unreachable_server_is_told_without_the_url_twice() {
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let reader = HttpReader::new(None).unwrap();
    let error = reader
        .get(&format!("https://localhost:{port}/x"), LIMIT)
        .await
        .unwrap_err();
    assert!(matches!(error, PublicReadError::Unreachable(_)), "{error}");
    assert!(
        error.to_string().contains("refused") && !error.to_string().contains("/x"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_unreachable() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, &ok("{}", ""))
            .await
            .unwrap();
        first[0]
    });
    let reader = HttpReader::new(None).unwrap();
    let error = reader
        .get(&format!("https://localhost:{port}/"), LIMIT)
        .await
        .unwrap_err();
    assert!(matches!(error, PublicReadError::Unreachable(_)), "{error}");
    assert_eq!(server.await.unwrap(), 0x16, "the first byte is a TLS handshake");
}

#[test]
fn a_file_of_authorities_must_hold_certificates() {
    let good = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
    let (pem, key) = (good.cert.pem(), good.signing_key.serialize_pem());
    for text in [
        "",
        "not PEM",
        &key,
        &pem.replace("-----END CERTIFICATE-----", ""),
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        &format!("{pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let error = HttpReader::new(Some(text.as_bytes())).unwrap_err();
        assert!(matches!(error, HttpReaderError::Roots(_)), "{text}: {error}");
        assert!(error.to_string().contains("not usable PEM"), "{error}");
    }
    HttpReader::new(Some(pem.as_bytes())).unwrap();
}
