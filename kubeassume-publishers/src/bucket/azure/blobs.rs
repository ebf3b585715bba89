//! The names in a container, by the Blob service's own list
//! (<https://learn.microsoft.com/rest/api/storageservices/list-blobs>).

use bytes::Bytes;
use http::Request;
use kubeassume_cloud::http::{CallError, HttpClient, Take};

use super::super::contents::MAX_NAMES;
use super::super::rest::{Authorize as _, encoded};
use super::TokenFile;

/// 5000 blobs with their properties.
const MAX_PAGE_BYTES: usize = 16 << 20;

/// Of every blob, older versions and snapshots included: they are as public as the newest.
pub(super) async fn names(
    http: &HttpClient,
    token: &TokenFile,
    container: &str,
) -> Result<Vec<String>, CallError> {
    let (mut names, mut marker) = (Vec::new(), String::new());
    loop {
        let mut url = format!("{container}?restype=container&comp=list&include=snapshots,versions");
        if !marker.is_empty() {
            url.push_str(&format!("&marker={}", encoded(&marker)));
        }
        let mut request = Request::get(url)
            .header("x-ms-version", "2023-11-03")
            .body(Bytes::new())
            .map_err(|error| CallError::Unsendable(error.to_string()))?;
        token.authorize(&mut request).await?;
        let answer = http.send(request, Take::All(MAX_PAGE_BYTES)).await?;
        let page = String::from_utf8_lossy(&answer.body).into_owned();
        if !page.contains("<EnumerationResults") {
            return Err(CallError::Unsendable(
                "the server's list of blobs is none".to_owned(),
            ));
        }
        names.extend(elements(&page, "Name"));
        marker = elements(&page, "NextMarker").next().unwrap_or_default();
        if marker.is_empty() || names.len() >= MAX_NAMES {
            return Ok(names);
        }
    }
}

/// The texts of these elements. What XML escapes is in no document's name, so that it need not be read.
fn elements<'a>(page: &'a str, name: &str) -> impl Iterator<Item = String> + 'a {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let parts: Vec<String> = page
        .split(begin.as_str())
        .skip(1)
        .filter_map(|part| Some(part.split_once(end.as_str())?.0.to_owned()))
        .collect();
    parts.into_iter()
}
