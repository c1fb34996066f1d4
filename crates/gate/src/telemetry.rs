//! A daemon's own numbers, as Prometheus text over HTTP on a local socket or an address.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

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

/// Answers `GET /metrics` on `listener` with all numbers in `registry`, for as long as it is polled.
pub async fn serve(listener: Listener, registry: Arc<Registry>) {
    let admission = Admission::new(READERS);
    accept(&listener, &admission, |stream, _peer, place| {
        let registry = Arc::clone(&registry);
        if let Some(place) = place {
            tokio::spawn(async move {
                let _place = place;
                // A reader that leaves early or dawdles harms nobody.
                let _ = tokio::time::timeout(VISIT, answer(stream, registry)).await;
            });
        }
    })
    .await;
}

async fn answer(stream: Stream, registry: Arc<Registry>) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&request, &registry);
        async move { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(8 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn respond(request: &Request<Incoming>, registry: &Registry) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            let mut text = String::new();
            // Writing to a string fails only when a metric refuses to be written.
            if encode(&mut text, registry).is_err() {
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            }
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
            *response.body_mut() = Full::from(text);
        }
        (_, "/metrics") => {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        _ => {
            *response.status_mut() = StatusCode::NOT_FOUND;
            *response.body_mut() = Full::from("the numbers are at /metrics\n");
        }
    }
    response
}
