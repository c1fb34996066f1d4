//! Reading what another process serves on its unix socket: the other end of this module's parent.

use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::errno::describe;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody could be asked.
    #[error("{}", describe(.0))]
    Unreachable(#[source] io::Error),
    /// The answer is no HTTP, breaks off, or is too long.
    #[error("no answer that can be understood: {0}")]
    Garbled(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is no success.
    #[error("the answer is {0}")]
    Refused(StatusCode),
    /// There was no answer in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
}

impl From<hyper::Error> for FetchError {
    fn from(error: hyper::Error) -> FetchError {
        FetchError::Garbled(error.into())
    }
}

/// Gets the document at `path` from the process that listens on `socket`: at most `most` bytes, and
/// within `limit`.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(
    socket: &Path,
    path: &str,
    most: usize,
    limit: Duration,
) -> Result<Bytes, FetchError> {
    let fetched = timeout(limit, ask(socket, path, most)).await;
    fetched.map_err(|_| FetchError::Silent(limit))?
}

async fn ask(socket: &Path, path: &str, most: usize) -> Result<Bytes, FetchError> {
    let stream = UnixStream::connect(socket).await;
    let stream = TokioIo::new(stream.map_err(FetchError::Unreachable)?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    let request = Request::get(path).header(HOST, "localhost");
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| FetchError::Garbled(error.into()))?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Refused(response.status()));
        }
        let body = Limited::new(response.into_body(), most).collect().await;
        Ok(body.map_err(FetchError::Garbled)?.to_bytes())
    };
    // The connection moves the bytes of the exchange, and may end before it.
    tokio::pin!(exchange);
    tokio::select! {
        fetched = &mut exchange => fetched,
        ended = connection => {
            ended?;
            exchange.await
        }
    }
}
