//! The five calls of the JSON interface that publishing needs:
//! <https://cloud.google.com/storage/docs/json_api/v1/objects>.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use kubeassume_cloud::google::Credentials;
use kubeassume_cloud::http::{Answer, CallError, HttpClient, Refusal, Take};
use kubeassume_cloud::retry::Retry;
use kubeassume_core::store::{MAX_DOCUMENT_BYTES, Metadata, NewDocument};
use serde_json::{Value, json};

/// An answer that describes one object; metadata has at most 8 KiB.
const MAX_ATTRIBUTES_BYTES: usize = 256 << 10;
/// A page of 1000 names of at most 1 KiB each, and what JSON makes of them.
const MAX_LIST_BYTES: usize = 8 << 20;
/// The most that is listed of a bucket that others may fill.
const MAX_PAGES: usize = 10;

/// One bucket.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) http: HttpClient,
    pub(super) credentials: Credentials,
    /// `https://HOST[:PORT]`.
    pub(super) base: String,
    pub(super) bucket: String,
    /// Of reads.
    pub(super) retry: Retry,
}

/// An object without its bytes.
#[derive(Debug)]
pub(super) struct Attributes {
    /// `None`: the server has no generations.
    pub(super) generation: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) metadata: Metadata,
}

impl Client {
    /// `None`: there is no such object.
    pub(super) async fn attributes(&self, object: &str) -> Result<Option<Attributes>, CallError> {
        let url = format!(
            "{}?fields=generation,contentType,cacheControl,metadata",
            self.object_url(object)
        );
        let answer = absent(self.read(&url, Take::All(MAX_ATTRIBUTES_BYTES)).await)?;
        Ok(answer.map(|answer| Attributes::parse(&answer.body)))
    }

    /// The bytes of that generation, as far as a document may have them; `None`: it is not there any more.
    pub(super) async fn media(&self, object: &str, generation: &str) -> Result<Option<Bytes>, CallError> {
        let url = format!("{}?alt=media&generation={generation}", self.object_url(object));
        let answer = absent(self.read(&url, Take::Beginning(MAX_DOCUMENT_BYTES)).await)?;
        Ok(answer.map(|answer| answer.body))
    }

    /// Writes if the object has this generation (`0`: if there is none), and gives the new one, if the server
    /// says it.
    pub(super) async fn insert(
        &self,
        object: &str,
        document: &NewDocument,
        if_generation: &str,
    ) -> Result<Option<String>, CallError> {
        let (body, content_type) = multipart(object, document);
        let url = format!(
            "{}/upload/storage/v1/b/{}/o?uploadType=multipart&ifGenerationMatch={if_generation}&fields=generation",
            self.base, self.bucket
        );
        let request = Request::post(url).header(CONTENT_TYPE, content_type).body(body);
        let answer = self.send(request, Take::All(MAX_ATTRIBUTES_BYTES)).await?;
        Ok(Attributes::parse(&answer.body).generation)
    }

    /// Names that begin with `prefix`.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>, CallError> {
        let (mut names, mut page) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let mut url = format!(
                "{}/storage/v1/b/{}/o?fields=items(name),nextPageToken&prefix={}",
                self.base,
                self.bucket,
                encoded(prefix)
            );
            if let Some(page) = page {
                url.push_str(&format!("&pageToken={}", encoded(page)));
            }
            let answer = self.read(&url, Take::All(MAX_LIST_BYTES)).await?;
            let list: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let items = list.get("items").and_then(Value::as_array).into_iter().flatten();
            names.extend(items.filter_map(|item| Some(item.get("name")?.as_str()?.to_owned())));
            match list.get("nextPageToken").and_then(Value::as_str) {
                Some(next) => page = Some(next.to_owned()),
                None => break,
            }
        }
        Ok(names)
    }

    /// Deletes the object if it has this generation.
    pub(super) async fn delete(&self, object: &str, if_generation: &str) -> Result<(), CallError> {
        let url = format!("{}?ifGenerationMatch={if_generation}", self.object_url(object));
        self.delete_at(url).await
    }

    /// Deletes that generation and no other, also where the server knows no preconditions on deleting.
    pub(super) async fn delete_generation(&self, object: &str, generation: &str) -> Result<(), CallError> {
        let url = format!(
            "{}?generation={generation}&ifGenerationMatch={generation}",
            self.object_url(object)
        );
        self.delete_at(url).await
    }

    async fn delete_at(&self, url: String) -> Result<(), CallError> {
        let request = Request::delete(url).body(Bytes::new());
        self.send(request, Take::Beginning(0)).await.map(drop)
    }

    /// The object's name is one segment of the path.
    fn object_url(&self, object: &str) -> String {
        format!("{}/storage/v1/b/{}/o/{}", self.base, self.bucket, encoded(object))
    }

    async fn read(&self, url: &str, take: Take) -> Result<Answer, CallError> {
        let call = || {
            self.send(
                Request::builder().method(Method::GET).uri(url).body(Bytes::new()),
                take,
            )
        };
        self.retry.run(call).await
    }

    /// Once.
    async fn send(
        &self,
        request: Result<Request<Bytes>, http::Error>,
        take: Take,
    ) -> Result<Answer, CallError> {
        let mut request = request.map_err(|error| CallError::Unsendable(error.to_string()))?;
        self.credentials.authorize(&mut request).await?;
        self.http.send(request, take).await
    }
}

impl Attributes {
    fn parse(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let metadata = body
            .get("metadata")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        Self {
            generation: text("generation").filter(|generation| is_generation(generation)),
            content_type: text("contentType"),
            cache_control: text("cacheControl"),
            metadata: metadata
                .filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned())))
                .collect(),
        }
    }
}

/// A positive 64-bit number, in digits: fit for a URL.
pub(super) fn is_generation(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the refusal says that there is no such bucket, in the words of the service; the code is `notFound`
/// for everything.
pub(super) fn is_bucket_missing(refusal: &Refusal) -> bool {
    refusal.status == 404 && refusal.message.contains("bucket does not exist")
}

fn absent(answer: Result<Answer, CallError>) -> Result<Option<Answer>, CallError> {
    match answer {
        Err(CallError::Refused(refusal)) if refusal.status == 404 && !is_bucket_missing(&refusal) => Ok(None),
        other => other.map(Some),
    }
}

/// Attributes and bytes as `multipart/related` (RFC 2387), and its content type.
fn multipart(object: &str, document: &NewDocument) -> (Bytes, String) {
    let metadata: BTreeMap<_, _> = document.metadata.iter().collect();
    let attributes = json!({
        "name": object,
        "contentType": document.content_type,
        "cacheControl": document.cache_control,
        "metadata": metadata,
    });
    // Nobody who chose the bytes can have guessed it.
    let boundary = format!("{:032x}", fastrand::u128(..));
    let head = format!(
        "--{boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n{attributes}\r\n\
         --{boundary}\r\ncontent-type: {}\r\n\r\n",
        document.content_type
    );
    let mut body = BytesMut::from(head.as_bytes());
    body.extend_from_slice(&document.bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (body.freeze(), format!("multipart/related; boundary={boundary}"))
}

/// RFC 3986 section 2.1: everything but what is unreserved.
fn encoded(text: impl AsRef<str>) -> String {
    let mut encoded = String::new();
    for byte in text.as_ref().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(encoded("c1/.well-known/a_b~c"), "c1%2F.well-known%2Fa_b~c");
        assert_eq!(encoded("a+b=c&d?e\u{e9}"), "a%2Bb%3Dc%26d%3Fe%C3%A9");
    }

    #[test]
    fn what_is_no_number_is_no_generation() {
        for good in ["0", "1", "1790000000000000", "18446744073709551615"] {
            assert!(is_generation(good));
        }
        for bad in ["", "-1", "1&x=y", "\"etag\"", "123456789012345678901"] {
            assert!(!is_generation(bad), "{bad}");
        }
        assert!(Attributes::parse(br#"{"generation":"7"}"#).generation.is_some());
        for without in [
            &b"{}"[..],
            br#"{"generation":7}"#,
            br#"{"generation":"x"}"#,
            b"no JSON",
        ] {
            assert!(Attributes::parse(without).generation.is_none());
        }
    }
}
