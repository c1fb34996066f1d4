//! A daemon's own numbers, over HTTP on a local socket or an address: as Prometheus text, and as
//! whatever else the daemon has to tell.

mod fetch;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use fetch::{FetchError, fetch};
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::limits::{Admission, accept};
use crate::listen::Listener;
use crate::stream::Stream;

/// Readers of the numbers at the same time.
const READERS: usize = 16;

/// A reader that has not sent its request by then is let go.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one connection may last.
const VISIT: Duration = Duration::from_secs(60);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON: &str = "application/json";

/// What is to be read: all numbers of a registry at `/metrics`, and documents that the daemon makes
/// when they are asked for.
#[derive(Clone)]
pub struct Site {
    registry: Arc<Registry>,
    documents: BTreeMap<&'static str, Document>,
}

type Document = Arc<dyn Fn() -> BoxFuture<'static, String> + Send + Sync>;

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let documents = self.documents.keys();
        f.debug_list()
            .entry(&"/metrics")
            .entries(documents)
            .finish()
    }
}

impl Site {
    /// A site with `/metrics` only.
    pub fn new(registry: Arc<Registry>) -> Site {
        Site {
            registry,
            documents: BTreeMap::new(),
        }
    }

    /// The same with the JSON text that `make` gives at `path`.
    #[must_use]
    pub fn with_json<F, D>(mut self, path: &'static str, make: F) -> Site
    where
        F: Fn() -> D + Send + Sync + 'static,
        D: Future<Output = String> + Send + 'static,
    {
        let document: Document = Arc::new(move || Box::pin(make()));
        self.documents.insert(path, document);
        self
    }

    async fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let document = self.documents.get(path);
        if path != "/metrics" && document.is_none() {
            return answer(StatusCode::NOT_FOUND, None, "the numbers are at /metrics\n");
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refusal = answer(StatusCode::METHOD_NOT_ALLOWED, None, "");
            let methods = HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(ALLOW, methods);
            return refusal;
        }
        if let Some(make) = document {
            return answer(StatusCode::OK, Some(JSON), make().await);
        }
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => answer(StatusCode::OK, Some(OPENMETRICS), text),
            // Writing to a string fails only when a metric refuses to be written.
            Err(fmt::Error) => answer(StatusCode::INTERNAL_SERVER_ERROR, None, ""),
        }
    }
}

/// Answers requests on `listener` for as long as it is polled.
pub async fn serve(listener: Listener, site: Site) {
    let admission = Admission::new(READERS);
    let site = Arc::new(site);
    accept(&listener, &admission, |stream, _peer, place| {
        let site = Arc::clone(&site);
        if let Some(place) = place {
            tokio::spawn(async move {
                let _place = place;
                // A reader that leaves early or dawdles harms nobody.
                let _ = tokio::time::timeout(VISIT, attend(stream, site)).await;
            });
        }
    })
    .await;
}

async fn attend(stream: Stream, site: Arc<Site>) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.respond(&request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(8 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn answer(
    status: StatusCode,
    kind: Option<&'static str>,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    if let Some(kind) = kind {
        let kind = HeaderValue::from_static(kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}
